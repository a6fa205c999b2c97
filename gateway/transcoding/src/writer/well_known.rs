//! Messages whose JSON is not an object of their fields.

use std::borrow::Cow;

use super::map::merged;
use super::object::zero;
use super::{Stop, Writer, text, wrong_wire_type};
use crate::error::ResponseError;
use crate::schema::{Form, Kind, MessageTable};
use crate::wire::{Cursor, Raw};
use crate::wkt::{duration, field_mask, timestamp};

impl Writer<'_, '_> {
    /// A message of any form but [`Form::Object`].
    pub(super) fn well_known(
        &mut self,
        form: Form,
        table: &MessageTable,
        data: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        match form {
            Form::Timestamp => self.instant(data, "google.protobuf.Timestamp", timestamp::put),
            Form::Duration => self.instant(data, "google.protobuf.Duration", duration::put),
            Form::Wrapper => {
                let kind = table.fields[0].kind;
                let value = last(data, 1)?.unwrap_or(zero(kind));
                self.scalar(kind, value)
            }
            Form::FieldMask => self.field_mask(data),
            Form::Struct => self.structure(data, depth),
            Form::Value => self.json_value(data, depth),
            Form::ListValue => self.json_list(data, depth),
            Form::Any => self.any(data, depth),
            Form::Object | Form::HttpBody => {
                self.out.push(b'{');
                self.fields(table, data, depth)?;
                self.close(b'}');
                Ok(())
            }
        }
    }

