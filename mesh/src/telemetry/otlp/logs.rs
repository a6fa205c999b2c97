//! Log lines as OTLP.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{Logs, log_sink, nanoseconds};
use crate::telemetry::current;

/// Modules whose lines stay here: what sending itself says would be sent, and say more.
const OWN: &[&str] = &["h2", "hyper", "hyper_util", "tonic", "tower", "rustls"];
/// Fields that say who somebody is. They are for the log of this process, which the operator keeps.
const PERSONAL: &[&str] = &["client", "subject"];

/// Sends each line to the collector, with the ids of the span that it was written in.
pub(crate) struct OtlpLogs {
    sink: &'static Logs,
}

impl OtlpLogs {
    /// The layer, if log lines go anywhere.
    pub(crate) fn if_wanted() -> Option<Self> {
        log_sink().map(|sink| Self { sink })
    }
}

impl<S: Subscriber> Layer<S> for OtlpLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let module = metadata.target().split("::").next().unwrap_or_default();
        if OWN.contains(&module) {
            return;
        }
        let time = nanoseconds(&self.sink.clock);
        let mut record = LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            severity_number: severity(*metadata.level()).into(),
            severity_text: metadata.level().as_str().to_owned(),
            ..LogRecord::default()
        };
        if let Some(trace) = current() {
            record.trace_id = trace.trace_number().to_be_bytes().to_vec();
            record.span_id = trace.span_number().to_be_bytes().to_vec();
            record.flags = u32::from(trace.flags());
        }
        record.attributes.push(pair(
            "code.namespace",
            Value::StringValue(metadata.target().to_owned()),
        ));
        event.record(&mut Fields(&mut record));
        self.sink.queue.push(record);
    }
}

fn severity(level: Level) -> SeverityNumber {
    match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    }
}

struct Fields<'a>(&'a mut LogRecord);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if PERSONAL.contains(&name) {
            return;
        }
        if name == "message" {
            self.0.body = Some(AnyValue { value: Some(value) });
        } else {
            self.0.attributes.push(pair(name, value));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::DoubleValue(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(
            field,
            i64::try_from(value)
                .map_or_else(|_| Value::StringValue(value.to_string()), Value::IntValue),
        );
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::BoolValue(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::StringValue(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, Value::StringValue(format!("{value:?}")));
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
