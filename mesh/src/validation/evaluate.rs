//! Checking one message against its table.
//!
//! One pass over the wire bytes notes, per field that matters, the last payload and how many there
//! were; then each field is judged in the contract's order. Only repeated fields, maps and split
//! messages are walked again. A message that arrives in several pieces is never merged: its pieces are
//! read one after the other, which is what merging means on the wire.

use chrono::{DateTime, Utc};

use super::{
    Invalid, MAX_DEPTH, MAX_VIOLATIONS, Violation,
    collections::{entries, gather, is_unique},
    path::Path,
    table::{
        Content, Element, Field, List, Map, MessageTable, Presence, Rule, Rules, Shape, Tables,
    },
    text::{check_bytes, check_text},
    wellknown::{self, NANOS},
    wire::{Fields, Malformed, Raw, Scalar, Value},
};

type Clock = dyn Fn() -> DateTime<Utc> + Send + Sync;

/// One check of one message.
pub(super) struct Run<'v, 'a> {
    tables: &'v Tables,
    clock: Option<&'v Clock>,
    /// The slots of the messages being checked, innermost last.
    slots: Vec<Slot<'a>>,
    violations: Vec<Violation>,
}

/// What the first pass knows of a field.
#[derive(Debug, Clone, Copy)]
struct Slot<'a> {
    /// Values seen; for a repeated field its length, for a map its entries before duplicates go.
    count: usize,
    last: Raw<'a>,
}

const EMPTY: Slot<'static> = Slot {
    count: 0,
    last: Raw::Varint(0),
};

/// Why checking ends before the end.
enum Halt {
    Malformed,
    /// [`MAX_VIOLATIONS`] are found.
    Enough,
}

impl From<Malformed> for Halt {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The pieces of a message's encoding: nearly always one.
#[derive(Clone, Copy)]
struct Pieces<'s, 'a>(&'s [&'a [u8]]);