    fn instant(
        &mut self,
        data: &[u8],
        name: &'static str,
        put: fn(i64, i32, &mut Vec<u8>) -> bool,
    ) -> Result<(), Stop> {
        let (mut seconds, mut nanos) = (0, 0);
        let mut cursor = Cursor::new(data);
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            match number {
                1 | 2 => {
                    let Raw::Varint(value) = cursor.value(wire_type)? else {
                        return Err(wrong_wire_type());
                    };
                    if number == 1 {
                        seconds = value as i64;
                    } else {
                        nanos = value as i32;
                    }
                }
                _ => cursor.skip(number, wire_type)?,
            }
        }
        self.out.push(b'"');
        if !put(seconds, nanos, self.out) {
            return Err(ResponseError::Inexpressible(name).into());
        }
        self.out.push(b'"');
        Ok(())
    }

    fn field_mask(&mut self, data: &[u8]) -> Result<(), Stop> {
        let mut joined = Vec::new();
        each(data, 1, |path| {
            let path = std::str::from_utf8(path).map_err(|_| ResponseError::InvalidUtf8)?;
            if !joined.is_empty() {
                joined.push(b',');
            }
            let expressible = field_mask::is_path(path)
                && if self.schema.writes_camel_case() {
                    field_mask::put_camel(path, &mut joined)
                } else {
                    joined.extend_from_slice(path.as_bytes());
                    true
                };
            if expressible {
                Ok(())
            } else {
                Err(ResponseError::Inexpressible("google.protobuf.FieldMask").into())
            }
        })?;
        text::put_untrusted_string(&joined, self.out)?;
        Ok(())
    }

    fn structure(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        let mut entries: Vec<(&[u8], Cow<'_, [u8]>)> = Vec::new();
        each(data, 1, |entry| {
            let key = match last(entry, 1)? {
                Some(Raw::Bytes(key)) => key,
                Some(_) => return Err(wrong_wire_type()),
                None => &[],
            };
            entries.push((key, only(entry, 2)?));
            Ok(())
        })?;
        entries.sort_by_key(|(key, _)| *key);
        self.out.push(b'{');
        for same in entries.chunk_by(|a, b| a.0 == b.0) {
            let Some((key, value)) = same.last() else {
                continue;
            };
            text::put_untrusted_string(key, self.out)?;
            self.out.push(b':');
            self.nested_value(value, depth)?;
            self.out.push(b',');
        }
        self.close(b'}');
        Ok(())
    }

    fn json_list(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        self.out.push(b'[');
        each(data, 1, |value| {
            self.nested_value(value, depth)?;
            self.out.push(b',');
            Ok(())
        })?;
        self.close(b']');
        Ok(())
    }

    fn nested_value(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        let depth = depth.checked_sub(1).ok_or(ResponseError::TooDeep)?;
        self.json_value(data, depth)
    }

    /// A `google.protobuf.Value`: one oneof of six members, of which the last one set counts.
    fn json_value(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ResponseError::TooDeep.into());
        };
        let mut member = None;
        // Where the current run of one message member began, so that its occurrences can be merged.
        let (mut run, mut occurrences) = (data, 0);
        let mut cursor = Cursor::new(data);
        while !cursor.is_empty() {
            let before = cursor;
            let (number, wire_type) = cursor.tag()?;
            if !(1..=6).contains(&number) {
                cursor.skip(number, wire_type)?;
                continue;
            }
            let raw = cursor.value(wire_type)?;
            if !matches!(member, Some((current, _)) if current == number) {
                run = before.remaining();
                occurrences = 0;
            }
            occurrences += 1;
            member = Some((number, raw));
        }
        match member {
            None | Some((1, Raw::Varint(_))) => self.out.extend_from_slice(b"null"),
            Some((2, Raw::Fixed64(bits))) => {
                if !f64::from_bits(bits).is_finite() {
                    return Err(ResponseError::Inexpressible("google.protobuf.Value").into());
                }
                self.scalar(Kind::Double, Raw::Fixed64(bits))?;
            }
            Some((3, raw @ Raw::Bytes(_))) => self.scalar(Kind::String, raw)?,
            Some((4, raw @ Raw::Varint(_))) => self.scalar(Kind::Bool, raw)?,
            Some((number @ (5 | 6), Raw::Bytes(bytes))) => {
                let bytes = if occurrences > 1 {
                    Cow::Owned(merged(run, number)?)
                } else {
                    Cow::Borrowed(bytes)
                };
                if number == 5 {
                    self.structure(&bytes, depth)?;
                } else {
                    self.json_list(&bytes, depth)?;
                }
            }
            Some(_) => return Err(wrong_wire_type()),
        }
        Ok(())
    }

    fn any(&mut self, data: &[u8], depth: usize) -> Result<(), Stop> {
        let type_url = match last(data, 1)? {
            Some(Raw::Bytes(url)) => {
                std::str::from_utf8(url).map_err(|_| ResponseError::InvalidUtf8)?
            }
            Some(_) => return Err(wrong_wire_type()),
            None => "",
        };
        let value = match last(data, 2)? {
            Some(Raw::Bytes(value)) => value,
            Some(_) => return Err(wrong_wire_type()),
            None => &[],
        };
        if type_url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let id = self
            .schema
            .find_url(type_url)
            .ok_or_else(|| ResponseError::UnknownType(type_url.to_owned()))?;
        self.out.extend_from_slice(b"{\"@type\":");
        text::put_string(type_url, self.out);
        self.out.push(b',');
        let table = self.schema.message(id);
        match table.form {
            Form::Object | Form::HttpBody => self.fields(table, value, depth)?,
            _ => {
                self.out.extend_from_slice(b"\"value\":");
                self.message(id, value, depth)?;
            }
        }
        self.close(b'}');
        Ok(())
    }
}

/// The last value of field `number`.
fn last(data: &[u8], number: u32) -> Result<Option<Raw<'_>>, Stop> {
    let mut value = None;
    let mut cursor = Cursor::new(data);
    while !cursor.is_empty() {
        let (next, wire_type) = cursor.tag()?;
        if next == number {
            value = Some(cursor.value(wire_type)?);
        } else {
            cursor.skip(next, wire_type)?;
        }
    }
    Ok(value)
}

/// The message field `number`, its occurrences merged.
fn only(data: &[u8], number: u32) -> Result<Cow<'_, [u8]>, Stop> {
    let (mut value, mut occurrences): (&[u8], usize) = (&[], 0);
    each(data, number, |bytes| {
        value = bytes;
        occurrences += 1;
        Ok(())
    })?;
    if occurrences > 1 {
        merged(data, number).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(value))
    }
}

/// Calls `visit` for each occurrence of the length-delimited field `number`.
fn each<'a>(
    data: &'a [u8],
    number: u32,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut cursor = Cursor::new(data);
    while !cursor.is_empty() {
        let (next, wire_type) = cursor.tag()?;
        if next != number {
            cursor.skip(next, wire_type)?;
            continue;
        }
        match cursor.value(wire_type)? {
            Raw::Bytes(bytes) => visit(bytes)?,
            _ => return Err(wrong_wire_type()),
        }
    }
    Ok(())
}
