//! What operators see: logs, metrics and traces.

mod catalog;
pub(crate) mod conventions;
mod current;
mod json;
mod logs;
mod metrics;
#[cfg(test)]
mod monitoring;
mod otlp;
mod sampler;
mod span;
mod trace_context;

pub use catalog::{METRICS, Metric, MetricKind, MetricUnit};
pub use conventions::{http_answered, http_routed, http_server};
pub(crate) use current::surrounded;
pub use current::{current, say_within, within};
pub use logs::{LogFormat, TelemetryConfig, TelemetryError, init};
pub(crate) use metrics::keep_metrics;
pub use metrics::{install_metrics, render_metrics};
pub use otlp::shutdown;
pub use span::{Attribute, Span};
pub use trace_context::{InvalidTraceparent, TraceContext};
