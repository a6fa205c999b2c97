//! Dead letters as the contract has them.

use chrono::{DateTime, Utc};
use contracts::{descriptor_pool, hub::admin::v1::DeadLetter};
use mesh::{Failure, events};
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::{ListValue, Struct, Timestamp, Value, value::Kind};

/// A letter without its event.
pub fn listed(letter: &events::DeadLetter) -> DeadLetter {
    DeadLetter {
        dead_letter_id: letter.id.to_string(),
        consumer: letter.consumer.clone(),
        event_id: letter.event_id.clone(),
        event_type: letter.event_type.clone(),
        ordering_key: letter.ordering_key.clone(),
        error: letter.error.clone(),
        attempts: i32::try_from(letter.attempts).unwrap_or(i32::MAX),
        failed_at: Some(timestamp(letter.failed_at)),
        event: None,
    }
}

/// A letter with the whole event as JSON.
///
/// # Errors
/// The event cannot be shown, which is internal.
pub fn whole(letter: &events::DeadLetter) -> Result<DeadLetter, Failure> {
    let event = letter.envelope.as_ref().map(envelope_json).transpose()?;
    Ok(DeadLetter {
        event,
        ..listed(letter)
    })
}

/// Canonical proto3 JSON of the envelope: operators' tools know it.
fn envelope_json(envelope: &events::Envelope) -> Result<Struct, Failure> {
    let descriptor = descriptor_pool()
        .get_message_by_name("hub.events.v1.Envelope")
        .ok_or_else(|| Failure::internal("the contracts have no envelope"))?;
    let dynamic = DynamicMessage::decode(descriptor, envelope.encode_to_vec().as_slice())
        .map_err(Failure::internal)?;
    match serde_json::to_value(&dynamic).map_err(Failure::internal)? {
        serde_json::Value::Object(fields) => Ok(struct_of(fields)),
        _ => Err(Failure::internal("an envelope is an object")),
    }
}

fn struct_of(fields: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct {
        fields: fields
            .into_iter()
            .map(|(name, value)| (name, value_of(value)))
            .collect(),
    }
}

fn value_of(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value_of).collect(),
        }),
        serde_json::Value::Object(fields) => Kind::StructValue(struct_of(fields)),
    };
    Value { kind: Some(kind) }
}

/// A time of the contract.
pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}
