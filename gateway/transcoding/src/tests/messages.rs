//! Random messages of any descriptor.

use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::descriptor;

/// Messages of type `name`, nested up to `depth` levels.
pub(super) fn message(name: &str, depth: u32) -> BoxedStrategy<DynamicMessage> {
    any_message(descriptor(name), depth)
}

fn any_message(message: MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    if let Some(strategy) = well_known(&message, depth) {
        return strategy;
    }
    let fields: Vec<_> = message
        .fields()
        .filter(|field| depth > 0 || !contains_message(field))
        .map(|field| {
            let value = option::weighted(0.6, any_field(&field, depth));
            (Just(field), value).boxed()
        })
        .collect();
    fields
        .prop_map(move |fields| {
            let mut dynamic = DynamicMessage::new(message.clone());
            for (field, value) in fields {
                if let Some(value) = value {
                    dynamic.set_field(&field, value);
                }
            }
            dynamic
        })
        .boxed()
}

fn contains_message(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) if message.is_map_entry() => {
            matches!(message.map_entry_value_field().kind(), Kind::Message(_))
        }
        Kind::Message(_) => true,
        _ => false,
    }
}

fn any_field(field: &FieldDescriptor, depth: u32) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let key = any_key(&entry.map_entry_key_field().kind());
            let value = any_value(&entry.map_entry_value_field().kind(), depth);
            hash_map(key, value, 0..4).prop_map(Value::Map).boxed()
        }
        kind if field.is_list() => vec(any_value(&kind, depth), 0..4)
            .prop_map(Value::List)
            .boxed(),
        kind => any_value(&kind, depth),
    }
}

fn any_key(kind: &Kind) -> BoxedStrategy<MapKey> {
    match kind {
        Kind::String => any_text().prop_map(MapKey::String).boxed(),
        Kind::Bool => any::<bool>().prop_map(MapKey::Bool).boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => any::<i32>().prop_map(MapKey::I32).boxed(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => any::<i64>().prop_map(MapKey::I64).boxed(),
        Kind::Uint32 | Kind::Fixed32 => any::<u32>().prop_map(MapKey::U32).boxed(),
        _ => any::<u64>().prop_map(MapKey::U64).boxed(),
    }
}

fn any_value(kind: &Kind, depth: u32) -> BoxedStrategy<Value> {
    match kind {
        Kind::Double => any_double().prop_map(Value::F64).boxed(),
        Kind::Float => any_float().prop_map(Value::F32).boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            prop_oneof![select(vec![0, 1, -1, i32::MIN, i32::MAX]), any::<i32>()]
                .prop_map(Value::I32)
                .boxed()
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            let edges = vec![
                0,
                1,
                -1,
                i64::MIN,
                i64::MAX,
                1 << 53,
                (1 << 53) + 1,
                -(1 << 53),
                -(1 << 53) - 1,
            ];
            prop_oneof![select(edges), any::<i64>()]
                .prop_map(Value::I64)
                .boxed()
        }
        Kind::Uint32 | Kind::Fixed32 => prop_oneof![Just(0), any::<u32>()]
            .prop_map(Value::U32)
            .boxed(),
        Kind::Uint64 | Kind::Fixed64 => prop_oneof![select(vec![0, u64::MAX]), any::<u64>()]
            .prop_map(Value::U64)
            .boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => any_text().prop_map(Value::String).boxed(),
        Kind::Bytes => vec(any::<u8>(), 0..24)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
        Kind::Enum(values) => {
            let known: Vec<i32> = values.values().map(|value| value.number()).collect();
            if values.full_name() == "google.protobuf.NullValue" {
                Just(Value::EnumNumber(0)).boxed()
            } else {
                prop_oneof![9 => select(known), 1 => any::<i32>()]
                    .prop_map(Value::EnumNumber)
                    .boxed()
            }
        }
        Kind::Message(message) => any_message(message.clone(), depth.saturating_sub(1))
            .prop_map(Value::Message)
            .boxed(),
    }
}

fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[ -~]{0,20}",
        2 => ".{0,12}",
        1 => "[\\x00-\\x1f\"\\\\/]{0,12}",
        1 => "[a-z]{120,140}",
    ]
    .boxed()
}

