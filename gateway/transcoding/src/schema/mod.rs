//! The tables that drive both directions, compiled once from the descriptors.

mod compile;
mod enums;

use std::collections::HashMap;
use std::ops::Range;

use crate::names::NameTable;
use crate::options::{Defaults, JsonStyle, Names};
use crate::wire::{Tag, WireType};

pub(crate) use enums::EnumTable;

/// Index of a message in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId(u32);

/// Index of an enum in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(u32);

/// All messages and enums of a descriptor pool.
#[derive(Debug)]
pub(crate) struct Schema {
    messages: Vec<MessageTable>,
    enums: Vec<EnumTable>,
    by_name: HashMap<Box<str>, MessageId>,
    style: JsonStyle,
}

/// One message.
#[derive(Debug)]
pub(crate) struct MessageTable {
    pub(crate) full_name: Box<str>,
    pub(crate) form: Form,
    /// Sorted by number, which is also the order of the JSON that is written.
    pub(crate) fields: Box<[Field]>,
    by_number: Box<[u16]>,
    by_name: NameTable<u16>,
    /// `"name":default,` of every field, one after the other.
    defaults: Box<[u8]>,
    default_ends: Box<[u32]>,
}

/// Which JSON form a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object of its fields.
    Object,
    /// `google.api.HttpBody`: an object of its fields, except where it stands for a raw HTTP body.
    HttpBody,
    /// The value of its single field, which has number 1.
    Wrapper,
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// Index of the `oneof` that the field is a member of, or [`NO_ONEOF`].
    pub(crate) oneof: u16,
    /// The tag of the field, or of one element of it.
    pub(crate) tag: Tag,
    /// The tag of all elements together.
    pub(crate) packed_tag: Tag,
    /// `"name":` in the style that is written.
    pub(crate) key: Box<[u8]>,
    pub(crate) name: Box<str>,
    /// Whether JSON `null` is a value of the field: `Value` and `NullValue`.
    pub(crate) null_is_value: bool,
}

/// The oneof of a field that is in none.
pub(crate) const NO_ONEOF: u16 = u16::MAX;

/// How often a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Singular; its default value means absence.
    Implicit,
    /// Singular; absence differs from the default.
    Explicit,
    /// A list, whose scalars are written packed or not.
    Repeated(Packing),
    /// A map, whose kind is the entry message.
    Map,
}

/// How the elements of a list are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Packed,
    Expanded,
}

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Bytes,
            _ => WireType::Varint,
        }
    }
}

impl Field {
    pub(crate) fn is_repeated(&self) -> bool {
        matches!(self.shape, Shape::Repeated(_) | Shape::Map)
    }
}

impl Schema {
    pub(crate) fn message(&self, id: MessageId) -> &MessageTable {
        &self.messages[id.0 as usize]
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &EnumTable {
        &self.enums[id.0 as usize]
    }

    pub(crate) fn find(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// The message that an `Any` names: what follows the last slash of its URL.
    pub(crate) fn find_url(&self, type_url: &str) -> Option<MessageId> {
        self.find(type_url.rsplit_once('/')?.1)
    }

    pub(crate) fn style(&self) -> &JsonStyle {
        &self.style
    }

    pub(crate) fn omits_defaults(&self) -> bool {
        self.style.defaults == Defaults::Omitted
    }

    pub(crate) fn writes_camel_case(&self) -> bool {
        self.style.names == Names::Camel
    }
}

impl MessageTable {
    /// Index of the field with this number.
    #[inline]
    pub(crate) fn index_of(&self, number: u32) -> Option<usize> {
        if self.by_number.is_empty() {
            return self
                .fields
                .binary_search_by_key(&number, |field| field.number)
                .ok();
        }
        match self.by_number.get(number as usize) {
            Some(&index) if index != u16::MAX => Some(usize::from(index)),
            _ => None,
        }
    }

    /// Index of the field with this proto name or JSON name.
    pub(crate) fn index_of_name(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).map(usize::from)
    }

    /// `"name":default,` of a range of fields.
    #[inline]
    pub(crate) fn defaults(&self, fields: Range<usize>) -> &[u8] {
        let end = |index: usize| {
            if index == 0 {
                0
            } else {
                self.default_ends[index - 1] as usize
            }
        };
        &self.defaults[end(fields.start)..end(fields.end)]
    }
}
