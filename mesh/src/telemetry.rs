//! What operators see: logs, metrics and the identity of a trace.

mod json;
mod logs;
mod metrics;
mod trace_context;

pub use logs::{LogFormat, TelemetryConfig, TelemetryError, init};
pub(crate) use metrics::keep_metrics;
pub use metrics::{install_metrics, render_metrics};
pub use trace_context::{InvalidTraceparent, TraceContext};
