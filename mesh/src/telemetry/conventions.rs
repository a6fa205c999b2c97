//! The spans that the hub makes, with names and attributes of OpenTelemetry's semantic conventions.
//!
//! Statements are recorded as they are written in the program, with placeholders, so no value of a customer
//! reaches a span. Of a path only the template is told, of a message only its ids.

use http::{Method, StatusCode};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::Code;

use super::{
    Span, TraceContext,
    current::{Current, Database, surroundings},
    otlp,
};
use crate::{
    events::{Emission, Envelope, topic},
    policy::MethodPolicy,
    rpc::code_name,
    store::StoreError,
};

/// The scope of what happens at the edge.
const GATEWAY: &str = "gateway";

/// The span of a request at the edge, as long as its route is not known.
pub fn http_server(trace: TraceContext, method: &Method) -> Span {
    let mut span = Span::start(trace, SpanKind::Server, GATEWAY, || method.to_string());
    if span.is_recorded() {
        span.set("http.request.method", method.as_str());
    }
    span
}

/// Says which route a request at the edge took: the template of its path and the RPC.
pub fn http_routed(span: &mut Span, method: &Method, route: &str, rpc: &str) {
    if span.is_recorded() {
        span.rename(|| format!("{method} {route}"));
        span.set("http.route", route);
        span.set("hub.rpc", rpc);
    }
}

/// Says how a request at the edge was answered. As the conventions have it, a server's span fails only when
/// the fault is the server's.
pub fn http_answered(span: &mut Span, status: StatusCode) {
    if span.is_recorded() {
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.fail(status.as_str());
        }
    }
}

/// The span of a call as its server sees it.
pub(crate) fn rpc_server(trace: TraceContext, policy: &MethodPolicy) -> Span {
    rpc(trace, SpanKind::Server, &policy.target, policy)
}

/// The span of a call to another process as its client sees it, with everything that is tried for it.
pub(crate) fn rpc_client(trace: TraceContext, policy: &MethodPolicy) -> Span {
    let mut span = rpc(trace, SpanKind::Client, "mesh", policy);
    if span.is_recorded() {
        span.set("peer.service", policy.target.as_str());
    }
    span
}

fn rpc(trace: TraceContext, kind: SpanKind, scope: &str, policy: &MethodPolicy) -> Span {
    let mut span = Span::start(trace, kind, scope, || {
        policy.path.trim_start_matches('/').to_owned()
    });
    if span.is_recorded() {
        span.set("rpc.system", "grpc");
        span.set("rpc.service", policy.service.as_str());
        span.set("rpc.method", policy.method.as_str());
    }
    span
}

/// Says how a call ended.
pub(crate) fn rpc_ended(span: &mut Span, code: Code) {
    if span.is_recorded() {
        span.set("rpc.grpc.status_code", i64::from(code as i32));
        let at_fault = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if at_fault {
            span.fail(code_name(code));
        }
    }
}

/// The span of a query outside a transaction, below the running span.
pub(crate) fn query(system: &'static str, store: &str, sql: &str) -> Span {
    if otlp::spans().is_none() {
        return Span::default();
    }
    match surroundings() {
        Some(current) => statement_below(current.trace, system, store, sql),
        None => Span::default(),
    }
}

/// The span of a statement of the transaction that is running.
pub(crate) fn statement(sql: &str) -> Span {
    if otlp::spans().is_none() {
        return Span::default();
    }
    match surroundings() {
        Some(Current {
            trace,
            database: Some(database),
        }) => statement_below(trace, database.system, &database.namespace, sql),
        _ => Span::default(),
    }
}

/// The span of statements of the running transaction that are sent together.
pub(crate) fn batch<'a>(mut statements: impl ExactSizeIterator<Item = &'a str>) -> Span {
    let size = statements.len();
    let mut span = statement(statements.next().unwrap_or_default());
    if span.is_recorded() {
        span.set(
            "db.operation.batch.size",
            i64::try_from(size).unwrap_or(i64::MAX),
        );
    }
    span
}

fn statement_below(above: TraceContext, system: &str, store: &str, sql: &str) -> Span {
    let operation = operation(sql);
    let mut span = Span::start(above.child(), SpanKind::Client, store, || {
        format!("{operation} {store}")
    });
    if span.is_recorded() {
        span.set("db.system.name", system);
        span.set("db.namespace", store);
        span.set("db.operation.name", operation);
        span.set("db.query.text", sql);
    }
    span
}

