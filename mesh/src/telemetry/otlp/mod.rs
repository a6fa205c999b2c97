//! Sending traces, metrics and logs to an OpenTelemetry collector, when there is one.
//!
//! Records wait in bounded queues and are sent by tasks of their own: a collector that is slow or away
//! costs records and one log line, never a request. Spans and log lines are the messages of OTLP from the
//! start; metrics are translated from the Prometheus recorder's text, so that counting costs the same
//! whoever listens.

mod batch;
mod connect;
mod environment;
mod exposition;
mod link;
mod logs;
mod metrics;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
        metrics::v1::metrics_service_client::MetricsServiceClient,
        trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    },
    common::v1::InstrumentationScope,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Message},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{codec::CompressionEncoding, transport::Channel};

use self::{
    batch::{Batches, Queue, Stage},
    environment::{Compression, Destination, Settings, Signal},
    link::Link,
};
use super::{sampler::Sampler, span::Finished};
use crate::clock::Clock;

pub(crate) use logs::OtlpLogs;

static RUNNING: OnceLock<Running> = OnceLock::new();

/// What sends, for the life of the process.
struct Running {
    sampler: Sampler,
    spans: Option<Spans>,
    logs: Option<Logs>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Where finished spans go.
#[derive(Debug)]
pub(super) struct Spans {
    clock: Clock,
    queue: Queue<Finished>,
}

/// Where log lines go.
#[derive(Debug)]
pub(super) struct Logs {
    clock: Clock,
    queue: Queue<LogRecord>,
}

impl Spans {
    /// The time as spans carry it.
    pub(super) fn now(&self) -> u64 {
        nanoseconds(&self.clock)
    }

    pub(super) fn push(&self, span: Finished) {
        self.queue.push(span);
    }
}

/// What the start of telemetry has to say once logging works.
pub(super) struct Announcement {
    /// Where data goes; `None` when it stays here.
    destination: Option<String>,
    complaints: Vec<String>,
}

impl Announcement {
    pub(super) fn log(self) {
        for complaint in self.complaints {
            tracing::error!("{complaint}");
        }
        if let Some(destination) = self.destination {
            tracing::info!(destination, "telemetry is sent by OTLP");
        }
    }
}

/// Starts what the environment asks for. Only the first call of a process does anything.
pub(super) fn start(clock: &Clock) -> Announcement {
    let settings = Settings::read(|name| std::env::var(name).ok());
    let mut announcement = Announcement {
        destination: None,
        complaints: settings.complaints.clone(),
    };
    if !settings.is_on() || RUNNING.get().is_some() {
        return announcement;
    }
    if tokio::runtime::Handle::try_current().is_err() {
        announcement
            .complaints
            .push("telemetry is not sent: there is no runtime to send it from".to_owned());
        return announcement;
    }
    let instance = format!("{:032x}", rand::random::<u128>());
    let mut start = Start {
        resource: settings.resource(&instance),
        clock: clock.clone(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        complaints: Vec::new(),
    };
    let running = Running {
        sampler: settings.sampler,
        spans: settings
            .traces
            .as_ref()
            .and_then(|destination| start.spans(destination, &settings)),
        logs: settings
            .logs
            .as_ref()
            .and_then(|destination| start.logs(destination, &settings)),
        stop: start.stop.clone(),
        tasks: start.tasks.clone(),
    };
    if let Some(destination) = &settings.metrics {
        start.metrics(destination, &settings);
    }
    announcement.complaints.append(&mut start.complaints);
    announcement.destination = [&settings.traces, &settings.metrics, &settings.logs]
        .into_iter()
        .flatten()
        .next()
        .map(|destination| destination.endpoint.to_string());
    // Whoever was first stays; a second start of one process would only send everything twice.
    let _ = RUNNING.set(running);
    announcement
}

/// Sends what waits, for at most `limit`, and then nothing more.
pub async fn shutdown(limit: Duration) {
    let Some(running) = RUNNING.get() else { return };
    running.stop.cancel();
    running.tasks.close();
    let clock = Clock::system();
    // What is not sent by then is lost with the process either way.
    let _ = clock.timeout(limit, running.tasks.wait()).await;
}

/// Where spans go, if they go anywhere.
pub(super) fn spans() -> Option<&'static Spans> {
    RUNNING.get()?.spans.as_ref()
}

fn log_sink() -> Option<&'static Logs> {
    RUNNING.get()?.logs.as_ref()
}

