//! The paths of `google.protobuf.FieldMask`: lowerCamelCase in proto3 JSON, snake_case on the wire.

/// Appends a path in lowerCamelCase; `false` when it would not read back as the same path.
pub(crate) fn put_camel(path: &str, out: &mut Vec<u8>) -> bool {
    let mut raise = false;
    for byte in path.bytes() {
        match byte {
            b'_' if raise => return false,
            b'_' => raise = true,
            b'a'..=b'z' if raise => {
                out.push(byte.to_ascii_uppercase());
                raise = false;
            }
            b'A'..=b'Z' => return false,
            _ if raise => return false,
            byte => out.push(byte),
        }
    }
    !raise
}

/// Appends a path in snake_case. A path that is in snake_case already stays as it is.
pub(crate) fn put_snake(path: &str, out: &mut Vec<u8>) {
    for byte in path.bytes() {
        if byte.is_ascii_uppercase() {
            out.push(b'_');
        }
        out.push(byte.to_ascii_lowercase());
    }
}

/// Whether a path can be one of several that commas separate.
pub(crate) fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains(',')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn converts_what_converts_back() {
        for (snake, camel) in [
            ("a", "a"),
            ("foo_bar.baz_q", "fooBar.bazQ"),
            ("a1.b", "a1.b"),
        ] {
            let (mut to, mut from) = (Vec::new(), Vec::new());
            assert!(put_camel(snake, &mut to));
            assert_eq!(String::from_utf8(to).unwrap(), camel);
            put_snake(camel, &mut from);
            assert_eq!(String::from_utf8(from).unwrap(), snake);
        }
        for lossy in ["fooBar", "a__b", "a_1", "a_", "a_.b"] {
            assert!(!put_camel(lossy, &mut Vec::new()), "{lossy}");
        }
    }
}
