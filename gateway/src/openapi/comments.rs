//! The comments of the proto files, by descriptor.

use std::collections::HashMap;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};

/// Comments of all files of a pool.
pub struct Comments {
    by_place: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    /// Collects the comments of `pool`, if it was compiled with source information.
    pub fn of(pool: &DescriptorPool) -> Self {
        let mut by_place = HashMap::new();
        for file in pool.files() {
            let proto = file.file_descriptor_proto();
            let Some(info) = &proto.source_code_info else {
                continue;
            };
            for location in &info.location {
                let text = tidy(location.leading_comments());
                let text = if text.is_empty() {
                    tidy(location.trailing_comments())
                } else {
                    text
                };
                if !text.is_empty() {
                    by_place.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self { by_place }
    }

    /// What is written above an RPC.
    pub fn method(&self, method: &MethodDescriptor) -> &str {
        self.at(&method.parent_file(), method.path())
    }

    /// What is written above a service.
    pub fn service(&self, service: &ServiceDescriptor) -> &str {
        self.at(&service.parent_file(), service.path())
    }

    /// What is written above a message.
    pub fn message(&self, message: &MessageDescriptor) -> &str {
        self.at(&message.parent_file(), message.path())
    }

    /// What is written above a field.
    pub fn field(&self, field: &FieldDescriptor) -> &str {
        self.at(&field.parent_file(), field.path())
    }

    /// What is written above an enum, and above each of its values.
    pub fn enumeration(&self, descriptor: &EnumDescriptor) -> &str {
        self.at(&descriptor.parent_file(), descriptor.path())
    }

    fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.by_place
            .get(&(file.name().to_owned(), path.to_vec()))
            .map_or("", String::as_str)
    }
}

/// One paragraph per blank line, without the breaks of the source.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push_str("\n\n");
            }
        } else {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push(' ');
            }
            out.push_str(line);
        }
    }
    out.trim_end().to_owned()
}

/// The first sentence, without its full stop: what fits a list of operations.
pub fn summary(text: &str) -> String {
    let end = text
        .match_indices(". ")
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with("e.g") && !text[..*at].ends_with("i.e"))
        .or_else(|| text.find(".\n"))
        .unwrap_or(text.len());
    text.get(..end)
        .unwrap_or(text)
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_lose_the_breaks_of_the_source() {
        assert_eq!(tidy(" One\n two.\n\n Three.\n"), "One two.\n\nThree.");
        assert_eq!(summary("Signs in. Answers the same."), "Signs in");
        assert_eq!(summary("A user."), "A user");
    }

    #[test]
    fn the_contract_is_commented() {
        let pool = contracts::descriptor_pool();
        let comments = Comments::of(pool);
        for service in pool
            .services()
            .filter(|service| service.package_name().starts_with("hub."))
        {
            for method in service.methods() {
                assert!(
                    !comments.method(&method).is_empty(),
                    "{}",
                    method.full_name()
                );
            }
        }
    }
}
