//! From descriptors to tables.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as DescriptorKind, MessageDescriptor};

use super::{
    EnumId, EnumTable, Field, Form, Kind, MessageId, MessageTable, NO_ONEOF, Packing, Schema, Shape,
};
use crate::names::NameTable;
use crate::options::{Defaults, Int64, JsonStyle, Names};
use crate::wire::{Tag, WireType};
use crate::writer::put_string;

struct Compiler<'a> {
    messages: HashMap<&'a str, MessageId>,
    enums: HashMap<&'a str, EnumId>,
    tables: Vec<EnumTable>,
    style: JsonStyle,
}

impl Schema {
    /// Compiles every message and enum of the pool.
    pub(crate) fn compile(pool: &DescriptorPool, style: JsonStyle) -> Self {
        let messages: Vec<MessageDescriptor> = pool.all_messages().collect();
        let enums: Vec<_> = pool.all_enums().collect();
        let compiler = Compiler {
            messages: messages
                .iter()
                .map(MessageDescriptor::full_name)
                .zip((0..).map(MessageId))
                .collect(),
            enums: enums
                .iter()
                .map(|e| e.full_name())
                .zip((0..).map(EnumId))
                .collect(),
            tables: enums.iter().map(|e| EnumTable::new(e, &style)).collect(),
            style,
        };
        Self {
            messages: messages
                .iter()
                .map(|message| compiler.message(message))
                .collect(),
            by_name: compiler
                .messages
                .iter()
                .map(|(name, id)| ((*name).into(), *id))
                .collect(),
            enums: compiler.tables,
            style,
        }
    }
}

