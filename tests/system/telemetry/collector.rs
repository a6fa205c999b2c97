//! An OpenTelemetry collector in the test process.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::Span,
};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, transport::Server};

/// Takes everything and keeps it. It ends with the test.
#[derive(Clone, Default)]
pub struct Collector {
    received: Arc<Mutex<Received>>,
    connections: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Received {
    spans: Vec<Recorded>,
    metrics: Vec<Metric>,
    logs: Vec<LogRecord>,
    resources: Vec<BTreeMap<String, String>>,
    authorizations: Vec<String>,
}

/// A span with the part of the hub that it came from.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub scope: String,
    pub span: Span,
}

impl Recorded {
    /// An attribute as text.
    pub fn get(&self, key: &str) -> Option<String> {
        texts(&self.span.attributes).remove(key)
    }
}

/// Attributes as text.
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes
        .iter()
        .filter_map(|pair| {
            let text = match pair.value.clone()?.value? {
                Value::StringValue(text) => text,
                Value::IntValue(number) => number.to_string(),
                Value::BoolValue(value) => value.to_string(),
                Value::DoubleValue(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            Some((pair.key.clone(), text))
        })
        .collect()
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self::on(listener), endpoint(address))
    }

    /// Listens here.
    pub fn on(listener: TcpListener) -> Self {
        let collector = Self::default();
        let connections = Arc::clone(&collector.connections);
        let incoming = TcpListenerStream::new(listener).map(move |connection| {
            connections.fetch_add(1, Ordering::SeqCst);
            connection
        });
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        collector
    }

    /// How often anybody connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The spans of a trace by their id.
    pub fn trace(&self, trace_id: &str) -> BTreeMap<Vec<u8>, Recorded> {
        let received = self.received.lock().unwrap();
        received
            .spans
            .iter()
            .filter(|recorded| hex(&recorded.span.trace_id) == trace_id)
            .map(|recorded| (recorded.span.span_id.clone(), recorded.clone()))
            .collect()
    }

    /// The log lines of a trace.
    pub fn logs(&self, trace_id: &str) -> Vec<LogRecord> {
        let received = self.received.lock().unwrap();
        received
            .logs
            .iter()
            .filter(|record| hex(&record.trace_id) == trace_id)
            .cloned()
            .collect()
    }

    /// The last value of a metric, summed over its series; of a histogram, its count.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let received = self.received.lock().unwrap();
        let metric = received.metrics.iter().rev().find(|m| m.name == name)?;
        let sum = |points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint]| {
            points
                .iter()
                .filter_map(|point| match point.value? {
                    number_data_point::Value::AsDouble(value) => Some(value),
                    number_data_point::Value::AsInt(value) => Some(value as f64),
                })
                .sum()
        };
        Some(match metric.data.as_ref()? {
            Data::Sum(data) => sum(&data.data_points),
            Data::Gauge(data) => sum(&data.data_points),
            Data::Histogram(data) => data
                .data_points
                .iter()
                .map(|point| point.count as f64)
                .sum(),
            _ => return None,
        })
    }

    /// What the senders say of themselves.
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        self.received.lock().unwrap().resources.clone()
    }

    /// The `authorization` headers that came.
    pub fn authorizations(&self) -> Vec<String> {
        self.received.lock().unwrap().authorizations.clone()
    }

    fn note<T>(&self, request: &Request<T>) {
        if let Some(header) = request.metadata().get("authorization") {
            let mut received = self.received.lock().unwrap();
            let text = header.to_str().unwrap().to_owned();
            received.authorizations.push(text);
        }
    }
}

/// What `OTEL_EXPORTER_OTLP_ENDPOINT` says of an address.
pub fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.note(&request);
        let mut received = self.received.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            received.resources.push(texts(&attributes));
            for scope in resource.scope_spans {
                let name = scope.scope.unwrap_or_default().name;
                let spans = scope.spans.into_iter().map(|span| Recorded {
                    scope: name.clone(),
                    span,
                });
                received.spans.extend(spans);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap();
        for resource in request.into_inner().resource_metrics {
            for scope in resource.scope_metrics {
                received.metrics.extend(scope.metrics);
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap();
        for resource in request.into_inner().resource_logs {
            for scope in resource.scope_logs {
                received.logs.extend(scope.log_records);
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
