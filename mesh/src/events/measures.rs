//! What a subscription shows of itself. The handles are looked up once, not per event.

use super::Envelope;
use crate::clock::Clock;

/// Metrics of one consumer.
pub(super) struct Measures {
    pub(super) handled: metrics::Counter,
    pub(super) ignored: metrics::Counter,
    pub(super) duplicate: metrics::Counter,
    pub(super) parked: metrics::Counter,
    pub(super) dead: metrics::Counter,
    pub(super) failed: metrics::Counter,
    pub(super) parked_keys: metrics::Gauge,
    age: metrics::Histogram,
}

impl Measures {
    pub(super) fn new(consumer: &'static str) -> Self {
        let result = |result: &'static str| metrics::counter!("hub_events_deliveries_total", "consumer" => consumer, "result" => result);
        Self {
            handled: result("handled"),
            ignored: result("ignored"),
            duplicate: result("duplicate"),
            parked: result("parked"),
            dead: result("dead_letter"),
            failed: metrics::counter!("hub_events_failed_attempts_total", "consumer" => consumer),
            parked_keys: metrics::gauge!("hub_events_parked_keys", "consumer" => consumer),
            age: metrics::histogram!("hub_event_end_to_end_seconds", "consumer" => consumer),
        }
    }

    /// Records how old an event is now that its effect is committed.
    pub(super) fn age_of(&self, envelope: &Envelope, clock: &Clock) {
        if let Some(timestamp) = &envelope.timestamp {
            let now = clock.now();
            let millis = (now.timestamp() - timestamp.seconds) * 1000
                + i64::from(now.timestamp_subsec_millis())
                - i64::from(timestamp.nanos / 1_000_000);
            self.age.record(millis.max(0) as f64 / 1000.0);
        }
    }
}
