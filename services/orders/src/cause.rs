//! What an emitted event is the consequence of.

use mesh::{
    CallContext,
    events::{Emission, Envelope},
};

/// An event, a call, or the passing of time.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    correlation: Option<String>,
    causation: String,
    traceparent: String,
}

impl Cause {
    /// Another service's event.
    pub fn event(event: &Envelope) -> Self {
        Self {
            correlation: Some(event.correlation_id.clone()),
            causation: event.event_id.clone(),
            traceparent: event.traceparent.clone(),
        }
    }

    /// A call.
    pub fn call(context: &CallContext) -> Self {
        Self {
            correlation: None,
            causation: context.request_id().to_owned(),
            traceparent: context.traceparent(),
        }
    }

    /// Notes the cause on an emission. Where the cause belongs to no flow yet, `flow` (the id of an order)
    /// is the flow's.
    pub fn mark(&self, emission: Emission, flow: &str) -> Emission {
        emission
            .correlation(self.correlation.as_deref().unwrap_or(flow))
            .causation(&self.causation)
            .traceparent(&self.traceparent)
    }
}
