//! One span, recorded straight into the message that is sent.
//!
//! No tracer stands between: ids, parent and the decision to record are all in [`TraceContext`], so a span
//! is that plus a name, two times and attributes. What is not recorded is a `None` and costs a comparison.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Message, Status, span::SpanKind, status::StatusCode},
};

use super::{TraceContext, otlp};

/// A span that ends when it is dropped; nothing at all when its trace is not recorded.
#[derive(Debug, Default)]
#[must_use = "a span lasts until it is dropped"]
pub struct Span(Option<Box<Recording>>);

#[derive(Debug)]
struct Recording {
    sink: &'static otlp::Spans,
    scope: String,
    message: Message,
}

/// A finished span with the part of the hub that it belongs to.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) scope: String,
    pub(super) message: Message,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute(Value);

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self(Value::StringValue(text.to_owned()))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self(Value::StringValue(text))
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self(Value::IntValue(number))
    }
}

impl Span {
    /// Begins the span `trace` of `scope` (a target of the hub, such as `orders`). The name is made only if
    /// the span is recorded.
    pub(super) fn start(
        trace: TraceContext,
        kind: SpanKind,
        scope: &str,
        name: impl FnOnce() -> String,
    ) -> Self {
        if !trace.is_sampled() {
            return Self(None);
        }
        let Some(sink) = otlp::spans() else {
            return Self(None);
        };
        Self(Some(Box::new(Recording {
            sink,
            scope: scope.to_owned(),
            message: Message {
                trace_id: trace.trace_number().to_be_bytes().to_vec(),
                span_id: trace.span_number().to_be_bytes().to_vec(),
                parent_span_id: trace
                    .parent_number()
                    .map(|parent| parent.to_be_bytes().to_vec())
                    .unwrap_or_default(),
                flags: u32::from(trace.flags()),
                name: name(),
                kind: kind.into(),
                start_time_unix_nano: sink.now(),
                ..Message::default()
            },
        })))
    }

    /// Whether anybody will see it, so that attributes are worth computing.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Adds an attribute. Values must not say anything about a person.
    pub fn set(&mut self, key: &str, value: impl Into<Attribute>) {
        if let Some(recording) = &mut self.0 {
            recording.message.attributes.push(attribute(key, value));
        }
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(recording) = &mut self.0 {
            recording.message.name = name();
        }
    }

    /// Marks it as failed. `error_type` is one of few words (a code, the name of an error), never a text
    /// that could quote data.
    pub fn fail(&mut self, error_type: &str) {
        self.set("error.type", error_type);
        if let Some(recording) = &mut self.0 {
            recording.message.status = Some(Status {
                message: String::new(),
                code: StatusCode::Error.into(),
            });
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take() {
            let Recording {
                sink,
                scope,
                mut message,
            } = *recording;
            message.end_time_unix_nano = sink.now().max(message.start_time_unix_nano);
            sink.push(Finished { scope, message });
        }
    }
}

/// An attribute as it is sent.
pub(super) fn attribute(key: &str, value: impl Into<Attribute>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(value.into().0),
        }),
        ..KeyValue::default()
    }
}
