//! Query parameters.
//!
//! A parameter's name is the path of a field, `page.limit`; a list takes several parameters of one
//! name. Each parameter becomes an occurrence of its own on the wire, nested as its path says.

use super::Reader;
use super::fail::{Fail, Read};
use crate::binding::{Binding, BodyRule};
use crate::captures::has_text_form;
use crate::error::RequestErrorKind::{
    DuplicateField, InvalidUtf8, OneofConflict, PathConflict, Syntax, TooDeep, UnknownField,
};
use crate::schema::{Kind, MessageId, NO_ONEOF, Shape};
use crate::template::hex;

/// How long the path of a parameter may be.
const MAX_PATH: usize = 32;

/// A field that has been given.
struct Given {
    path: Vec<u16>,
    by: By,
}

/// What has given a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Path(usize),
    Body,
    Query,
}

impl Reader<'_, '_> {
    /// All parameters of a query string.
    pub(super) fn query(&mut self, binding: &Binding, query: &str) -> Read<()> {
        if query.is_empty() {
            return Ok(());
        }
        let captured = binding.capture_plan.paths.iter().enumerate();
        let mut given: Vec<Given> = captured
            .map(|(index, path)| Given {
                path: path.clone(),
                by: By::Path(index),
            })
            .chain(binding.body_field.map(|field| Given {
                path: vec![field],
                by: By::Body,
            }))
            .collect();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = form_decode(name).map_err(|fail| fail.in_field(name))?;
            self.parameter(binding, &name, value, &mut given)
                .map_err(|fail| fail.in_field(&name))?;
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        binding: &Binding,
        name: &str,
        value: &str,
        given: &mut Vec<Given>,
    ) -> Read<()> {
        if matches!(binding.body, BodyRule::Whole) {
            return Err(Fail::new(
                UnknownField,
                "this method takes no query parameters",
            ));
        }
        let (path, shape) = self.resolve(binding.input, name)?;
        let value = form_decode(value)?;
        for other in &*given {
            self.compare(binding.input, &path, shape, other)?;
        }
        let captured = given.iter().find_map(|other| match other.by {
            By::Path(capture) if other.path == path => Some(capture),
            _ => None,
        });
        let start = self.out.len();
        // The innermost error names the field by its path already.
        let range = self
            .nested_text(binding.input, &path, &value)
            .map_err(|fail| fail.without_path())?;
        if let Some(capture) = captured {
            if self.out[range] != self.out[self.captured[capture].clone()] {
                return Err(Fail::new(
                    PathConflict,
                    "differs from the value in the path",
                ));
            }
            self.out.truncate(start);
        }
        if !given
            .iter()
            .any(|other| other.path == path && other.by == By::Query)
        {
            given.push(Given {
                path,
                by: By::Query,
            });
        }
        Ok(())
    }

    /// The fields from the request message down to the one that a parameter names.
    fn resolve(&self, input: MessageId, name: &str) -> Read<(Vec<u16>, Shape)> {
        let unknown = || Fail::new(UnknownField, "no such field");
        let mut table = self.schema.message(input);
        let mut path = Vec::new();
        let mut names = name.split('.').peekable();
        loop {
            let index = names
                .next()
                .and_then(|name| table.index_of_name(name.as_bytes()))
                .ok_or_else(unknown)?;
            if path.len() == MAX_PATH {
                return Err(Fail::new(TooDeep, "names a field too deep"));
            }
            path.push(index as u16);
            let field = &table.fields[index];
            let last = names.peek().is_none();
            match (field.kind, field.shape) {
                (_, Shape::Map) => {
                    return Err(Fail::value("a map cannot be given in the query"));
                }
                (Kind::Message(id), shape) => {
                    table = self.schema.message(id);
                    if last && has_text_form(table.form) {
                        return Ok((path, shape));
                    }
                    if last {
                        return Err(Fail::value("is a message: give its fields by their paths"));
                    }
                    if field.is_repeated() {
                        return Err(Fail::value(
                            "a list of messages cannot be given in the query",
                        ));
                    }
                    if has_text_form(table.form) {
                        return Err(unknown());
                    }
                }
                (_, shape) if last => return Ok((path, shape)),
                _ => return Err(unknown()),
            }
        }
    }

    /// Whether a parameter can stand beside what has been given already.
    fn compare(&self, input: MessageId, path: &[u16], shape: Shape, other: &Given) -> Read<()> {
        let mut table = self.schema.message(input);
        for (position, (&here, &there)) in path.iter().zip(&other.path).enumerate() {
            let (field, rival) = (
                &table.fields[usize::from(here)],
                &table.fields[usize::from(there)],
            );
            if here != there {
                if field.oneof != NO_ONEOF && field.oneof == rival.oneof {
                    return Err(Fail::new(
                        OneofConflict,
                        "another field of the same choice is already set",
                    ));
                }
                return Ok(());
            }
            if other.by == By::Body && position + 1 == other.path.len() {
                return Err(Fail::new(UnknownField, "is taken from the body"));
            }
            if let Kind::Message(id) = field.kind {
                table = self.schema.message(id);
            }
        }
        let repeated = matches!(shape, Shape::Repeated(_) | Shape::Map);
        if path.len() == other.path.len() && other.by == By::Query && !repeated {
            return Err(Fail::new(DuplicateField, "is given twice"));
        }
        Ok(())
    }
}

/// Decodes one part of `application/x-www-form-urlencoded`.
fn form_decode(text: &str) -> Read<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(hex);
                match (digit(), digit()) {
                    (Some(high), Some(low)) => high << 4 | low,
                    _ => return Err(Fail::new(Syntax, "holds a broken percent-encoding")),
                }
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| Fail::new(InvalidUtf8, "is not valid UTF-8"))
}
