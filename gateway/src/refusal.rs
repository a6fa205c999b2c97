//! The one place where an error becomes an HTTP response.
//!
//! Whatever goes wrong, at the edge or behind it, is a `Failure` or a `Status`, and mesh's table of
//! reasons says what it is called and which status it has. Clients that ask for it get RFC 9457
//! problem details, all others the house envelope.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use mesh::{Failure, Reason, Rendered};
use serde::Serialize;
use tonic::Status;
use transcoding::{RequestError, RequestErrorKind, ResponseError, RouteError};

use crate::body::EdgeBody;

/// How error bodies look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `{"error": {...}}`
    House,
    /// `application/problem+json`
    Problem,
}

impl ErrorFormat {
    /// What an `Accept` header asks for.
    pub fn negotiate(accept: Option<&HeaderValue>) -> Self {
        let wants = accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/problem+json"));
        if wants { Self::Problem } else { Self::House }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::House => "application/json",
            Self::Problem => "application/problem+json",
        })
    }
}

/// A request that is not served, and why.
#[derive(Debug)]
pub struct Refusal {
    status: Status,
    http: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// With an HTTP status that the table of reasons does not have.
    #[must_use]
    pub fn with_http(mut self, status: StatusCode) -> Self {
        self.http = Some(status);
        self
    }

    /// With a header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status as gRPC clients get it.
    pub fn into_status(self) -> Status {
        self.status
    }

    /// The response for HTTP clients.
    pub fn into_response(
        self,
        format: ErrorFormat,
        request_id: &str,
        now: DateTime<Utc>,
    ) -> Response<EdgeBody> {
        let rendered = Rendered::of(&self.status);
        let status = self.http.unwrap_or_else(|| http_status(&rendered));
        let body = render(&rendered, status, format, request_id, now);
        let mut response = Response::new(EdgeBody::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, format.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // What is not available may be again soon.
        let soon = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        if let Some(seconds) = rendered
            .retry_after
            .map(|delay| delay.as_secs().max(1))
            .or(soon)
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge(rendered.reason));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// The HTTP status of a rendered failure.
pub fn http_status(rendered: &Rendered) -> StatusCode {
    StatusCode::from_u16(rendered.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The challenge of RFC 6750: what was wrong with the credentials, if there were any.
fn challenge(reason: Reason) -> HeaderValue {
    HeaderValue::from_static(match reason {
        Reason::TokenExpired => {
            r#"Bearer realm="hub", error="invalid_token", error_description="the token has expired""#
        }
        Reason::TokenRevoked => {
            r#"Bearer realm="hub", error="invalid_token", error_description="the token has been revoked""#
        }
        Reason::InvalidCredentials => r#"Bearer realm="hub", error="invalid_token""#,
        _ => r#"Bearer realm="hub""#,
    })
}

/// The house envelope.
#[derive(Serialize)]
struct Envelope<'a> {
    error: House<'a>,
}

#[derive(Serialize)]
struct House<'a> {
    code: &'a str,
    message: &'a str,
    details: Details<'a>,
    timestamp: String,
    request_id: &'a str,
}

/// Problem details of RFC 9457, with ours as extension members.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'a str,
    #[serde(flatten)]
    details: Details<'a>,
    timestamp: String,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Details<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    preconditions: Vec<Precondition<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Precondition<'a> {
    r#type: &'a str,
    subject: &'a str,
    description: &'a str,
}

/// The error body.
pub fn render(
    rendered: &Rendered,
    status: StatusCode,
    format: ErrorFormat,
    request_id: &str,
    now: DateTime<Utc>,
) -> Bytes {
    let details = Details {
        reason: rendered.reason.as_str(),
        violations: rendered
            .fields
            .iter()
            .map(|violation| Violation {
                field: &violation.field,
                description: &violation.message,
            })
            .collect(),
        metadata: &rendered.metadata,
        preconditions: rendered
            .preconditions
            .iter()
            .map(|(kind, subject, description)| Precondition {
                r#type: kind,
                subject,
                description,
            })
            .collect(),
        retry_after_seconds: rendered.retry_after.map(|delay| delay.as_secs().max(1)),
    };
    let timestamp = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let code = rendered.seed_code();
    let json = match format {
        ErrorFormat::House => serde_json::to_vec(&Envelope {
            error: House {
                code,
                message: &rendered.message,
                details,
                timestamp,
                request_id,
            },
        }),
        ErrorFormat::Problem => serde_json::to_vec(&Problem {
            r#type: problem_type(rendered.reason),
            title: rendered.reason.spec().message,
            status: status.as_u16(),
            detail: &rendered.message,
            instance: format!("urn:hub:request:{request_id}"),
            code,
            details,
            timestamp,
            request_id,
        }),
    };
    // Text and numbers always serialise; an empty body is the least that can be said otherwise.
    json.unwrap_or_default().into()
}

fn problem_type(reason: Reason) -> String {
    format!(
        "urn:hub:error:{}",
        reason.as_str().to_ascii_lowercase().replace('_', "-")
    )
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self {
            status,
            http: None,
            headers: Vec::new(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Status::from(failure).into()
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Failure::new(reason, reason.spec().message).into()
    }
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::NotFound => Reason::RouteNotFound.into(),
            RouteError::Malformed => Failure::new(
                Reason::InvalidArgument,
                "the path is not valid percent-encoded UTF-8",
            )
            .into(),
            RouteError::MethodNotAllowed { allow } => Self::from(Reason::MethodNotAllowed)
                .with_header(header::ALLOW, allow_header(&allow)),
        }
    }
}

