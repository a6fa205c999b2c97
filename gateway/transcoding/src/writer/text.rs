//! Strings of JSON.

use crate::error::ResponseError;
use crate::scan::plain_prefix;

/// Appends `text` as a JSON string.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    put_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends bytes of a message as a JSON string.
#[inline]
pub(super) fn put_untrusted_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ResponseError> {
    out.push(b'"');
    let plain = plain_prefix(bytes);
    if plain == bytes.len() {
        out.extend_from_slice(bytes);
    } else {
        // What needs no escape is ASCII, so the rest can be judged by itself.
        let rest = &bytes[plain..];
        if std::str::from_utf8(rest).is_err() {
            return Err(ResponseError::InvalidUtf8);
        }
        out.extend_from_slice(&bytes[..plain]);
        put_escaped(rest, out);
    }
    out.push(b'"');
    Ok(())
}

/// Appends UTF-8 with what JSON does not allow in strings escaped.
fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            byte => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}