fn any_double() -> BoxedStrategy<f64> {
    let edges = vec![
        0.0,
        -0.0,
        1.0,
        -1.5,
        1e21,
        1e-7,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
    ];
    prop_oneof![select(edges), any::<f64>()].boxed()
}

fn any_float() -> BoxedStrategy<f32> {
    let edges = vec![
        0.0,
        -0.0,
        1.0,
        0.1,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
    ];
    prop_oneof![select(edges), any::<f32>()].boxed()
}

/// Values that the JSON form of a well-known type can express.
fn well_known(message: &MessageDescriptor, depth: u32) -> Option<BoxedStrategy<DynamicMessage>> {
    let make = {
        let message = message.clone();
        move |fields: Vec<(&'static str, Value)>| {
            let mut dynamic = DynamicMessage::new(message.clone());
            for (name, value) in fields {
                dynamic.set_field_by_name(name, value);
            }
            dynamic
        }
    };
    let strategy = match message.full_name() {
        "google.protobuf.Timestamp" => (-62_135_596_800_i64..=253_402_300_799, any_nanos())
            .prop_map(move |(seconds, nanos)| {
                make(vec![
                    ("seconds", Value::I64(seconds)),
                    ("nanos", Value::I32(nanos)),
                ])
            })
            .boxed(),
        "google.protobuf.Duration" => (0..=315_576_000_000_i64, any_nanos(), any::<bool>())
            .prop_map(move |(seconds, nanos, negative)| {
                let sign = if negative { -1 } else { 1 };
                make(vec![
                    ("seconds", Value::I64(seconds * i64::from(sign))),
                    ("nanos", Value::I32(nanos * sign)),
                ])
            })
            .boxed(),
        "google.protobuf.FieldMask" => vec("[a-z]{1,4}(_[a-z]{1,3})?(\\.[a-z]{1,3}){0,2}", 0..4)
            .prop_map(move |paths| {
                make(vec![(
                    "paths",
                    Value::List(paths.into_iter().map(Value::String).collect()),
                )])
            })
            .boxed(),
        "google.protobuf.DoubleValue" => any_double()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(move |value| make(vec![("value", Value::F64(value))]))
            .boxed(),
        "google.protobuf.FloatValue" => any_float()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(move |value| make(vec![("value", Value::F32(value))]))
            .boxed(),
        "google.protobuf.Value" => any_json_value(message.clone(), depth),
        "google.protobuf.Any" => any_any(make),
        _ => return None,
    };
    Some(strategy)
}

fn any_nanos() -> BoxedStrategy<i32> {
    prop_oneof![Just(0), Just(500_000_000), Just(1_000), 0..1_000_000_000].boxed()
}

fn any_json_value(message: MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    let mut kinds = vec!["null_value", "number_value", "string_value", "bool_value"];
    if depth > 0 {
        kinds.extend(["struct_value", "list_value"]);
    }
    select(kinds)
        .prop_flat_map(move |name| {
            let message = message.clone();
            let field = message.get_field_by_name(name).unwrap();
            let value = match field.kind() {
                Kind::Double => (-1e300..1e300_f64).prop_map(Value::F64).boxed(),
                kind => any_value(&kind, depth),
            };
            value.prop_map(move |value| {
                let mut dynamic = DynamicMessage::new(message.clone());
                dynamic.set_field(&field, value);
                dynamic
            })
        })
        .boxed()
}

fn any_any(
    make: impl Fn(Vec<(&'static str, Value)>) -> DynamicMessage + 'static,
) -> BoxedStrategy<DynamicMessage> {
    let inner = prop_oneof![
        message("Scalars", 0),
        message("google.protobuf.Timestamp", 0),
        message("google.protobuf.StringValue", 0),
        message("google.protobuf.Struct", 1),
    ];
    inner
        .prop_map(move |inner| {
            let type_url = format!("type.googleapis.com/{}", inner.descriptor().full_name());
            make(vec![
                ("type_url", Value::String(type_url)),
                ("value", Value::Bytes(inner.encode_to_vec().into())),
            ])
        })
        .boxed()
}
