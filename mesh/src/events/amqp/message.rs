//! An event as a message of the broker, and back.
//!
//! The body is the envelope in protobuf. The attributes of CloudEvents 1.0 go along as headers with the prefix
//! that its AMQP binding gives them, so that a consumer of another make can route and trace without knowing
//! the envelope.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use prost::Message;
use uuid::Uuid;

use crate::events::{
    Envelope,
    inbox::{Letter, key_of},
    transport::{Delivery, Redelivery},
};

const CONTENT_TYPE: &str = "application/protobuf";
const PERSISTENT: u8 = 2;
/// Present on a message that may have been published before.
const AGAIN: &str = "x-hub-again";

const ID: &str = "cloudEvents_id";
const TYPE: &str = "cloudEvents_type";
const SUBJECT: &str = "cloudEvents_subject";

/// Whether the publisher has tried before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Again,
}

/// The properties of the message that carries `delivery`.
pub(super) fn properties(delivery: &Delivery, attempt: Attempt) -> BasicProperties {
    let envelope = delivery.envelope.as_ref();
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: &str| {
        if !value.is_empty() {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    };
    header("cloudEvents_specversion", "1.0");
    header(ID, &envelope.event_id);
    header("cloudEvents_source", &envelope.source);
    header(TYPE, &envelope.event_type);
    header(SUBJECT, key_of(envelope));
    header("cloudEvents_time", &time_of(envelope));
    header("cloudEvents_traceparent", &envelope.traceparent);
    header("cloudEvents_correlationid", &envelope.correlation_id);
    header("cloudEvents_causationid", &envelope.causation_id);
    header("traceparent", &envelope.traceparent);
    if attempt == Attempt::Again || delivery.redelivery == Redelivery::Possible {
        headers.insert(AGAIN.into(), AMQPValue::Boolean(true));
    }
    let seconds = envelope
        .timestamp
        .as_ref()
        .and_then(|timestamp| u64::try_from(timestamp.seconds).ok())
        .unwrap_or_default();
    BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(&envelope.event_id))
        .with_correlation_id(short(&envelope.correlation_id))
        .with_type(short(&envelope.event_type))
        .with_app_id(short(&envelope.source))
        .with_timestamp(seconds)
        .with_headers(headers)
}

/// A short string has a length of one byte.
fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

fn time_of(envelope: &Envelope) -> String {
    envelope
        .timestamp
        .as_ref()
        .and_then(|timestamp| {
            let nanos = u32::try_from(timestamp.nanos).ok()?;
            chrono::DateTime::from_timestamp(timestamp.seconds, nanos)
        })
        .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        .unwrap_or_default()
}

/// The event in a message, and whether it may have been delivered before.
///
/// # Errors
/// Why the body is no event that an inbox can know.
pub(super) fn event_of(
    message: &lapin::message::Delivery,
    body: Bytes,
) -> Result<(Envelope, Redelivery), String> {
    let envelope = Envelope::decode(body)
        .map_err(|error| format!("the message cannot be decoded: {error}"))?;
    if Uuid::try_parse(&envelope.event_id).is_err() {
        return Err(format!(
            "the event has no UUID for an id but {:?}",
            envelope.event_id
        ));
    }
    let again = message.redelivered || header(&message.properties, AGAIN).is_some();
    let redelivery = if again {
        Redelivery::Possible
    } else {
        Redelivery::First
    };
    Ok((envelope, redelivery))
}

/// A message as a dead letter of `consumer`. What the body does not say is taken from the headers; a message
/// without any id gets one from its bytes, so that it is one letter however often it comes.
pub(super) fn letter_of(
    consumer: &str,
    message: &lapin::message::Delivery,
    error: String,
) -> Letter {
    let known = Envelope::decode(message.data.as_slice())
        .ok()
        .filter(|envelope| Uuid::try_parse(&envelope.event_id).is_ok());
    let attempts = deliveries(&message.properties);
    if let Some(envelope) = known {
        return Letter {
            consumer: consumer.to_owned(),
            ordering_key: key_of(&envelope).to_owned(),
            event_id: envelope.event_id,
            event_type: envelope.event_type,
            envelope: message.data.clone(),
            error,
            attempts,
        };
    }
    let properties = &message.properties;
    let event_id = text(properties, ID)
        .or_else(|| properties.message_id().as_ref().map(ToString::to_string))
        .and_then(|id| Uuid::try_parse(&id).ok())
        .unwrap_or_else(|| id_of_bytes(&message.data))
        .to_string();
    Letter {
        consumer: consumer.to_owned(),
        event_type: text(properties, TYPE)
            .or_else(|| properties.kind().as_ref().map(ToString::to_string))
            .unwrap_or_default(),
        ordering_key: text(properties, SUBJECT).unwrap_or_else(|| event_id.clone()),
        event_id,
        envelope: message.data.clone(),
        error,
        attempts,
    }
}

/// Why the broker has given a message up, for people.
pub(super) fn reason_of(properties: &BasicProperties) -> String {
    let reason = match header(properties, "x-first-death-reason") {
        Some(AMQPValue::LongString(reason)) => reason.to_string(),
        _ => "unknown reason".to_owned(),
    };
    match reason.as_str() {
        "delivery_limit" => {
            "the broker delivered the event again and again without an acknowledgement: \
            the process that handles it may have crashed each time"
                .to_owned()
        }
        other => format!("the broker gave the event up: {other}"),
    }
}

/// How often the broker has delivered a message, as far as it says so.
fn deliveries(properties: &BasicProperties) -> u32 {
    let count = match header(properties, "x-delivery-count") {
        Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).ok(),
        Some(AMQPValue::LongInt(count)) => u32::try_from(*count).ok(),
        Some(AMQPValue::LongUInt(count)) => Some(*count),
        _ => None,
    };
    count.unwrap_or_default()
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text(properties: &BasicProperties, name: &str) -> Option<String> {
    match header(properties, name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A UUID of version 8 (RFC 9562) from the SHA-256 of the bytes.
fn id_of_bytes(bytes: &[u8]) -> Uuid {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    uuid::Builder::from_custom_bytes(first).into_uuid()
}
