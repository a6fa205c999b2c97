//! The `OTEL_*` variables.
//!
//! As the specification asks, a value that cannot be used never keeps a program from starting: it is said
//! once and the rest holds. One thing differs on purpose: without an endpoint nothing is sent, where the
//! specification would try `localhost`.

use std::{path::PathBuf, time::Duration};

use opentelemetry_proto::tonic::resource::v1::Resource;
use percent_encoding::percent_decode_str;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

use super::super::{sampler::Sampler, span::attribute};

/// What the variables say.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) attributes: Vec<(String, String)>,
    pub(super) sampler: Sampler,
    pub(super) traces: Option<Destination>,
    pub(super) metrics: Option<Destination>,
    pub(super) logs: Option<Destination>,
    pub(super) span_batch: Batch,
    pub(super) log_batch: Batch,
    pub(super) metric_interval: Duration,
    /// What could not be used, one line each.
    pub(super) complaints: Vec<String>,
}

/// Where a signal goes.
#[derive(Clone)]
pub(super) struct Destination {
    /// `http://host:port` or `https://host:port`.
    pub(super) endpoint: http::Uri,
    pub(super) headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
    pub(super) timeout: Duration,
    /// Authorities that the collector's certificate may come from, instead of the public ones.
    pub(super) ca: Option<PathBuf>,
    pub(super) compression: Compression,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers are credentials more often than not.
        f.debug_struct("Destination")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Off,
    Gzip,
}

/// How records are gathered before they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// A batch waits this long for more.
    pub(super) delay: Duration,
    /// Records that may wait; what comes beyond is dropped.
    pub(super) queue: usize,
    /// Records that are sent at once.
    pub(super) size: usize,
}

/// One kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// Its name in the variables.
    fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl Settings {
    /// Reads the variables through `lookup`. A variable that is empty counts as unset.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut variables = Variables {
            lookup: |name: &str| {
                lookup(name)
                    .map(|value| value.trim().to_owned())
                    .filter(|value| !value.is_empty())
            },
            complaints: Vec::new(),
        };
        let disabled = variables
            .get("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut destination = |signal| {
            if disabled {
                None
            } else {
                variables.destination(signal)
            }
        };
        let (traces, metrics, logs) = (
            destination(Signal::Traces),
            destination(Signal::Metrics),
            destination(Signal::Logs),
        );
        let sampler = variables.sampler();
        Self {
            attributes: variables.attributes(),
            sampler,
            traces,
            metrics,
            logs,
            span_batch: variables.batch("BSP", 5_000),
            log_batch: variables.batch("BLRP", 1_000),
            metric_interval: Duration::from_millis(
                variables
                    .number("OTEL_METRIC_EXPORT_INTERVAL", 60_000)
                    .max(1),
            ),
            complaints: variables.complaints,
        }
    }

    /// Whether anything is to be sent at all.
    pub(super) fn is_on(&self) -> bool {
        self.traces.is_some() || self.metrics.is_some() || self.logs.is_some()
    }

    /// What all data of this process says about its origin.
    pub(super) fn resource(&self, instance: &str) -> Resource {
        let mut attributes = self.attributes.clone();
        let mut or = |key: &str, value: &str| {
            if !attributes.iter().any(|(known, _)| known == key) {
                attributes.push((key.to_owned(), value.to_owned()));
            }
        };
        or("service.name", "hub");
        or("service.version", env!("CARGO_PKG_VERSION"));
        or("service.instance.id", instance);
        or("telemetry.sdk.name", "hub");
        or("telemetry.sdk.language", "rust");
        Resource {
            attributes: attributes
                .iter()
                .map(|(key, value)| attribute(key, value.as_str()))
                .collect(),
            ..Resource::default()
        }
    }
}

