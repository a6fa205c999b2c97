//! What an emitted event is the consequence of.

use mesh::{
    CallContext,
    events::{Emission, Envelope},
};

/// An event, a call, or the passing of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Id of the event or request.
    pub causation: String,
    /// W3C trace context.
    pub traceparent: String,
}

impl Cause {
    /// Another service's event.
    pub fn event(event: &Envelope) -> Self {
        Self {
            causation: event.event_id.clone(),
            traceparent: event.traceparent.clone(),
        }
    }

    /// A call.
    pub fn call(context: &CallContext) -> Self {
        Self {
            causation: context.request_id().to_owned(),
            traceparent: context.traceparent(),
        }
    }

    /// Notes the cause on an emission that belongs to the flow `correlation`.
    pub fn mark(&self, emission: Emission, correlation: &str) -> Emission {
        emission
            .correlation(correlation)
            .causation(&self.causation)
            .traceparent(&self.traceparent)
    }
}