impl Compiler<'_> {
    fn message(&self, message: &MessageDescriptor) -> MessageTable {
        let mut descriptors: Vec<FieldDescriptor> = message
            .fields()
            // Groups are not part of proto3: on the wire they are skipped, in JSON they are unknown.
            .filter(|field| !field.is_group())
            .collect();
        descriptors.sort_by_key(FieldDescriptor::number);
        descriptors.truncate(usize::from(u16::MAX));

        let mut oneofs = HashMap::new();
        let mut fields = Vec::with_capacity(descriptors.len());
        let mut defaults = Vec::new();
        let mut default_ends = Vec::new();
        for descriptor in &descriptors {
            let oneof = match descriptor.containing_oneof() {
                Some(oneof) if !oneof.is_synthetic() => {
                    let next = oneofs.len() as u16;
                    *oneofs.entry(oneof.full_name().to_owned()).or_insert(next)
                }
                _ => NO_ONEOF,
            };
            let field = self.field(descriptor, oneof);
            if self.style.defaults == Defaults::Present {
                self.put_default(&field, &mut defaults);
            }
            default_ends.push(defaults.len() as u32);
            fields.push(field);
        }

        let proto_names = descriptors.iter().map(|field| field.name());
        let json_names = descriptors.iter().map(|field| field.json_name());
        let by_name = NameTable::new(
            proto_names
                .zip(0_u16..)
                .chain(json_names.zip(0_u16..))
                .map(|(name, index)| (name.as_bytes().to_vec(), index)),
        );
        MessageTable {
            full_name: message.full_name().into(),
            form: form(message, &fields),
            by_number: by_number(&fields),
            fields: fields.into_boxed_slice(),
            by_name,
            defaults: defaults.into_boxed_slice(),
            default_ends: default_ends.into_boxed_slice(),
        }
    }

    fn field(&self, descriptor: &FieldDescriptor, oneof: u16) -> Field {
        let kind = self.kind(&descriptor.kind());
        let shape = if descriptor.is_map() {
            Shape::Map
        } else if descriptor.is_list() {
            Shape::Repeated(
                if descriptor.is_packed() && kind.wire_type() != WireType::Bytes {
                    Packing::Packed
                } else {
                    Packing::Expanded
                },
            )
        } else if descriptor.supports_presence() {
            Shape::Explicit
        } else {
            Shape::Implicit
        };
        let mut key = Vec::new();
        let name = match self.style.names {
            Names::Proto => descriptor.name(),
            Names::Camel => descriptor.json_name(),
        };
        put_string(name, &mut key);
        key.push(b':');
        let null_is_value = match descriptor.kind() {
            DescriptorKind::Message(message) => message.full_name() == "google.protobuf.Value",
            DescriptorKind::Enum(value) => value.full_name() == "google.protobuf.NullValue",
            _ => false,
        };
        Field {
            number: descriptor.number(),
            kind,
            shape,
            oneof,
            tag: Tag::new(descriptor.number(), kind.wire_type()),
            packed_tag: Tag::new(descriptor.number(), WireType::Bytes),
            key: key.into_boxed_slice(),
            name: descriptor.name().into(),
            null_is_value: null_is_value && !descriptor.is_list() && !descriptor.is_map(),
        }
    }

    fn kind(&self, kind: &DescriptorKind) -> Kind {
        match kind {
            DescriptorKind::Double => Kind::Double,
            DescriptorKind::Float => Kind::Float,
            DescriptorKind::Int32 => Kind::Int32,
            DescriptorKind::Int64 => Kind::Int64,
            DescriptorKind::Uint32 => Kind::Uint32,
            DescriptorKind::Uint64 => Kind::Uint64,
            DescriptorKind::Sint32 => Kind::Sint32,
            DescriptorKind::Sint64 => Kind::Sint64,
            DescriptorKind::Fixed32 => Kind::Fixed32,
            DescriptorKind::Fixed64 => Kind::Fixed64,
            DescriptorKind::Sfixed32 => Kind::Sfixed32,
            DescriptorKind::Sfixed64 => Kind::Sfixed64,
            DescriptorKind::Bool => Kind::Bool,
            DescriptorKind::String => Kind::String,
            DescriptorKind::Bytes => Kind::Bytes,
            DescriptorKind::Message(message) => Kind::Message(self.messages[message.full_name()]),
            DescriptorKind::Enum(value) => Kind::Enum(self.enums[value.full_name()]),
        }
    }

    fn put_default(&self, field: &Field, out: &mut Vec<u8>) {
        let value: &[u8] = match (field.shape, field.kind) {
            (Shape::Explicit, _) => return,
            (Shape::Repeated(_), _) => b"[]",
            (Shape::Map, _) => b"{}",
            (Shape::Implicit, kind) => match kind {
                Kind::Double | Kind::Float => b"0.0",
                Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64
                    if self.style.int64 == Int64::String =>
                {
                    b"\"0\""
                }
                Kind::Bool => b"false",
                Kind::String | Kind::Bytes => b"\"\"",
                Kind::Enum(id) => self.tables[id.0 as usize].json(0).unwrap_or(b"0"),
                Kind::Message(_) => return,
                _ => b"0",
            },
        };
        out.extend_from_slice(&field.key);
        out.extend_from_slice(value);
        out.push(b',');
    }
}

fn form(message: &MessageDescriptor, fields: &[Field]) -> Form {
    match message.full_name() {
        "google.protobuf.Any" => Form::Any,
        "google.protobuf.Timestamp" => Form::Timestamp,
        "google.protobuf.Duration" => Form::Duration,
        "google.protobuf.FieldMask" => Form::FieldMask,
        "google.protobuf.Struct" => Form::Struct,
        "google.protobuf.Value" => Form::Value,
        "google.protobuf.ListValue" => Form::ListValue,
        "google.api.HttpBody" => Form::HttpBody,
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue"
            if matches!(fields, [field] if field.number == 1 && field.shape == Shape::Implicit) =>
        {
            Form::Wrapper
        }
        _ => Form::Object,
    }
}

/// A dense table when the numbers are, and otherwise none.
fn by_number(fields: &[Field]) -> Box<[u16]> {
    let largest = fields.last().map_or(0, |field| field.number) as usize;
    if largest > fields.len() * 8 + 64 {
        return Box::default();
    }
    let mut table = vec![u16::MAX; largest + 1];
    for (field, index) in fields.iter().zip(0..) {
        table[field.number as usize] = index;
    }
    table.into_boxed_slice()
}