/// Whether a trace that starts here is recorded.
pub(super) fn samples_root(trace_id: u128) -> bool {
    RUNNING
        .get()
        .is_none_or(|running| running.sampler.samples_root(trace_id))
}

/// Whether a trace that comes from outside the mesh is recorded here.
pub(super) fn samples_entry(trace_id: u128, parent_sampled: bool) -> bool {
    RUNNING.get().map_or(parent_sampled, |running| {
        running.sampler.samples_entry(trace_id, parent_sampled)
    })
}

/// What the tasks are started with.
struct Start {
    resource: Resource,
    clock: Clock,
    stop: CancellationToken,
    tasks: TaskTracker,
    complaints: Vec<String>,
}

impl Start {
    fn spans(&mut self, to: &Destination, settings: &Settings) -> Option<Spans> {
        let mut client = TraceServiceClient::new(self.connect(to, Signal::Traces)?);
        if to.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut link = self.link(client, to, Signal::Traces);
        let (queue, mut batches) = self.queue(Signal::Traces, settings.span_batch);
        let resource = self.resource.clone();
        self.tasks.spawn(async move {
            while let Some((spans, stage)) = batches.next().await {
                link.send(trace_message(&resource, spans), stage).await;
            }
        });
        Some(Spans {
            clock: self.clock.clone(),
            queue,
        })
    }

    fn logs(&mut self, to: &Destination, settings: &Settings) -> Option<Logs> {
        let mut client = LogsServiceClient::new(self.connect(to, Signal::Logs)?);
        if to.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut link = self.link(client, to, Signal::Logs);
        let (queue, mut batches) = self.queue(Signal::Logs, settings.log_batch);
        let resource = self.resource.clone();
        self.tasks.spawn(async move {
            while let Some((lines, stage)) = batches.next().await {
                link.send(log_message(&resource, lines), stage).await;
            }
        });
        Some(Logs {
            clock: self.clock.clone(),
            queue,
        })
    }

    fn metrics(&mut self, to: &Destination, settings: &Settings) {
        let Some(channel) = self.connect(to, Signal::Metrics) else {
            return;
        };
        let mut client = MetricsServiceClient::new(channel);
        if to.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut link = self.link(client, to, Signal::Metrics);
        let (resource, clock, stop) =
            (self.resource.clone(), self.clock.clone(), self.stop.clone());
        let interval = settings.metric_interval;
        let started = nanoseconds(&clock);
        self.tasks.spawn(async move {
            loop {
                let stage = tokio::select! {
                    () = stop.cancelled() => Stage::Ending,
                    () = clock.sleep(interval) => Stage::Running,
                };
                let text = super::render_metrics();
                let now = nanoseconds(&clock);
                link.send(metrics::message(&resource, &text, started, now), stage)
                    .await;
                if stage == Stage::Ending {
                    return;
                }
            }
        });
    }

    fn connect(&mut self, to: &Destination, signal: Signal) -> Option<Channel> {
        connect::connect(to)
            .inspect_err(|error| {
                self.complaints
                    .push(format!("{} are not sent: {error}", signal.name()));
            })
            .ok()
    }

    fn link<C>(&self, client: C, to: &Destination, signal: Signal) -> Link<C> {
        Link::new(client, to, signal, self.clock.clone(), self.stop.clone())
    }

    fn queue<T>(&self, signal: Signal, batch: environment::Batch) -> (Queue<T>, Batches<T>) {
        batch::queue(signal, batch, self.clock.clone(), self.stop.clone())
    }
}

/// The spans of a batch, each with the part of the hub that it belongs to.
fn trace_message(resource: &Resource, spans: Vec<Finished>) -> ExportTraceServiceRequest {
    let mut scopes: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for Finished { scope, message } in spans {
        scopes.entry(scope).or_default().push(message);
    }
    let scope_spans = scopes
        .into_iter()
        .map(|(name, spans)| ScopeSpans {
            scope: Some(scope(name)),
            spans,
            ..ScopeSpans::default()
        })
        .collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

fn log_message(resource: &Resource, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource.clone()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope("hub".to_owned())),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn scope(name: String) -> InstrumentationScope {
    InstrumentationScope {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Nanoseconds since 1970, as OTLP carries time.
fn nanoseconds(clock: &Clock) -> u64 {
    clock
        .now()
        .timestamp_nanos_opt()
        .and_then(|nanos| u64::try_from(nanos).ok())
        .unwrap_or_default()
}
