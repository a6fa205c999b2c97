//! What happens to every request, in this order:
//!
//! 1. its facts are read: id, trace, client, origin;
//! 2. a head that is too large is refused, a preflight is answered;
//! 3. pictures and pages (health, metrics, documents) are served;
//! 4. the face that its content type names serves it;
//! 5. the response gets what all responses have: id and trace, limits, CORS, security headers;
//! 6. it is counted and logged, without query strings, bodies or credentials.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use mesh::{Failure, Reason, telemetry::Span};

use crate::{
    body::{EdgeBody, Inbound},
    config::AccessLog,
    edge::{Edge, Notes},
    exchange::Exchange,
    grpc::{self, Face},
    refusal::{Refusal, allow_header},
    rest,
    routes::Route,
    security_headers::{self, Transport},
};

/// Serves one request of the client at `peer`.
pub async fn serve<B: Inbound>(
    edge: &Arc<Edge>,
    peer: SocketAddr,
    request: Request<B>,
) -> Response<EdgeBody> {
    let (parts, body) = request.into_parts();
    let clock = edge.hub.clock();
    let exchange = Exchange::read(&parts, peer, &edge.proxies, clock, edge.hub.ids());
    let face = Face::of(&parts.headers);
    let mut notes = Notes::default();
    let path = parts.uri.path().to_owned();
    let method = parts.method.clone();
    let mut span = mesh::telemetry::http_server(exchange.trace, &method);

    let answering = async {
        if let Some(preflight) = edge.cors.preflight(&parts.method, &parts.headers) {
            preflight
        } else if let Some(refusal) = oversized(&parts, edge.config.header_limit_bytes) {
            refuse(edge, &exchange, refusal)
        } else if face == Face::Rest {
            rest(edge, &exchange, parts, body, &mut notes).await
        } else {
            let request = Request::from_parts(parts, body);
            grpc::serve(edge, &exchange, request, face, &mut notes).await
        }
    };
    let mut response = mesh::telemetry::within(exchange.trace, Box::pin(answering)).await;

    let headers = response.headers_mut();
    notes.annotate(headers);
    exchange.decorate(headers);
    edge.cors.decorate(exchange.origin.as_ref(), headers);
    security_headers::decorate(
        if exchange.secure {
            Transport::Encrypted
        } else {
            Transport::Plain
        },
        headers,
    );
    if method == Method::HEAD {
        response = without_body(response);
    }
    mesh::telemetry::say_within(exchange.trace, || {
        record(edge, &exchange, face, &path, &notes, &response);
    });
    if span.is_recorded() {
        let route = notes.route.as_deref();
        trace(edge, &mut span, (&method, &path), route, response.status());
    }
    response
}

async fn rest<B: Inbound>(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    parts: http::request::Parts,
    body: B,
    notes: &mut Notes,
) -> Response<EdgeBody> {
    if let Some(image) = edge.images.serve(&parts).await {
        return image.unwrap_or_else(|refusal| refuse(edge, exchange, refusal));
    }
    if let Some(page) = edge.pages.serve(&edge.hub, &edge.transcoder, &parts).await {
        return page.unwrap_or_else(|refusal| refuse(edge, exchange, refusal));
    }
    if parts.method == Method::OPTIONS {
        return options(edge, exchange, parts.uri.path());
    }
    if edge.is_stopping() {
        return refuse(edge, exchange, stopping().into());
    }
    match rest::serve(edge, exchange, &parts, body, notes).await {
        Ok(response) => response,
        Err(refusal) => refuse(edge, exchange, refusal),
    }
}

/// The refusal of work that comes while the hub drains; another hub, or this one in a moment, takes it.
pub fn stopping() -> Failure {
    Failure::unavailable("the hub is stopping; ask again")
}

/// OPTIONS that is no preflight: what the path takes.
fn options(edge: &Edge, exchange: &Exchange, path: &str) -> Response<EdgeBody> {
    let methods = edge.transcoder.allowed_methods(path);
    if methods.is_empty() {
        return refuse(edge, exchange, Reason::RouteNotFound.into());
    }
    let mut response = Response::new(EdgeBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(header::ALLOW, allow_header(&methods));
    response
}

fn refuse(edge: &Edge, exchange: &Exchange, refusal: Refusal) -> Response<EdgeBody> {
    refusal.into_response(
        exchange.errors,
        &exchange.request_id,
        edge.hub.clock().now(),
    )
}

/// Refuses a head that is too large. The target has a limit of its own, so that a parameter that is too
/// long is told so by name wherever that is possible.
fn oversized(parts: &http::request::Parts, limit: usize) -> Option<Refusal> {
    let target = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limit * 2 {
        let limit = limit * 2;
        let failure = Failure::new(
            Reason::PayloadTooLarge,
            format!("the URL must be at most {limit} bytes"),
        );
        return Some(Refusal::from(failure).with_http(StatusCode::URI_TOO_LONG));
    }
    let headers: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (headers > limit).then(|| {
        let failure = Failure::new(
            Reason::PayloadTooLarge,
            format!("the headers must be at most {limit} bytes"),
        );
        Refusal::from(failure).with_http(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    })
}

/// The answer to HEAD: all headers of GET, and its length.
fn without_body(response: Response<EdgeBody>) -> Response<EdgeBody> {
    let (mut parts, body) = response.into_parts();
    if let EdgeBody::Full(Some(bytes)) = &body {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    Response::from_parts(parts, EdgeBody::empty())
}

/// Completes the span of a request. A path that is no route stays out of it: it could say anything.
fn trace(
    edge: &Edge,
    span: &mut Span,
    (method, path): (&Method, &str),
    route: Option<&Route>,
    status: StatusCode,
) {
    if let Some(route) = route {
        let rpc = route.policy.path.as_str();
        let matched = edge.transcoder.route(method, path).ok();
        let template = matched
            .as_ref()
            .map_or(rpc, |matched| matched.binding().template());
        mesh::telemetry::http_routed(span, method, template, rpc);
    }
    mesh::telemetry::http_answered(span, status);
}

fn record(
    edge: &Edge,
    exchange: &Exchange,
    face: Face,
    path: &str,
    notes: &Notes,
    response: &Response<EdgeBody>,
) {
    let took = edge
        .hub
        .clock()
        .monotonic()
        .saturating_duration_since(exchange.started);
    let status = response.status();
    if let Some(route) = &notes.route {
        route.observe(status, took);
    }
    if edge.config.access_log == AccessLog::Errors && !status.is_server_error() {
        return;
    }
    let (role, subject) = notes.caller.as_ref().map_or(("anonymous", ""), |caller| {
        (caller.principal.role_name(), caller.principal.subject())
    });
    tracing::info!(
        target: "gateway::access",
        face = face.name(),
        method = %exchange.method,
        path,
        rpc = notes.route.as_ref().map_or("", |route| route.policy.path.as_str()),
        status = status.as_u16(),
        grpc_status = grpc_status(response.headers()),
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        role,
        subject,
        client = %exchange.address(),
        request_id = &*exchange.request_id,
        trace_id = %format_args!("{:032x}", exchange.trace.trace_number()),
        "request"
    );
}

fn grpc_status(headers: &HeaderMap) -> &str {
    headers
        .get("grpc-status")
        .and_then(|status| status.to_str().ok())
        .unwrap_or_default()
}
