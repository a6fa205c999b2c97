//! Cross-origin requests: which pages may call with the user's credentials.
//!
//! Origins are compared as a whole with the configured ones; there are no patterns, and an origin is
//! never reflected because it asked.

use std::collections::HashSet;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::body::EdgeBody;

/// Methods that pages of another origin may use.
pub const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Headers that they may send.
pub const ALLOWED_HEADERS: &str = "accept, authorization, content-type, grpc-timeout, idempotency-key, if-none-match, last-event-id, \
     traceparent, tracestate, x-csrf-token, x-grpc-web, x-request-id, x-user-agent";
/// Headers of answers that they may read.
pub const READABLE_HEADERS: &str = "etag, grpc-message, grpc-status, grpc-status-details-bin, idempotent-replayed, location, ratelimit, \
     ratelimit-policy, retry-after, traceparent, www-authenticate, x-hub-guest-token, x-request-id";

const METHODS: HeaderValue = HeaderValue::from_static(ALLOWED_METHODS);
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(ALLOWED_HEADERS);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(READABLE_HEADERS);
const TRUE: HeaderValue = HeaderValue::from_static("true");
/// Two hours: the longest that browsers keep a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The origins that may call.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: HashSet<HeaderValue>,
}

/// An origin in the configuration is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin such as https://shop.example (no path, no pattern)")]
pub struct InvalidOrigin(pub String);

impl Cors {
    /// Admits exactly `origins`.
    ///
    /// # Errors
    /// The first text that no browser would ever send as an origin.
    pub fn new(origins: &[String]) -> Result<Self, InvalidOrigin> {
        let origins = origins
            .iter()
            .map(|text| {
                let invalid = || InvalidOrigin(text.clone());
                let authority = text
                    .strip_prefix("https://")
                    .or_else(|| text.strip_prefix("http://"))
                    .ok_or_else(invalid)?;
                if authority.is_empty() || authority.contains(['/', '*', ' ', '@', '?']) {
                    return Err(invalid());
                }
                HeaderValue::from_str(&text.to_ascii_lowercase()).map_err(|_| invalid())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { origins })
    }

    /// The answer to a preflight, or `None` when the request is not one.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<EdgeBody>> {
        let origin = headers.get(header::ORIGIN)?;
        if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut response = Response::new(EdgeBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(
            header::VARY,
            HeaderValue::from_static(
                "origin, access-control-request-method, access-control-request-headers",
            ),
        );
        if self.origins.contains(origin) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        Some(response)
    }

    /// Adds what a browser needs to show the response to the page at `origin`.
    pub fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.origins.contains(*origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cors() -> Cors {
        Cors::new(&["https://shop.example".to_owned()]).unwrap()
    }

    fn preflight(origin: &'static str) -> Response<EdgeBody> {
        let mut headers = HeaderMap::new();
        headers.insert("origin", HeaderValue::from_static(origin));
        headers.insert(
            "access-control-request-method",
            HeaderValue::from_static("PATCH"),
        );
        cors().preflight(&Method::OPTIONS, &headers).unwrap()
    }

    #[test]
    fn a_known_origin_may_call_with_credentials() {
        let response = preflight("https://shop.example");
        assert_eq!(response.status(), 204);
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "https://shop.example"
        );
        assert_eq!(
            response.headers()["access-control-allow-credentials"],
            "true"
        );
        assert!(
            response.headers()["access-control-allow-methods"]
                .to_str()
                .unwrap()
                .contains("PATCH")
        );
        assert!(response.headers().contains_key("access-control-max-age"));
    }

    #[test]
    fn no_other_origin_is_reflected() {
        for origin in [
            "https://evil.example",
            "https://shop.example.evil.example",
            "http://shop.example",
            "null",
        ] {
            let response = preflight(origin);
            assert!(
                !response
                    .headers()
                    .contains_key("access-control-allow-origin"),
                "{origin}"
            );
        }
    }

    #[test]
    fn responses_vary_by_origin() {
        let mut headers = HeaderMap::new();
        cors().decorate(None, &mut headers);
        assert_eq!(headers["vary"], "origin");
        assert!(!headers.contains_key("access-control-allow-origin"));
        let origin = HeaderValue::from_static("https://shop.example");
        cors().decorate(Some(&origin), &mut headers);
        assert!(headers.contains_key("access-control-expose-headers"));
    }

    #[test]
    fn patterns_and_paths_are_no_origins() {
        for text in [
            "*",
            "https://*.example",
            "https://shop.example/",
            "shop.example",
            "https://",
        ] {
            assert!(Cors::new(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plain_options_request_is_no_preflight() {
        assert!(
            cors()
                .preflight(&Method::OPTIONS, &HeaderMap::new())
                .is_none()
        );
    }
}
