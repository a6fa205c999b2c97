//! Log lines as JSON, one object per line.
//!
//! `request_id` and `trace_id` stand at the top level of every line that was written inside a call,
//! however deep in spans, so that a collector can index them without knowing our spans. What a consumer
//! writes names the trace of its event in the same way.

use std::io::Write;

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::clock::Clock;

/// Writes each event as a JSON object to `writer`.
pub(super) struct JsonLines<W> {
    clock: Clock,
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(clock: Clock, writer: W) -> Self {
        Self { clock, writer }
    }
}

/// The fields of a span, kept with it.
struct SpanFields(Map<String, Value>);

impl<S, W, O> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            let mut fields = Fields(std::mem::take(known));
            values.record(&mut fields);
            *known = fields.0;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        let now = self.clock.now();
        line.insert(
            "timestamp".into(),
            now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
                .into(),
        );
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        if let Some(trace) = super::current() {
            line.insert("trace_id".into(), trace.trace_id().into());
            line.insert("span_id".into(), trace.span_id().into());
        }
        // From the outermost span inwards, so that the nearest value of a field wins, and the event's
        // own over all.
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                line.extend(fields.clone());
            }
            line.insert("span".into(), span.name().into());
        }
        let mut fields = Fields(line);
        event.record(&mut fields);
        // A log that cannot be written has nowhere to say so.
        if let Ok(mut text) = serde_json::to_vec(&fields.0) {
            text.push(b'\n');
            let _ = (self.writer)().write_all(&text);
        }
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_of_a_call_names_the_call() {
        let buffer = Buffer::default();
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::registry().with(JsonLines::new(clock, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let call = tracing::info_span!("rpc", request_id = "r-1", trace_id = "abc");
            let _call = call.enter();
            let inner = tracing::info_span!("step", n = 3);
            let _inner = inner.enter();
            tracing::info!(sku = "S\"1", "taken\nout");
        });
        let written = buffer.0.lock().clone();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        for (field, expected) in [
            ("timestamp", Value::from("2027-01-15T08:00:00.000000Z")),
            ("level", "INFO".into()),
            ("message", "taken\nout".into()),
            ("request_id", "r-1".into()),
            ("trace_id", "abc".into()),
            ("span", "step".into()),
            ("n", 3.into()),
            ("sku", "S\"1".into()),
        ] {
            assert_eq!(line[field], expected, "{field}");
        }
    }
}