/// The first word of a statement.
fn operation(sql: &str) -> &str {
    sql.split_ascii_whitespace().next().unwrap_or_default()
}

/// The span of a transaction below the running span, and what its statements run in.
pub(crate) fn transaction(system: &'static str, store: &str) -> (Span, Option<Current>) {
    let Some(current) = surroundings() else {
        return (Span::default(), None);
    };
    let trace = current.trace.child();
    let mut span = Span::start(trace, SpanKind::Client, store, || {
        format!("TRANSACTION {store}")
    });
    if !span.is_recorded() {
        return (span, Some(current));
    }
    span.set("db.system.name", system);
    span.set("db.namespace", store);
    span.set("db.operation.name", "TRANSACTION");
    let database = Database {
        system,
        namespace: store.into(),
    };
    let below = Current {
        trace,
        database: Some(database),
    };
    (span, Some(below))
}

impl Span {
    /// Ends the span of something that the store did, and gives its result back.
    pub(crate) fn stored<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (true, Err(error)) = (self.is_recorded(), &result) {
            self.fail(error_type(error));
        }
        result
    }
}

fn error_type(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unique { .. } => "unique",
        StoreError::ForeignKey => "foreign_key",
        StoreError::Check { .. } => "check",
        StoreError::NotNull { .. } => "not_null",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Closed => "closed",
        _ => "_OTHER",
    }
}

/// The span of an event that goes into the outbox, and the event as it is then sent: a child of this span.
/// An event that names no trace belongs to the running span's.
pub(crate) fn publish(emission: Emission) -> (Span, Emission) {
    let current = surroundings();
    let cause = emission.trace();
    let above = match (&current, cause) {
        // The transaction is nearer than the call that it is part of.
        (Some(current), Some(cause)) if current.trace.is_same_trace(&cause) => current.trace,
        (_, Some(cause)) => cause,
        (Some(current), None) => current.trace,
        (None, None) => return (Span::default(), emission),
    };
    let trace = above.child();
    let scope = current
        .as_ref()
        .and_then(|current| current.database.as_ref())
        .map_or("events", |database| &database.namespace);
    let event_type = emission.event_type();
    let mut span = Span::start(trace, SpanKind::Producer, scope, || {
        format!("send {event_type}")
    });
    if !span.is_recorded() {
        return (span, emission);
    }
    message(&mut span, event_type, "send");
    (span, emission.traceparent(trace))
}

/// The span of a consumer's work on an event, and the trace that this work is part of.
pub(crate) fn process(envelope: &Envelope, consumer: &'static str) -> (Span, TraceContext) {
    let trace = envelope
        .traceparent
        .parse::<TraceContext>()
        .map_or_else(|_| TraceContext::generate(), TraceContext::child);
    let scope = consumer.split('.').next().unwrap_or(consumer);
    let event_type = envelope.event_type.as_str();
    let mut span = Span::start(trace, SpanKind::Consumer, scope, || {
        format!("process {event_type}")
    });
    if span.is_recorded() {
        message(&mut span, event_type, "process");
        span.set("messaging.consumer.group.name", consumer);
        span.set("messaging.message.id", envelope.event_id.as_str());
        span.set(
            "messaging.message.conversation_id",
            envelope.correlation_id.as_str(),
        );
    }
    (span, trace)
}

fn message(span: &mut Span, event_type: &str, operation: &'static str) {
    span.set("messaging.system", "hub");
    span.set("messaging.operation.name", operation);
    span.set("messaging.operation.type", operation);
    if let Some(topic) = topic(event_type) {
        span.set("messaging.destination.name", topic);
    }
    span.set("hub.event_type", event_type);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_first_word() {
        assert_eq!(operation("SELECT 1"), "SELECT");
        assert_eq!(operation("\n  INSERT INTO t VALUES ($1)"), "INSERT");
        assert_eq!(operation(""), "");
    }

    #[tokio::test]
    async fn nothing_is_recorded_without_a_collector() {
        let trace = TraceContext::generate();
        assert!(!http_server(trace, &Method::GET).is_recorded());
        super::super::within(trace, async {
            assert!(!query("sqlite", "orders", "SELECT 1").is_recorded());
            let (span, current) = transaction("sqlite", "orders");
            assert!(!span.is_recorded());
            // Log lines of the transaction still name the trace.
            assert_eq!(current.map(|current| current.trace), Some(trace));
        })
        .await;
    }
}
