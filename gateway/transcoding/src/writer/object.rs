//! The fields of a message.

use super::{Mode, Stop, Writer, scalar::is_default, wrong_wire_type};
use crate::schema::{Field, Kind, MessageId, MessageTable, NO_ONEOF, Shape};
use crate::wire::{Cursor, Raw, WireType};

/// One occurrence of a field.
#[derive(Debug, Clone, Copy)]
struct Occurrence<'a> {
    field: u16,
    raw: Raw<'a>,
}

impl Writer<'_, '_> {
    /// All fields of an object, each followed by a comma.
    pub(super) fn fields(
        &mut self,
        table: &MessageTable,
        data: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        match self.mode {
            Mode::Hopeful => self.fields_in_order(table, data, depth),
            Mode::Patient => self.fields_in_any_order(table, data, depth),
        }
    }

    fn fields_in_order(
        &mut self,
        table: &MessageTable,
        data: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        let mut cursor = Cursor::new(data);
        let mut next = 0;
        let mut oneofs = 0_u64;
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            let Some(index) = table.index_of(number) else {
                cursor.skip(number, wire_type)?;
                continue;
            };
            if index != next {
                if index < next {
                    return Err(Stop::OutOfOrder);
                }
                self.out.extend_from_slice(table.defaults(next..index));
            }
            next = index + 1;
            let field = &table.fields[index];
            let raw = cursor.value(wire_type)?;
            match field.shape {
                Shape::Implicit | Shape::Explicit => {
                    if field.oneof != NO_ONEOF {
                        // Beyond 64 oneofs two may share a bit: then order is doubted in vain.
                        let bit = 1 << (field.oneof & 63);
                        if oneofs & bit != 0 {
                            return Err(Stop::OutOfOrder);
                        }
                        oneofs |= bit;
                    }
                    self.singular(field, raw, depth)?;
                }
                Shape::Repeated(_) => {
                    let start = self.open_list(field);
                    self.elements(field, raw, depth)?;
                    while let Some(wire_type) = cursor.tag_of(number)? {
                        self.elements(field, cursor.value(wire_type)?, depth)?;
                    }
                    self.close_list(start);
                }
                Shape::Map => {
                    let mut entries = Vec::with_capacity(8);
                    entries.push(self.map_entry(field, raw)?);
                    while let Some(wire_type) = cursor.tag_of(number)? {
                        entries.push(self.map_entry(field, cursor.value(wire_type)?)?);
                    }
                    self.map(field, &mut entries, depth)?;
                }
            }
        }
        self.out
            .extend_from_slice(table.defaults(next..table.fields.len()));
        Ok(())
    }

    fn fields_in_any_order(
        &mut self,
        table: &MessageTable,
        data: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        let occurrences = occurrences(table, data)?;
        let mut next = 0;
        for run in occurrences.chunk_by(|a, b| a.field == b.field) {
            let index = usize::from(run[0].field);
            self.out.extend_from_slice(table.defaults(next..index));
            next = index + 1;
            self.occurrences_of(&table.fields[index], run, depth)?;
        }
        self.out
            .extend_from_slice(table.defaults(next..table.fields.len()));
        Ok(())
    }

    fn occurrences_of(
        &mut self,
        field: &Field,
        run: &[Occurrence<'_>],
        depth: usize,
    ) -> Result<(), Stop> {
        match field.shape {
            Shape::Implicit | Shape::Explicit => match (field.kind, run) {
                (Kind::Message(_), [_, _, ..]) => {
                    self.singular(field, Raw::Bytes(&concatenated(run)?), depth)
                }
                (_, [.., last]) => self.singular(field, last.raw, depth),
                (_, []) => Ok(()),
            },
            Shape::Repeated(_) => {
                let start = self.open_list(field);
                for occurrence in run {
                    self.elements(field, occurrence.raw, depth)?;
                }
                self.close_list(start);
                Ok(())
            }
            Shape::Map => {
                let mut entries = run
                    .iter()
                    .map(|occurrence| self.map_entry(field, occurrence.raw))
                    .collect::<Result<Vec<_>, _>>()?;
                self.map(field, &mut entries, depth)
            }
        }
    }

    /// One field by itself, as the body of a response.
    pub(super) fn single_field(
        &mut self,
        id: MessageId,
        index: usize,
        data: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        let table = self.schema.message(id);
        let field = &table.fields[index];
        let mut occurrences = occurrences(table, data)?;
        occurrences.retain(|occurrence| usize::from(occurrence.field) == index);
        let start = self.out.len();
        if !occurrences.is_empty() {
            self.occurrences_of(field, &occurrences, depth)?;
        }
        if self.out.len() == start {
            let json: &[u8] = match (field.shape, field.kind) {
                (Shape::Repeated(_), _) => b"[]",
                (Shape::Map, _) => b"{}",
                (_, Kind::Message(id)) => return self.message(id, &[], depth),
                (_, kind) => return self.scalar(kind, zero(kind)),
            };
            self.out.extend_from_slice(json);
            return Ok(());
        }
        // What was written is a member of an object: drop its name and its comma.
        self.out.truncate(self.out.len() - 1);
        self.out.drain(start..start + field.key.len());
        Ok(())
    }

    #[inline]
    pub(super) fn key(&mut self, field: &Field) {
        self.out.extend_from_slice(&field.key);
    }

    #[inline]
    fn singular(&mut self, field: &Field, raw: Raw<'_>, depth: usize) -> Result<(), Stop> {
        if field.shape == Shape::Implicit
            && self.schema.omits_defaults()
            && is_default(field.kind, raw)
        {
            return Ok(());
        }
        self.key(field);
        self.value(field.kind, raw, depth)?;
        self.out.push(b',');
        Ok(())
    }

    /// One value of any kind.
    #[inline]
    pub(super) fn value(&mut self, kind: Kind, raw: Raw<'_>, depth: usize) -> Result<(), Stop> {
        match (kind, raw) {
            (Kind::Message(id), Raw::Bytes(bytes)) => self.message(id, bytes, depth),
            (kind, raw) => self.scalar(kind, raw),
        }
    }

    /// Begins a list and returns where it starts.
    fn open_list(&mut self, field: &Field) -> usize {
        let start = self.out.len();
        self.key(field);
        self.out.push(b'[');
        start
    }

    /// Ends a list; one that turned out empty is a default.
    fn close_list(&mut self, start: usize) {
        if self.out.last() == Some(&b'[') && self.schema.omits_defaults() {
            self.out.truncate(start);
            return;
        }
        self.close(b']');
        self.out.push(b',');
    }

    /// The element or, when packed, the elements of one occurrence, each followed by a comma.
    fn elements(&mut self, field: &Field, raw: Raw<'_>, depth: usize) -> Result<(), Stop> {
        let wire_type = field.kind.wire_type();
        if let Raw::Bytes(bytes) = raw
            && wire_type != WireType::Bytes
        {
            let mut cursor = Cursor::new(bytes);
            while !cursor.is_empty() {
                let raw = cursor.value(wire_type as u8)?;
                self.scalar(field.kind, raw)?;
                self.out.push(b',');
            }
            return Ok(());
        }
        self.value(field.kind, raw, depth)?;
        self.out.push(b',');
        Ok(())
    }
}

