//! Structured logs through `tracing`.
//!
//! On a terminal lines are for people; elsewhere they are JSON for a collector. Every line inside a
//! call carries the call's `trace_id` and `request_id`, because the server layer opens a span with
//! them.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use super::{json::JsonLines, otlp};
use crate::{
    clock::Clock,
    config::{Config, ConfigError},
};

/// The `[telemetry]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines look.
    pub format: LogFormat,
    /// Which lines are written when `RUST_LOG` is not set, in its syntax.
    pub filter: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            filter: "info,h2=warn,hyper=warn,tower=warn,tantivy=warn".to_owned(),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The `[telemetry]` section.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The filter is not valid.
    #[error("log filter {filter:?}: {message}")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        message: String,
    },
    /// Something else already took the process's log or metrics.
    #[error("telemetry is already set up: {0}")]
    AlreadySet(String),
}

/// Starts logging (to standard error) and metrics for this process, as the `[telemetry]` section says, and
/// sends both and traces to a collector if the `OTEL_*` variables name one. `RUST_LOG` wins over the
/// configured filter.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    let config: TelemetryConfig = config.section("telemetry")?;
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty())
        .unwrap_or(config.filter);
    let filter = EnvFilter::try_new(&filter).map_err(|error| TelemetryError::Filter {
        filter,
        message: error.to_string(),
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    super::install_metrics();
    let announcement = otlp::start(&Clock::system());
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(otlp::OtlpLogs::if_wanted());
    let installed = if json {
        registry
            .with(JsonLines::new(Clock::system(), std::io::stderr))
            .try_init()
    } else {
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .compact();
        registry.with(lines).try_init()
    };
    installed.map_err(|error| TelemetryError::AlreadySet(error.to_string()))?;
    log_panics();
    announcement.log();
    Ok(())
}

/// Makes a panic a log line like any other, inside the call that it happened in. Without it a panic
/// would print several lines that no collector can read.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(%location, panic = message, "panicked");
    }));
}
