//! Maps.
//!
//! The entries are printed in the order of their keys. On the wire they stand in whatever order a
//! hash table had them, and equal messages should give equal JSON: an `ETag` depends on it.

use super::object::zero;
use super::{Stop, Writer, text, wrong_wire_type};
use crate::schema::{Field, Kind};
use crate::wire::{Cursor, Raw, unzigzag};

/// One entry with its key read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    key: Key<'a>,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Text(&'a [u8]),
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
}

impl Writer<'_, '_> {
    /// Reads the key of an entry.
    pub(super) fn map_entry<'a>(&self, field: &Field, raw: Raw<'a>) -> Result<Entry<'a>, Stop> {
        let (Raw::Bytes(bytes), Kind::Message(id)) = (raw, field.kind) else {
            return Err(wrong_wire_type());
        };
        let kind = self.schema.message(id).fields[0].kind;
        let mut raw = zero(kind);
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            match number {
                1 => raw = cursor.value(wire_type)?,
                _ => cursor.skip(number, wire_type)?,
            }
        }
        let key = match (kind, raw) {
            (Kind::String, Raw::Bytes(bytes)) => Key::Text(bytes),
            (Kind::Bool, Raw::Varint(value)) => Key::Bool(value != 0),
            (Kind::Int32, Raw::Varint(value)) => Key::Signed(i64::from(value as i32)),
            (Kind::Int64, Raw::Varint(value)) => Key::Signed(value as i64),
            (Kind::Sint32, Raw::Varint(value)) => Key::Signed(unzigzag(u64::from(value as u32))),
            (Kind::Sint64, Raw::Varint(value)) => Key::Signed(unzigzag(value)),
            (Kind::Sfixed32, Raw::Fixed32(value)) => Key::Signed(i64::from(value as i32)),
            (Kind::Sfixed64, Raw::Fixed64(value)) => Key::Signed(value as i64),
            (Kind::Uint32, Raw::Varint(value)) => Key::Unsigned(u64::from(value as u32)),
            (Kind::Fixed32, Raw::Fixed32(value)) => Key::Unsigned(u64::from(value)),
            (Kind::Uint64, Raw::Varint(value)) | (Kind::Fixed64, Raw::Fixed64(value)) => {
                Key::Unsigned(value)
            }
            _ => return Err(wrong_wire_type()),
        };
        Ok(Entry { key, bytes })
    }

    /// A map field with its name and a comma. Of entries with equal keys the last one wins.
    pub(super) fn map(
        &mut self,
        field: &Field,
        entries: &mut [Entry<'_>],
        depth: usize,
    ) -> Result<(), Stop> {
        let Kind::Message(id) = field.kind else {
            return Err(wrong_wire_type());
        };
        let kind = self.schema.message(id).fields[1].kind;
        self.out.extend_from_slice(&field.key);
        self.out.push(b'{');
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        for same in entries.chunk_by(|a, b| a.key == b.key) {
            let Some(entry) = same.last() else { continue };
            self.map_key(entry.key)?;
            self.map_value(kind, entry.bytes, depth)?;
            self.out.push(b',');
        }
        self.close(b'}');
        self.out.push(b',');
        Ok(())
    }

    fn map_key(&mut self, key: Key<'_>) -> Result<(), Stop> {
        if let Key::Text(bytes) = key {
            text::put_untrusted_string(bytes, self.out)?;
        } else {
            let mut buffer = itoa::Buffer::new();
            let text = match key {
                Key::Signed(value) => buffer.format(value),
                Key::Unsigned(value) => buffer.format(value),
                Key::Bool(true) => "true",
                Key::Bool(false) | Key::Text(_) => "false",
            };
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b':');
        Ok(())
    }

    fn map_value(&mut self, kind: Kind, entry: &[u8], depth: usize) -> Result<(), Stop> {
        let mut value = None;
        let mut cursor = Cursor::new(entry);
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            if number != 2 {
                cursor.skip(number, wire_type)?;
                continue;
            }
            if value.is_some() && matches!(kind, Kind::Message(_)) {
                return self.value(kind, Raw::Bytes(&merged(entry, 2)?), depth);
            }
            value = Some(cursor.value(wire_type)?);
        }
        let absent = match kind {
            Kind::Message(_) => Raw::Bytes(&[]),
            kind => zero(kind),
        };
        self.value(kind, value.unwrap_or(absent), depth)
    }
}

/// The bytes of all occurrences of the message field `number`, one after the other.
pub(super) fn merged(data: &[u8], number: u32) -> Result<Vec<u8>, Stop> {
    let mut all = Vec::new();
    let mut cursor = Cursor::new(data);
    while !cursor.is_empty() {
        let (next, wire_type) = cursor.tag()?;
        if next != number {
            cursor.skip(next, wire_type)?;
            continue;
        }
        match cursor.value(wire_type)? {
            Raw::Bytes(bytes) => all.extend_from_slice(bytes),
            _ => return Err(wrong_wire_type()),
        }
    }
    Ok(all)
}
