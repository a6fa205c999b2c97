//! Messages as JSON objects, and the lists and maps in them.

use super::Reader;
use super::fail::{Fail, Read};
use super::json::RawString;
use crate::captures::{PlanNode, Then};
use crate::error::RequestErrorKind::{DuplicateField, OneofConflict, PathConflict, UnknownField};
use crate::schema::{Field, Form, Kind, MessageId, MessageTable, NO_ONEOF, Packing, Shape};
use crate::wire::{begin_length, end_length};

/// A set of small numbers.
#[derive(Debug, Default)]
pub(super) struct Seen {
    low: u128,
    high: Vec<u16>,
}

impl Seen {
    /// Adds a number; `false` when it was there already.
    #[inline]
    pub(super) fn insert(&mut self, number: u16) -> bool {
        if number < 128 {
            let bit = 1 << number;
            let fresh = self.low & bit == 0;
            self.low |= bit;
            return fresh;
        }
        match self.high.binary_search(&number) {
            Ok(_) => false,
            Err(at) => {
                self.high.insert(at, number);
                true
            }
        }
    }
}

/// What kind of object the members belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Message,
    /// The message of an `Any`, which also has a member `@type`.
    Any,
}

impl Reader<'_, '_> {
    /// A message of any form.
    pub(super) fn message(&mut self, id: MessageId, plan: &[PlanNode]) -> Read<()> {
        let table = self.schema.message(id);
        match table.form {
            Form::Object | Form::HttpBody => {
                self.json.open(b'{', "an object")?;
                self.members(table, plan, Inside::Message)
            }
            form => self.well_known(form, table),
        }
    }

    /// The members of an object that is open already.
    pub(super) fn members(
        &mut self,
        table: &MessageTable,
        plan: &[PlanNode],
        inside: Inside,
    ) -> Read<()> {
        let mut seen = Seen::default();
        let mut oneofs = Seen::default();
        for node in plan {
            let oneof = table.fields[usize::from(node.field)].oneof;
            if oneof != NO_ONEOF {
                oneofs.insert(oneof);
            }
        }
        let mut next = 0;
        let mut first = true;
        while self.json.next(b'}', first)? {
            first = false;
            let name = self.json.name()?;
            // Clients tend to send fields in the order of the contract.
            let index = match table.fields.get(next) {
                Some(field) if field.name.as_bytes() == name.bytes && !name.escaped => next,
                _ => match self.index_of(table, name, inside)? {
                    Some(index) => index,
                    None => {
                        self.json.skip()?;
                        continue;
                    }
                },
            };
            next = index + 1;
            let field = &table.fields[index];
            let index = index as u16;
            if seen.insert(index) {
                self.member(field, index, plan, &mut oneofs)
            } else {
                Err(Fail::new(DuplicateField, "is given twice"))
            }
            .map_err(|fail| fail.in_field(&field.name))?;
        }
        Ok(())
    }

    /// The field of a name; `None` for a member that is to be skipped.
    #[inline]
    fn index_of(
        &self,
        table: &MessageTable,
        name: RawString<'_>,
        inside: Inside,
    ) -> Read<Option<usize>> {
        let name = name.text()?;
        if let Some(index) = table.index_of_name(&name) {
            return Ok(Some(index));
        }
        if inside == Inside::Any && *name == *b"@type" {
            return Ok(None);
        }
        Err(Fail::new(UnknownField, "no such field").in_field(&String::from_utf8_lossy(&name)))
    }

    /// The value of one member.
    pub(super) fn member(
        &mut self,
        field: &Field,
        index: u16,
        plan: &[PlanNode],
        oneofs: &mut Seen,
    ) -> Read<()> {
        if !field.null_is_value && self.json.null() {
            return Ok(());
        }
        let node = plan.iter().find(|node| node.field == index);
        if node.is_none() && field.oneof != NO_ONEOF && !oneofs.insert(field.oneof) {
            return Err(Fail::new(
                OneofConflict,
                "another field of the same choice is already set",
            ));
        }
        match node.map(|node| &node.then) {
            None => self.field(field, &[]),
            Some(Then::Inside(plan)) => self.field(field, plan),
            Some(Then::Captured(capture)) => {
                let start = self.out.len();
                self.field(field, &[])?;
                let range = self.captured.get(*capture).cloned().unwrap_or_default();
                if self.out[start..] != self.out[range] {
                    return Err(Fail::new(
                        PathConflict,
                        "differs from the value in the path",
                    ));
                }
                self.out.truncate(start);
                Ok(())
            }
        }
    }

