//! Values that are not messages, from JSON and from text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::fail::{Fail, Read};
use super::json::RawString;
use super::{Reader, number};
use crate::error::RequestErrorKind::InvalidUtf8;
use crate::schema::{EnumId, Field, Kind};
use crate::wire::{begin_length, end_length, put_bytes, put_varint, zigzag};

/// Padding may be there or not, as in all of proto3's readers.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl<'j> Reader<'_, 'j> {
    /// One JSON value that is not a message; returns whether it is the default of its kind.
    pub(super) fn scalar(&mut self, kind: Kind) -> Read<bool> {
        match kind {
            Kind::String => {
                let string = self.json.string("a string")?;
                self.string(string)
            }
            Kind::Bool => match self.json.peek() {
                Some(b't') if self.json.literal(b"true") => Ok(self.bool(true)),
                Some(b'f') if self.json.literal(b"false") => Ok(self.bool(false)),
                _ => Err(self.json.unexpected("true or false")),
            },
            Kind::Enum(id) => self.enumeration(id),
            Kind::Bytes => {
                let text = self.json.string("a string of base64")?.text()?;
                self.base64(&text)
            }
            Kind::Double | Kind::Float => {
                let text = self.number("a number")?;
                self.scalar_text(kind, &text)
            }
            _ => {
                let text = self.number("an integer")?;
                self.scalar_text(kind, &text)
            }
        }
    }

    /// A number, or a string that holds one.
    #[inline]
    fn number(&mut self, expected: &'static str) -> Read<Cow<'j, [u8]>> {
        if self.json.peek() == Some(b'"') {
            self.json.string(expected)?.text()
        } else {
            self.json.number(expected).map(Cow::Borrowed)
        }
    }

    /// A JSON string as the value of a string field.
    #[inline]
    pub(super) fn string(&mut self, string: RawString<'_>) -> Read<bool> {
        if string.escaped {
            let start = begin_length(&mut self.out);
            string.unescape(&mut self.out)?;
            end_length(start, &mut self.out);
        } else {
            put_bytes(string.bytes, &mut self.out);
        }
        Ok(string.bytes.is_empty())
    }

    fn bool(&mut self, value: bool) -> bool {
        self.out.push(u8::from(value));
        !value
    }

    fn enumeration(&mut self, id: EnumId) -> Read<bool> {
        let table = self.schema.enumeration(id);
        match self.json.peek() {
            Some(b'"') => {
                let name = self.json.string("a string")?.text()?;
                self.enum_name(id, &name)
            }
            Some(b'n') if table.is_null && self.json.null() => {
                self.out.push(0);
                Ok(true)
            }
            _ => {
                let text = self.json.number("the name of a value")?;
                self.varint(number::integer(
                    text,
                    i128::from(i32::MIN),
                    i128::from(i32::MAX),
                )?)
            }
        }
    }

    fn enum_name(&mut self, id: EnumId, name: &[u8]) -> Read<bool> {
        let table = self.schema.enumeration(id);
        match table.number(name) {
            Some(number) => self.varint(i128::from(number)),
            None => Err(Fail::value(format!("must be one of {}", table.choices()))),
        }
    }

    fn base64(&mut self, text: &[u8]) -> Read<bool> {
        let engine = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) {
            &URL_SAFE
        } else {
            &STANDARD
        };
        let start = begin_length(&mut self.out);
        engine
            .decode_vec(text, &mut self.out)
            .map_err(|_| Fail::value("must be a string of base64"))?;
        let empty = self.out.len() == start;
        end_length(start, &mut self.out);
        Ok(empty)
    }

    /// One value as text: a path capture, a query parameter, a map key, a number in a string.
    pub(super) fn scalar_text(&mut self, kind: Kind, text: &[u8]) -> Read<bool> {
        const I32: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);
        const I64: (i128, i128) = (i64::MIN as i128, i64::MAX as i128);
        const U32: (i128, i128) = (0, u32::MAX as i128);
        const U64: (i128, i128) = (0, u64::MAX as i128);
        let integer = |(min, max)| number::integer(text, min, max);
        match kind {
            Kind::Int32 => self.varint(integer(I32)?),
            Kind::Int64 => self.varint(integer(I64)?),
            Kind::Uint32 => self.varint(integer(U32)?),
            Kind::Uint64 => self.varint(integer(U64)?),
            Kind::Sint32 => {
                let value = integer(I32)?;
                self.varint(i128::from(zigzag(value as i64)))
            }
            Kind::Sint64 => {
                let value = integer(I64)?;
                self.varint(i128::from(zigzag(value as i64)))
            }
            Kind::Fixed32 => {
                let value = integer(U32)? as u32;
                self.fixed(&value.to_le_bytes())
            }
            Kind::Sfixed32 => {
                let value = integer(I32)? as i32;
                self.fixed(&value.to_le_bytes())
            }
            Kind::Fixed64 => {
                let value = integer(U64)? as u64;
                self.fixed(&value.to_le_bytes())
            }
            Kind::Sfixed64 => {
                let value = integer(I64)? as i64;
                self.fixed(&value.to_le_bytes())
            }
            Kind::Double => {
                let value = number::double(text)?;
                self.fixed(&value.to_bits().to_le_bytes())
            }
            Kind::Float => {
                let value = number::float(text)?;
                self.fixed(&value.to_bits().to_le_bytes())
            }
            Kind::Bool => match text {
                b"true" => Ok(self.bool(true)),
                b"false" => Ok(self.bool(false)),
                _ => Err(Fail::value("must be true or false")),
            },
            Kind::String => {
                if std::str::from_utf8(text).is_err() {
                    return Err(Fail::new(InvalidUtf8, "is not valid UTF-8"));
                }
                put_bytes(text, &mut self.out);
                Ok(text.is_empty())
            }
            Kind::Bytes => self.base64(text),
            Kind::Enum(id) => match text.first() {
                Some(b'-' | b'0'..=b'9') if self.schema.enumeration(id).number(text).is_none() => {
                    self.varint(integer(I32)?)
                }
                _ => self.enum_name(id, text),
            },
            Kind::Message(_) => Err(Fail::value("cannot be given as text")),
        }
    }

    /// The tag and value of a field, or of one element of it, from text.
    pub(super) fn text(&mut self, field: &Field, text: &str) -> Read<()> {
        let start = self.out.len();
        self.out.extend_from_slice(field.tag.bytes());
        let is_default = match field.kind {
            Kind::Message(id) => {
                let content = begin_length(&mut self.out);
                self.message_text(self.schema.message(id), text)?;
                end_length(content, &mut self.out);
                false
            }
            kind => self.scalar_text(kind, text.as_bytes())?,
        };
        if is_default && field.shape == crate::schema::Shape::Implicit {
            self.out.truncate(start);
        }
        Ok(())
    }

    #[inline]
    fn varint(&mut self, value: i128) -> Read<bool> {
        // Two's complement: negative numbers take their 64-bit form.
        put_varint(value as u64, &mut self.out);
        Ok(value == 0)
    }

    fn fixed(&mut self, bytes: &[u8]) -> Read<bool> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.iter().all(|&byte| byte == 0))
    }
}