/// The value of `Allow` for a path that takes `methods`: HEAD where there is GET, and OPTIONS.
pub fn allow_header(methods: &[http::Method]) -> HeaderValue {
    let mut names: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    if !names.contains(&"OPTIONS") {
        names.push("OPTIONS");
    }
    names.sort_unstable();
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let reason = match error.kind {
            RequestErrorKind::Syntax | RequestErrorKind::InvalidUtf8 => Reason::InvalidJson,
            RequestErrorKind::UnsupportedMediaType => Reason::UnsupportedMediaType,
            _ => Reason::InvalidArgument,
        };
        let failure = Failure::new(reason, error.to_string());
        if reason == Reason::UnsupportedMediaType {
            return failure.into();
        }
        failure.with_field(error.field, error.description).into()
    }
}

impl From<ResponseError> for Refusal {
    fn from(error: ResponseError) -> Self {
        Failure::internal(error).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn body(response: Response<EdgeBody>) -> Value {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[tokio::test]
    async fn the_house_envelope_names_the_fields() {
        let failure = Failure::invalid("items[0].quantity", "must be at least 1");
        let response = Refusal::from(failure).into_response(ErrorFormat::House, "r-1", now());
        assert_eq!(response.status(), 400);
        let body = body(response).await;
        let error = &body["error"];
        assert_eq!(error["code"], "INVALID_REQUEST");
        assert_eq!(error["request_id"], "r-1");
        assert_eq!(error["timestamp"], "2027-01-15T08:00:00.000Z");
        assert_eq!(
            error["details"]["violations"],
            json!([{"field": "items[0].quantity", "description": "must be at least 1"}])
        );
    }

    #[tokio::test]
    async fn problem_details_are_spoken_on_request() {
        let accept = HeaderValue::from_static("application/problem+json, application/json");
        let format = ErrorFormat::negotiate(Some(&accept));
        let failure = Failure::new(Reason::OutOfStock, "only 2 left").with_metadata("sku", "S-1");
        let response = Refusal::from(failure).into_response(format, "r-2", now());
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = body(response).await;
        assert_eq!(body["type"], "urn:hub:error:out-of-stock");
        assert_eq!(body["status"], 409);
        assert_eq!(body["detail"], "only 2 left");
        assert_eq!(body["metadata"]["sku"], "S-1");
    }

    #[test]
    fn an_expired_token_is_challenged_as_such() {
        let response =
            Refusal::from(Reason::TokenExpired).into_response(ErrorFormat::House, "", now());
        assert_eq!(response.status(), 401);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_token") && challenge.contains("expired"));
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let refusal = Refusal::from(RouteError::MethodNotAllowed {
            allow: vec![http::Method::GET, http::Method::PUT],
        });
        let response = refusal.into_response(ErrorFormat::House, "", now());
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS, PUT");
    }

    #[tokio::test]
    async fn internals_stay_inside() {
        let refusal = Refusal::from(Failure::internal("/var/lib/hub is full"));
        let body = body(refusal.into_response(ErrorFormat::House, "r", now())).await;
        assert!(!body.to_string().contains("/var"));
        assert_eq!(body["error"]["code"], "INTERNAL_SERVER_ERROR");
    }
}
