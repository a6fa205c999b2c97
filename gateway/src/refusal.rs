//! The one place where an error becomes an HTTP response.
//!
//! Whatever goes wrong, at the edge or behind it, is a `Failure` or a `Status`, and mesh's table of
//! reasons says what it is called and which status it has. Clients that ask for it get RFC 9457
//! problem details, all others the house envelope.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use mesh::{Failure, Reason, Rendered};
use serde_json::{Map, Value, json};
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
        if let Some(delay) = rendered.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(delay.as_secs().max(1)),
            );
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

/// The error body.
pub fn render(
    rendered: &Rendered,
    status: StatusCode,
    format: ErrorFormat,
    request_id: &str,
    now: DateTime<Utc>,
) -> Bytes {
    let timestamp = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut details = Map::new();
    details.insert("reason".into(), rendered.reason.as_str().into());
    if !rendered.fields.is_empty() {
        let violations = rendered
            .fields
            .iter()
            .map(|violation| json!({"field": violation.field, "description": violation.message}))
            .collect();
        details.insert("violations".into(), Value::Array(violations));
    }
    if !rendered.metadata.is_empty() {
        details.insert("metadata".into(), json!(rendered.metadata));
    }
    if !rendered.preconditions.is_empty() {
        let preconditions = rendered
            .preconditions
            .iter()
            .map(|(kind, subject, description)| {
                json!({"type": kind, "subject": subject, "description": description})
            })
            .collect();
        details.insert("preconditions".into(), Value::Array(preconditions));
    }
    if let Some(delay) = rendered.retry_after {
        details.insert("retry_after_seconds".into(), delay.as_secs().max(1).into());
    }
    let body = match format {
        ErrorFormat::House => json!({"error": {
            "code": rendered.seed_code(),
            "message": rendered.message,
            "details": details,
            "timestamp": timestamp,
            "request_id": request_id,
        }}),
        ErrorFormat::Problem => {
            let mut problem = details;
            problem.insert("type".into(), problem_type(rendered.reason).into());
            problem.insert("title".into(), rendered.reason.spec().message.into());
            problem.insert("status".into(), status.as_u16().into());
            problem.insert("detail".into(), rendered.message.as_str().into());
            problem.insert(
                "instance".into(),
                format!("urn:hub:request:{request_id}").into(),
            );
            problem.insert("code".into(), rendered.seed_code().into());
            problem.insert("timestamp".into(), timestamp.into());
            problem.insert("request_id".into(), request_id.into());
            Value::Object(problem)
        }
    };
    body.to_string().into()
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
