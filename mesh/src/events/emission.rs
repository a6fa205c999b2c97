//! What a service says when it announces a state change.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Data, Envelope, event_type};
use crate::{rpc::CallContext, telemetry::TraceContext};

/// Version of the meaning of today's payloads.
const EVENT_VERSION: &str = "1.0";
/// Version of the envelope.
const SCHEMA_VERSION: &str = "1.0";

/// An event to be written to the outbox. Id, time and source are added there.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    ordering_key: String,
    data: Data,
    correlation_id: Option<String>,
    causation_id: String,
    traceparent: String,
}

impl Emission {
    /// An event that keeps its order among those with the same key: the id of the order, product or user
    /// that it is about. It starts a business flow of its own unless a method below says otherwise.
    pub fn new(ordering_key: impl Into<String>, data: Data) -> Self {
        Self {
            ordering_key: ordering_key.into(),
            data,
            correlation_id: None,
            causation_id: String::new(),
            traceparent: String::new(),
        }
    }

    /// The event was caused by another: it belongs to the same flow and the same trace.
    #[must_use]
    pub fn caused_by(self, event: &Envelope) -> Self {
        self.correlation(&event.correlation_id)
            .causation(&event.event_id)
            .traceparent(&event.traceparent)
    }

    /// The event was caused by a call: it carries the id of the request and its trace.
    #[must_use]
    pub fn in_call(self, ctx: &CallContext) -> Self {
        self.causation(ctx.request_id())
            .traceparent(ctx.traceparent())
    }

    /// The flow that the event belongs to, a UUID.
    #[must_use]
    pub fn correlation(mut self, id: impl ToString) -> Self {
        self.correlation_id = Some(id.to_string()).filter(|id| !id.is_empty());
        self
    }

    /// What caused the event: the id of another event or of a request.
    #[must_use]
    pub fn causation(mut self, id: impl ToString) -> Self {
        self.causation_id = id.to_string();
        self
    }

    /// The W3C trace context of the request that caused the change.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl ToString) -> Self {
        self.traceparent = traceparent.to_string();
        self
    }

    /// The span that caused the event, if it names one.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.traceparent.parse().ok()
    }

    pub(crate) fn event_type(&self) -> &'static str {
        event_type(&self.data)
    }

    pub(crate) fn into_envelope(
        self,
        source: &str,
        event_id: Uuid,
        now: DateTime<Utc>,
    ) -> Envelope {
        let event_id = event_id.to_string();
        Envelope {
            event_type: event_type(&self.data).to_owned(),
            event_version: EVENT_VERSION.to_owned(),
            schema_version: SCHEMA_VERSION.to_owned(),
            timestamp: Some(prost_types::Timestamp {
                seconds: now.timestamp(),
                nanos: now.timestamp_subsec_nanos() as i32,
            }),
            source: source.to_owned(),
            correlation_id: self.correlation_id.unwrap_or_else(|| event_id.clone()),
            causation_id: self.causation_id,
            ordering_key: self.ordering_key,
            traceparent: self.traceparent,
            data: Some(self.data),
            event_id,
        }
    }
}