    fn field(&mut self, field: &Field, plan: &[PlanNode]) -> Read<()> {
        match field.shape {
            Shape::Implicit | Shape::Explicit => {
                let start = self.out.len();
                self.out.extend_from_slice(field.tag.bytes());
                let is_default = self.value(field.kind, plan)?;
                if is_default && field.shape == Shape::Implicit {
                    self.out.truncate(start);
                }
                Ok(())
            }
            Shape::Repeated(packing) => self.list(field, packing),
            Shape::Map => self.map(field),
        }
    }

    /// One value without its tag, and whether it is the default of its kind.
    #[inline]
    pub(super) fn value(&mut self, kind: Kind, plan: &[PlanNode]) -> Read<bool> {
        match kind {
            Kind::Message(id) => {
                let start = begin_length(&mut self.out);
                self.message(id, plan)?;
                end_length(start, &mut self.out);
                Ok(false)
            }
            kind => self.scalar(kind),
        }
    }

    fn list(&mut self, field: &Field, packing: Packing) -> Read<()> {
        self.json.open(b'[', "an array")?;
        let start = self.out.len();
        let packed = (packing == Packing::Packed).then(|| {
            self.out.extend_from_slice(field.packed_tag.bytes());
            begin_length(&mut self.out)
        });
        let mut index = 0;
        while self.json.next(b']', index == 0)? {
            if packed.is_none() {
                self.out.extend_from_slice(field.tag.bytes());
            }
            self.value(field.kind, &[])
                .map_err(|fail| fail.in_element(index))?;
            index += 1;
        }
        match packed {
            Some(_) if index == 0 => self.out.truncate(start),
            Some(content) => drop(end_length(content, &mut self.out)),
            None => {}
        }
        Ok(())
    }

    fn map(&mut self, field: &Field) -> Read<()> {
        let Kind::Message(id) = field.kind else {
            return Ok(());
        };
        let entry = self.schema.message(id);
        let (key, value) = (&entry.fields[0], &entry.fields[1]);
        self.json.open(b'{', "an object")?;
        let mut keys = Vec::new();
        let mut first = true;
        while self.json.next(b'}', first)? {
            first = false;
            let name = self.json.name()?;
            self.out.extend_from_slice(field.tag.bytes());
            let start = begin_length(&mut self.out);
            self.out.extend_from_slice(key.tag.bytes());
            let at_key = |fail: Box<Fail>| fail.in_key(name.bytes);
            self.map_key(key.kind, name).map_err(at_key)?;
            let key_length = self.out.len() - start;
            self.out.extend_from_slice(value.tag.bytes());
            self.value(value.kind, &[]).map_err(at_key)?;
            let start = end_length(start, &mut self.out);
            keys.push(start..start + key_length);
        }
        self.refuse_equal(&keys)
    }

    fn map_key(&mut self, kind: Kind, name: RawString<'_>) -> Read<()> {
        match kind {
            Kind::String => self.string(name).map(drop),
            kind => {
                let text = name.text()?;
                self.scalar_text(kind, &text).map(drop)
            }
        }
    }

    /// Refuses a map in which two keys are encoded alike.
    pub(super) fn refuse_equal(&self, keys: &[std::ops::Range<usize>]) -> Read<()> {
        if keys.len() < 2 {
            return Ok(());
        }
        let mut encoded: Vec<&[u8]> = keys.iter().map(|key| &self.out[key.clone()]).collect();
        encoded.sort_unstable();
        if encoded.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Fail::new(DuplicateField, "holds the same key twice"));
        }
        Ok(())
    }
}