/// All occurrences that count, by field and then in the order of the wire.
fn occurrences<'a>(table: &MessageTable, data: &'a [u8]) -> Result<Vec<Occurrence<'a>>, Stop> {
    let mut occurrences: Vec<Occurrence<'a>> = Vec::new();
    // By oneof: the member set last, and since which occurrence.
    let mut members: Vec<(u16, usize)> = Vec::new();
    let mut cursor = Cursor::new(data);
    while !cursor.is_empty() {
        let (number, wire_type) = cursor.tag()?;
        let Some(index) = table.index_of(number) else {
            cursor.skip(number, wire_type)?;
            continue;
        };
        let field = index as u16;
        let oneof = usize::from(table.fields[index].oneof);
        if table.fields[index].oneof != NO_ONEOF {
            if members.len() <= oneof {
                members.resize(oneof + 1, (u16::MAX, 0));
            }
            if members[oneof].0 != field {
                members[oneof] = (field, occurrences.len());
            }
        }
        let raw = cursor.value(wire_type)?;
        occurrences.push(Occurrence { field, raw });
    }
    if !members.is_empty() {
        let mut at = 0;
        occurrences.retain(|occurrence| {
            let position = at;
            at += 1;
            match members.get(usize::from(
                table.fields[usize::from(occurrence.field)].oneof,
            )) {
                Some(&(member, since)) => member == occurrence.field && position >= since,
                None => true,
            }
        });
    }
    occurrences.sort_by_key(|occurrence| occurrence.field);
    Ok(occurrences)
}

/// The bytes of a message field, its occurrences merged; none when it is not set.
pub(super) fn merged_field(
    table: &MessageTable,
    field: usize,
    data: &[u8],
) -> Result<Vec<u8>, Stop> {
    let mut occurrences = occurrences(table, data)?;
    occurrences.retain(|occurrence| usize::from(occurrence.field) == field);
    concatenated(&occurrences)
}

/// The bytes of several occurrences of a message, one after the other: reading them is the same as
/// merging the messages.
fn concatenated(run: &[Occurrence<'_>]) -> Result<Vec<u8>, Stop> {
    let mut all = Vec::new();
    for occurrence in run {
        match occurrence.raw {
            Raw::Bytes(bytes) => all.extend_from_slice(bytes),
            _ => return Err(wrong_wire_type()),
        }
    }
    Ok(all)
}

/// The default value of a kind that is not a message.
pub(super) fn zero(kind: Kind) -> Raw<'static> {
    match kind.wire_type() {
        WireType::Varint => Raw::Varint(0),
        WireType::Fixed64 => Raw::Fixed64(0),
        WireType::Bytes => Raw::Bytes(&[]),
        WireType::Fixed32 => Raw::Fixed32(0),
    }
}