struct Variables<F> {
    lookup: F,
    complaints: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// The variable of one signal, else the one for all.
    fn of(&self, signal: Signal, name: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable()))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn number(&mut self, name: &str, default: u64) -> u64 {
        let Some(text) = self.get(name) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.complaints.push(format!(
                "{name}: {text:?} is not a whole number; {default} is used"
            ));
            default
        })
    }

    fn destination(&mut self, signal: Signal) -> Option<Destination> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.variable());
        match self.get(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => {
                self.complaints.push(format!(
                    "{exporter}: {other:?} is not supported, only otlp and none; {} are not sent",
                    signal.name()
                ));
                return None;
            }
        }
        let text = self.of(signal, "ENDPOINT")?;
        if let Some(protocol) = self
            .of(signal, "PROTOCOL")
            .filter(|protocol| protocol != "grpc")
        {
            self.complaints.push(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL: {protocol:?} is not supported, only grpc; {} are not sent",
                signal.name()
            ));
            return None;
        }
        let endpoint = text.parse::<http::Uri>().ok().filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
        });
        let Some(endpoint) = endpoint else {
            self.complaints.push(format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT: {text:?} is not a URL such as http://collector:4317; {} are not sent",
                signal.name()
            ));
            return None;
        };
        let timeout = self
            .of(signal, "TIMEOUT")
            .and_then(|text| text.parse().ok())
            .unwrap_or(10_000);
        let compression = match self.of(signal, "COMPRESSION").as_deref() {
            Some("gzip") => Compression::Gzip,
            _ => Compression::Off,
        };
        Some(Destination {
            endpoint,
            headers: self.headers(signal),
            timeout: Duration::from_millis(timeout),
            ca: self.of(signal, "CERTIFICATE").map(PathBuf::from),
            compression,
        })
    }

    fn headers(&mut self, signal: Signal) -> Vec<(AsciiMetadataKey, AsciiMetadataValue)> {
        let text = self.of(signal, "HEADERS").unwrap_or_default();
        let mut headers = Vec::new();
        for (key, value) in pairs(&text) {
            let parsed = key
                .to_ascii_lowercase()
                .parse::<AsciiMetadataKey>()
                .ok()
                .zip(value.parse::<AsciiMetadataValue>().ok());
            match parsed {
                Some((key, mut value)) => {
                    value.set_sensitive(true);
                    headers.push((key, value));
                }
                // The value is a credential; only the name is told.
                None => self.complaints.push(format!(
                    "OTEL_EXPORTER_OTLP_HEADERS: {key:?} is not a header and is left out"
                )),
            }
        }
        headers
    }

    fn attributes(&self) -> Vec<(String, String)> {
        let text = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut attributes = pairs(&text);
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            attributes.retain(|(key, _)| key != "service.name");
            attributes.push(("service.name".to_owned(), name));
        }
        attributes
    }

    fn sampler(&mut self) -> Sampler {
        let read = Sampler::read(
            self.get("OTEL_TRACES_SAMPLER").as_deref(),
            self.get("OTEL_TRACES_SAMPLER_ARG").as_deref(),
        );
        read.unwrap_or_else(|complaint| {
            self.complaints.push(complaint);
            Sampler::default()
        })
    }

    fn batch(&mut self, kind: &str, delay: u64) -> Batch {
        let queue = self.number(&format!("OTEL_{kind}_MAX_QUEUE_SIZE"), 2_048);
        let size = self.number(&format!("OTEL_{kind}_MAX_EXPORT_BATCH_SIZE"), 512);
        let queue = usize::try_from(queue)
            .unwrap_or(usize::MAX)
            .clamp(1, 1 << 20);
        Batch {
            delay: Duration::from_millis(
                self.number(&format!("OTEL_{kind}_SCHEDULE_DELAY"), delay),
            ),
            queue,
            size: usize::try_from(size).unwrap_or(usize::MAX).clamp(1, queue),
        }
    }
}

/// Reads `key=value,key=value`, values percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| {
            let decoded = percent_decode_str(value.trim()).decode_utf8_lossy();
            (key.trim().to_owned(), decoded.into_owned())
        })
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        Settings::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn nothing_is_sent_by_default() {
        let settings = settings(&[]);
        assert!(!settings.is_on());
        assert!(settings.complaints.is_empty());
        assert_eq!(
            settings.span_batch,
            Batch {
                delay: Duration::from_secs(5),
                queue: 2_048,
                size: 512
            }
        );
        assert_eq!(settings.metric_interval, Duration::from_secs(60));
    }

    #[test]
    fn a_signal_s_own_variable_wins() {
        let settings = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs:4317"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x,b=2"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ]);
        assert_eq!(settings.complaints, Vec::<String>::new());
        let traces = settings.traces.unwrap();
        assert_eq!(traces.endpoint.host(), Some("all"));
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert_eq!(traces.headers[0].0.as_str(), "authorization");
        assert_eq!(traces.headers[0].1.to_str().unwrap(), "Bearer x");
        let logs = settings.logs.unwrap();
        assert_eq!(logs.endpoint.scheme_str(), Some("https"));
        assert_eq!(logs.timeout, Duration::from_secs(10));
        assert!(settings.metrics.is_none());
        assert_eq!(
            (settings.span_batch.queue, settings.span_batch.size),
            (10, 10)
        );
        assert!(!format!("{logs:?}").contains("Bearer"));
    }

    #[test]
    fn it_can_be_switched_off() {
        let settings = settings(&[
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
        ]);
        assert!(!settings.is_on());
    }

    #[test]
    fn what_cannot_be_used_is_said_and_left_out() {
        let settings = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "all:4317"),
            ("OTEL_LOGS_EXPORTER", "console"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ]);
        assert!(!settings.is_on());
        assert_eq!(settings.complaints.len(), 5, "{:?}", settings.complaints);
        assert!(settings.complaints[0].contains("http/protobuf"));
    }

    #[test]
    fn the_resource_names_the_service() {
        let settings = settings(&[
            ("OTEL_SERVICE_NAME", "hub-orders"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=x,deployment.environment.name=a%2Cb",
            ),
        ]);
        let resource = settings.resource("i-1");
        let text = |key: &str| {
            use opentelemetry_proto::tonic::common::v1::any_value::Value;
            let found = resource.attributes.iter().find(|pair| pair.key == key)?;
            match found.value.clone()?.value? {
                Value::StringValue(text) => Some(text),
                _ => None,
            }
        };
        assert_eq!(text("service.name").as_deref(), Some("hub-orders"));
        assert_eq!(text("deployment.environment.name").as_deref(), Some("a,b"));
        assert_eq!(text("service.instance.id").as_deref(), Some("i-1"));
    }
}
