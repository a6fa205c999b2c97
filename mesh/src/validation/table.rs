//! The compiled form of the rules: what [`super::evaluate`] walks.
//!
//! A message's table holds only the fields that matter: those with rules, those whose message has
//! rules somewhere below, and those whose presence a oneof rule asks about.

use std::collections::HashMap;

use super::{
    ordered::Ordered,
    text::{BytesRules, TextRules},
    wellknown::{MaskRules, MomentRules, TypeRules},
    wire::Scalar,
};

/// What a violation of a rule reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: Box<str>,
    pub(super) message: Box<str>,
}

impl Rule {
    pub(super) fn new(id: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        Self {
            id: id.into(),
            message: message.into(),
        }
    }
}

/// All tables of a pool. An entry of `None` is a message without rules anywhere below it.
pub(super) struct Tables {
    pub(super) messages: HashMap<Box<str>, Option<usize>>,
    pub(super) methods: HashMap<Box<str>, Option<usize>>,
    pub(super) tables: Vec<MessageTable>,
    /// The first field whose rules read the clock.
    pub(super) needs_clock: Option<String>,
}

/// One message's rules.
#[derive(Debug, Default)]
pub(super) struct MessageTable {
    pub(super) fields: Vec<Field>,
    /// Proto oneofs with a member in `fields`.
    pub(super) oneofs: Vec<Oneof>,
    /// `(buf.validate.message).oneof` rules.
    pub(super) choices: Vec<Choice>,
    pub(super) numbers: Numbers,
}

/// Field number → index in [`MessageTable::fields`].
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Index + 1 by number, for small numbers; 0 is no entry.
    dense: Box<[u16]>,
    /// The rest, sorted by number.
    sparse: Box<[(u32, u16)]>,
}

impl Numbers {
    pub(super) fn new(fields: &[Field]) -> Self {
        const DENSE: u32 = 128;
        let entries = || (0u16..).zip(fields).map(|(at, field)| (field.number, at));
        let small = entries().map(|(number, _)| number).filter(|n| *n < DENSE);
        let mut dense = vec![0; small.max().map_or(0, |max| max as usize + 1)];
        let mut sparse = Vec::new();
        for (number, at) in entries() {
            match dense.get_mut(number as usize) {
                Some(entry) => *entry = at + 1,
                None => sparse.push((number, at)),
            }
        }
        sparse.sort_unstable();
        Self {
            dense: dense.into(),
            sparse: sparse.into(),
        }
    }

    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(0) => None,
            Some(entry) => Some(usize::from(entry - 1)),
            None if self.sparse.is_empty() => None,
            None => {
                let at = self.sparse.binary_search_by_key(&number, |(n, _)| *n);
                at.ok().map(|at| usize::from(self.sparse[at].1))
            }
        }
    }
}

/// A proto oneof: setting one member clears the others.
#[derive(Debug)]
pub(super) struct Oneof {
    /// Indices in [`MessageTable::fields`].
    pub(super) members: Vec<usize>,
    /// Name and rule when a member must be set.
    pub(super) required: Option<(Box<str>, Rule)>,
}

/// At most one (or exactly one) of several fields may be set.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) members: Vec<usize>,
    pub(super) at_most_one: Rule,
    pub(super) at_least_one: Option<Rule>,
}

/// One field's rules.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: Box<str>,
    /// Whether an unset field differs from one set to its zero value.
    pub(super) presence: Presence,
    /// Index in [`MessageTable::oneofs`].
    pub(super) oneof: Option<usize>,
    pub(super) required: Option<Rule>,
    /// `IGNORE_IF_ZERO_VALUE`.
    pub(super) ignore_zero: bool,
    pub(super) content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Implicit,
    Explicit,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Content {
    One(Element),
    List(Box<List>),
    Map(Box<Map>),
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) min: Option<(u64, Rule)>,
    pub(super) max: Option<(u64, Rule)>,
    pub(super) unique: Option<Rule>,
    pub(super) item: Element,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) min: Option<(u64, Rule)>,
    pub(super) max: Option<(u64, Rule)>,
    pub(super) key_type: Scalar,
    pub(super) key: Element,
    pub(super) value: Element,
}

/// A single value: a field's, an item's, a map key's or a map value's.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) shape: Shape,
    pub(super) rules: Rules,
    /// `IGNORE_IF_ZERO_VALUE` on an item, key or value.
    pub(super) ignore_zero: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(Scalar),
    /// A message with its own table: first the index of the message in the pool, and after pruning the
    /// index of its table.
    Nested(usize),
    /// A message with no rules inside.
    Opaque,
    /// `google.protobuf.StringValue` and its like.
    Wrapper(Scalar),
    /// `google.protobuf.Timestamp` or `Duration`.
    Moment,
    /// `google.protobuf.FieldMask`.
    Mask,
    /// `google.protobuf.Any`.
    Any,
}

/// The rules of a single value.
#[derive(Debug)]
pub(super) enum Rules {
    None,
    Signed(Box<Ordered<i64>>),
    Unsigned(Box<Ordered<u64>>),
    Float(Box<Ordered<f64>>),
    Bool(bool, Rule),
    Text(TextRules),
    Bytes(BytesRules),
    Moment(Box<MomentRules>),
    Mask(Box<MaskRules>),
    Any(Box<TypeRules>),
}

impl Element {
    /// Whether there is nothing to check in the value itself.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.rules, Rules::None) && !matches!(self.shape, Shape::Nested(_))
    }
}
