//! What the gateway says about itself: a landing page, the API's documents, health and metrics.

mod health;
mod landing;
mod reference;

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use mesh::{Hub, PolicyTable, Profile};
use transcoding::Transcoder;

use crate::{body::EdgeBody, etag, openapi, refusal::Refusal};

const METRICS: &str = "/metrics";

/// The pages; what is costly to make is made when it is first asked for.
pub struct Pages {
    landing: Bytes,
    openapi: OnceLock<Bytes>,
    policies: PolicyTable,
}

/// How long a client may use a page without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It asks whether the page is still the same.
    Check,
    /// An hour.
    Hour,
}

impl Pages {
    /// The pages of `hub`.
    pub fn new(hub: &Hub) -> Self {
        Self {
            landing: landing::page(hub).into(),
            openapi: OnceLock::new(),
            policies: hub.policies().clone(),
        }
    }

    /// The page at the request's path, if there is one.
    pub async fn serve(
        &self,
        hub: &Hub,
        transcoder: &Transcoder,
        parts: &Parts,
    ) -> Option<Result<Response<EdgeBody>, Refusal>> {
        let path = parts.uri.path();
        // Nearly all requests are for the API, and none of its paths is a page.
        if path.starts_with("/api/") || !is_page(path) {
            return None;
        }
        // Real customers share this port; what the shop earns is for the listener of probes.
        if path == METRICS && hub.profile() == Profile::Production {
            return None;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let allow = transcoding::RouteError::MethodNotAllowed {
                allow: vec![Method::GET],
            };
            return Some(if parts.method == Method::OPTIONS {
                Ok(options())
            } else {
                Err(allow.into())
            });
        }
        Some(Ok(match path {
            "/" => landing::respond(parts, &self.landing),
            "/openapi.json" => self.openapi(transcoder, parts),
            "/health" => health::overview(hub).await,
            "/health/live" => health::live(),
            "/health/ready" => health::ready(hub).await,
            METRICS => metrics(),
            _ => reference::respond(path, parts)?,
        }))
    }

    fn openapi(&self, transcoder: &Transcoder, parts: &Parts) -> Response<EdgeBody> {
        let document = self.openapi.get_or_init(|| {
            openapi::document(transcoder, &self.policies)
                .to_string()
                .into()
        });
        page(parts, "application/json", document.clone(), Life::Check)
    }
}

fn is_page(path: &str) -> bool {
    matches!(
        path,
        "/" | "/openapi.json" | "/health" | "/health/live" | "/health/ready" | METRICS
    ) || reference::has(path)
}

fn options() -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(
        header::ALLOW,
        HeaderValue::from_static("GET, HEAD, OPTIONS"),
    );
    response
}

fn metrics() -> Response<EdgeBody> {
    let text = mesh::telemetry::render_metrics();
    plain(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text.into(),
    )
}

/// A response that is made anew each time.
fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response that a client may keep.
fn page(parts: &Parts, content_type: &'static str, body: Bytes, life: Life) -> Response<EdgeBody> {
    let etag = etag::of(&body);
    let mut response = if etag::matches(&parts.headers, &etag) {
        plain(StatusCode::NOT_MODIFIED, content_type, Bytes::new())
    } else {
        plain(StatusCode::OK, content_type, body)
    };
    let control = match life {
        Life::Check => "no-cache",
        Life::Hour => "public, max-age=3600",
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
    headers.insert(header::ETAG, etag);
    response
}

/// Lets a page do what it says and nothing else.
fn with_policy(mut response: Response<EdgeBody>, policy: &'static str) -> Response<EdgeBody> {
    const NAME: HeaderName = header::CONTENT_SECURITY_POLICY;
    response
        .headers_mut()
        .insert(NAME, HeaderValue::from_static(policy));
    response
}