impl<'v, 'a> Run<'v, 'a> {
    pub(super) fn new(tables: &'v Tables, clock: Option<&'v Clock>) -> Self {
        Self {
            tables,
            clock,
            slots: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Checks `wire` against the table at `index`.
    pub(super) fn check(mut self, index: usize, wire: &'a [u8]) -> Result<(), Invalid> {
        match self.message(index, Pieces(&[wire]), &Path::root(), 0) {
            Err(Halt::Malformed) => Err(Invalid::Malformed),
            Ok(()) if self.violations.is_empty() => Ok(()),
            Ok(()) | Err(Halt::Enough) => Err(Invalid::Violations(self.violations)),
        }
    }

    fn message(
        &mut self,
        index: usize,
        pieces: Pieces<'_, 'a>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), Halt> {
        if depth > MAX_DEPTH {
            return Err(Halt::Malformed);
        }
        let table = &self.tables.tables[index];
        let base = self.slots.len();
        self.slots.resize(base + table.fields.len(), EMPTY);
        self.scan(table, base, pieces)?;
        for choice in &table.choices {
            let mut set = 0;
            for member in &choice.members {
                set += usize::from(self.is_set(&table.fields[*member], base + member)?);
            }
            if set > 1 {
                self.report(&choice.at_most_one, path)?;
            } else if let (0, Some(rule)) = (set, &choice.at_least_one) {
                self.report(rule, path)?;
            }
        }
        for oneof in &table.oneofs {
            if let Some((name, rule)) = &oneof.required
                && oneof
                    .members
                    .iter()
                    .all(|member| self.slots[base + member].count == 0)
            {
                self.report(rule, &path.field(name))?;
            }
        }
        for (at, field) in table.fields.iter().enumerate() {
            self.field(table, field, base + at, pieces, path, depth)?;
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// The first pass: fills the slots from `base` on.
    fn scan(
        &mut self,
        table: &MessageTable,
        base: usize,
        pieces: Pieces<'_, 'a>,
    ) -> Result<(), Malformed> {
        for piece in pieces.0 {
            let mut fields = Fields::new(piece);
            while let Some((number, raw)) = fields.next()? {
                let Some(at) = table.numbers.find(number) else {
                    continue;
                };
                let field = &table.fields[at];
                if let Some(oneof) = field.oneof {
                    for member in &table.oneofs[oneof].members {
                        if *member != at {
                            self.slots[base + member].count = 0;
                        }
                    }
                }
                let slot = &mut self.slots[base + at];
                slot.count += match &field.content {
                    Content::List(list) => match list.item.shape {
                        Shape::Scalar(scalar) => scalar.count(raw)?,
                        _ => 1,
                    },
                    Content::One(_) | Content::Map(_) => 1,
                };
                slot.last = raw;
            }
        }
        Ok(())
    }

    /// Whether the field counts as set: present, or not zero where presence is not tracked.
    fn is_set(&self, field: &Field, slot: usize) -> Result<bool, Malformed> {
        let slot = self.slots[slot];
        match (&field.content, field.presence) {
            (
                Content::One(Element {
                    shape: Shape::Scalar(scalar),
                    ..
                }),
                Presence::Implicit,
            ) if slot.count > 0 => Ok(!scalar.decode(slot.last)?.is_zero()),
            _ => Ok(slot.count > 0),
        }
    }

    fn field(
        &mut self,
        table: &MessageTable,
        field: &Field,
        at: usize,
        pieces: Pieces<'_, 'a>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), Halt> {
        let path = path.field(&field.name);
        let slot = self.slots[at];
        if (field.required.is_some() || field.ignore_zero || field.presence == Presence::Explicit)
            && !self.is_set(field, at)?
        {
            return match &field.required {
                Some(rule) => self.report(rule, &path),
                None => Ok(()),
            };
        }
        match &field.content {
            Content::One(element) => match element.shape {
                Shape::Scalar(scalar) => {
                    let raw = if slot.count == 0 {
                        scalar.zero()
                    } else {
                        slot.last
                    };
                    self.scalar(&element.rules, scalar.decode(raw)?, &path)
                }
                _ if slot.count == 1 => {
                    let piece = slot.last.delimited()?;
                    self.composite(element, Pieces(&[piece]), &path, depth)
                }
                _ => {
                    let merged = gather(table, field, pieces.0)?;
                    self.composite(element, Pieces(&merged), &path, depth)
                }
            },
            Content::List(list) => self.list(list, field.number, slot.count, pieces, &path, depth),
            Content::Map(map) => self.map(map, field.number, pieces, &path, depth),
        }
    }

    fn list(
        &mut self,
        list: &List,
        number: u32,
        count: usize,
        pieces: Pieces<'_, 'a>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), Halt> {
        self.size(count, &list.min, &list.max, path)?;
        if count == 0 || (list.unique.is_none() && list.item.is_idle()) {
            return Ok(());
        }
        if let Some(rule) = &list.unique
            && !is_unique(list, number, pieces.0)?
        {
            self.report(rule, path)?;
        }
        if list.item.is_idle() {
            return Ok(());
        }
        let mut index = 0;
        for piece in pieces.0 {
            let mut fields = Fields::new(piece);
            while let Some((at, raw)) = fields.next()? {
                if at != number {
                    continue;
                }
                match list.item.shape {
                    Shape::Scalar(scalar) => {
                        let mut elements = scalar.elements(raw);
                        while let Some(raw) = elements.next()? {
                            let value = scalar.decode(raw)?;
                            if !(list.item.ignore_zero && value.is_zero()) {
                                self.scalar(&list.item.rules, value, &path.index(index))?;
                            }
                            index += 1;
                        }
                    }
                    _ => {
                        let piece = [raw.delimited()?];
                        self.composite(&list.item, Pieces(&piece), &path.index(index), depth)?;
                        index += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn map(
        &mut self,
        map: &Map,
        number: u32,
        pieces: Pieces<'_, 'a>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), Halt> {
        let entries = entries(map, number, pieces.0)?;
        self.size(entries.len(), &map.min, &map.max, path)?;
        if map.key.is_idle() && map.value.is_idle() {
            return Ok(());
        }
        for (key, entry) in entries {
            let path = path.key(key);
            if !(map.key.ignore_zero && key.is_zero()) {
                self.scalar(&map.key.rules, key, &path)?;
            }
            match map.value.shape {
                Shape::Scalar(scalar) => {
                    let value = wellknown::last(&[entry], 2, scalar)?;
                    if !(map.value.ignore_zero && value.is_zero()) {
                        self.scalar(&map.value.rules, value, &path)?;
                    }
                }
                _ => {
                    let mut value = Vec::new();
                    let mut fields = Fields::new(entry);
                    while let Some((at, raw)) = fields.next()? {
                        if at == 2 {
                            value.push(raw.delimited()?);
                        }
                    }
                    self.composite(&map.value, Pieces(&value), &path, depth)?;
                }
            }
        }
        Ok(())
    }

    fn size(
        &mut self,
        count: usize,
        min: &Option<(u64, Rule)>,
        max: &Option<(u64, Rule)>,
        path: &Path<'_>,
    ) -> Result<(), Halt> {
        if let Some((min, rule)) = min
            && (count as u64) < *min
        {
            self.report(rule, path)?;
        }
        if let Some((max, rule)) = max
            && count as u64 > *max
        {
            self.report(rule, path)?;
        }
        Ok(())
    }

    /// Any value that is a message on the wire.
    fn composite(
        &mut self,
        element: &Element,
        pieces: Pieces<'_, 'a>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), Halt> {
        let clock = self.clock;
        match (element.shape, &element.rules) {
            (Shape::Nested(index), _) => self.message(index, pieces, path, depth + 1),
            (_, Rules::None) => Ok(()),
            (Shape::Wrapper(scalar), rules) => {
                self.scalar(rules, wellknown::last(pieces.0, 1, scalar)?, path)
            }
            (_, Rules::Moment(rules)) => {
                let value = wellknown::moment(pieces.0)?;
                let now = || clock.map(|now| nanoseconds(now()));
                self.collect(path, |report| rules.check(value, now, report))
            }
            (_, Rules::Mask(rules)) => {
                let mut outcome = Ok(());
                self.collect(path, |report| outcome = rules.check(pieces.0, report))?;
                Ok(outcome?)
            }
            (_, Rules::Any(rules)) => match wellknown::last(pieces.0, 1, Scalar::String)? {
                Value::Text(type_url) => self.collect(path, |report| rules.check(type_url, report)),
                _ => Err(Halt::Malformed),
            },
            // Compilation pairs every other rule with a scalar.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, rules: &Rules, value: Value<'_>, path: &Path<'_>) -> Result<(), Halt> {
        match (rules, value) {
            (Rules::None, _) => Ok(()),
            (Rules::Text(rules), Value::Text(text)) => {
                self.collect(path, |report| check_text(rules, text, report))
            }
            (Rules::Signed(rules), Value::Signed(number)) => {
                self.collect(path, |report| rules.check(number, true, report))
            }
            (Rules::Unsigned(rules), Value::Unsigned(number)) => {
                self.collect(path, |report| rules.check(number, true, report))
            }
            (Rules::Float(rules), Value::Float(number)) => self.collect(path, |report| {
                rules.check(number, number.is_finite(), report)
            }),
            (Rules::Bool(wanted, rule), Value::Bool(flag)) if *wanted != flag => {
                self.report(rule, path)
            }
            (Rules::Bytes(rules), Value::Bytes(bytes)) => {
                self.collect(path, |report| check_bytes(rules, bytes, report))
            }
            // Compilation pairs rules with their type, so what is left is a bool that fits.
            _ => Ok(()),
        }
    }

    /// Runs `check`, which reports the rules that the value at `path` breaks.
    fn collect(
        &mut self,
        path: &Path<'_>,
        check: impl FnOnce(&mut dyn FnMut(&Rule)),
    ) -> Result<(), Halt> {
        let violations = &mut self.violations;
        check(&mut |rule| {
            if violations.len() < MAX_VIOLATIONS {
                violations.push(Violation {
                    field: path.to_string(),
                    rule: rule.id.to_string(),
                    message: rule.message.to_string(),
                });
            }
        });
        if self.violations.len() < MAX_VIOLATIONS {
            Ok(())
        } else {
            Err(Halt::Enough)
        }
    }

    fn report(&mut self, rule: &Rule, path: &Path<'_>) -> Result<(), Halt> {
        self.collect(path, |report| report(rule))
    }
}

fn nanoseconds(time: DateTime<Utc>) -> i128 {
    i128::from(time.timestamp()) * NANOS + i128::from(time.timestamp_subsec_nanos())
}
