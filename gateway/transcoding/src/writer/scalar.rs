//! Values that are not messages.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Stop, Writer, text, wrong_wire_type};
use crate::options::Int64;
use crate::schema::Kind;
use crate::wire::{Raw, unzigzag};

/// The largest magnitude below which every integer is a double (2^53).
const EXACT: u64 = 1 << 53;

impl Writer<'_, '_> {
    /// One value that is not a message.
    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind, raw: Raw<'_>) -> Result<(), Stop> {
        match (kind, raw) {
            (Kind::String, Raw::Bytes(bytes)) => text::put_untrusted_string(bytes, self.out)?,
            (Kind::Int32, Raw::Varint(value)) => self.integer(value as i32),
            (Kind::Uint32, Raw::Varint(value)) => self.integer(value as u32),
            (Kind::Bool, Raw::Varint(value)) => {
                self.out
                    .extend_from_slice(if value == 0 { b"false" } else { b"true" });
            }
            (Kind::Enum(id), Raw::Varint(value)) => {
                let table = self.schema.enumeration(id);
                match table.json(value as i32) {
                    Some(json) => self.out.extend_from_slice(json),
                    None if table.is_null => self.out.extend_from_slice(b"null"),
                    None => self.integer(value as i32),
                }
            }
            (Kind::Int64, Raw::Varint(value)) => self.signed(value as i64),
            (Kind::Uint64, Raw::Varint(value)) | (Kind::Fixed64, Raw::Fixed64(value)) => {
                self.unsigned(value);
            }
            (Kind::Double, Raw::Fixed64(bits)) => {
                let value = f64::from_bits(bits);
                if value.is_finite() {
                    let mut buffer = zmij::Buffer::new();
                    self.out
                        .extend_from_slice(buffer.format_finite(value).as_bytes());
                } else {
                    self.not_finite(value);
                }
            }
            (Kind::Float, Raw::Fixed32(bits)) => {
                let value = f32::from_bits(bits);
                if value.is_finite() {
                    let mut buffer = zmij::Buffer::new();
                    self.out
                        .extend_from_slice(buffer.format_finite(value).as_bytes());
                } else {
                    self.not_finite(f64::from(value));
                }
            }
            (Kind::Bytes, Raw::Bytes(bytes)) => self.base64(bytes),
            (Kind::Sint32, Raw::Varint(value)) => {
                self.integer(unzigzag(u64::from(value as u32)) as i32)
            }
            (Kind::Sint64, Raw::Varint(value)) => self.signed(unzigzag(value)),
            (Kind::Fixed32, Raw::Fixed32(value)) => self.integer(value),
            (Kind::Sfixed32, Raw::Fixed32(value)) => self.integer(value as i32),
            (Kind::Sfixed64, Raw::Fixed64(value)) => self.signed(value as i64),
            _ => return Err(wrong_wire_type()),
        }
        Ok(())
    }

    #[inline]
    fn integer(&mut self, value: impl itoa::Integer) {
        let mut buffer = itoa::Buffer::new();
        self.out.extend_from_slice(buffer.format(value).as_bytes());
    }

    fn signed(&mut self, value: i64) {
        self.int64(value, value.unsigned_abs());
    }

    fn unsigned(&mut self, value: u64) {
        self.int64(value, value);
    }

    fn int64(&mut self, value: impl itoa::Integer, magnitude: u64) {
        if self.schema.style().int64 == Int64::Number && magnitude <= EXACT {
            self.integer(value);
        } else {
            self.out.push(b'"');
            self.integer(value);
            self.out.push(b'"');
        }
    }

    fn not_finite(&mut self, value: f64) {
        let text: &[u8] = if value.is_nan() {
            b"\"NaN\""
        } else if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        self.out.extend_from_slice(text);
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        // In chunks of whole groups through a small buffer, so that nothing is allocated.
        let mut buffer = [0; 1024];
        for chunk in bytes.chunks(768) {
            // The buffer holds 4/3 of a chunk, so this cannot fail.
            if let Ok(length) = BASE64_STANDARD.encode_slice(chunk, &mut buffer) {
                self.out.extend_from_slice(&buffer[..length]);
            }
        }
        self.out.push(b'"');
    }
}

/// Whether a value of a field without presence is its default.
pub(super) fn is_default(kind: Kind, raw: Raw<'_>) -> bool {
    match (kind, raw) {
        (Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_), Raw::Varint(value)) => {
            value as u32 == 0
        }
        (_, Raw::Varint(value) | Raw::Fixed64(value)) => value == 0,
        (_, Raw::Fixed32(value)) => value == 0,
        (_, Raw::Bytes(bytes)) => bytes.is_empty(),
    }
}
