//! Headers that tell browsers what the responses must not be used for.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const FRAME: HeaderValue = HeaderValue::from_static("DENY");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const REFERRER: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Two years, as the preload lists ask for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const NO_PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), geolocation=(), microphone=()");

/// Whether the client's connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP: HSTS would be ignored, and is not sent.
    Plain,
    /// TLS.
    Encrypted,
}

/// Adds the headers. A page that brought its own content security policy keeps it.
pub fn decorate(transport: Transport, headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::X_FRAME_OPTIONS, FRAME);
    headers.insert(header::REFERRER_POLICY, REFERRER);
    if headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(PERMISSIONS, NO_PERMISSIONS);
    } else {
        headers.insert(header::CONTENT_SECURITY_POLICY, API_POLICY);
    }
    if transport == Transport::Encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_needs_tls() {
        let mut headers = HeaderMap::new();
        decorate(Transport::Plain, &mut headers);
        assert!(!headers.contains_key("strict-transport-security"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        decorate(Transport::Encrypted, &mut headers);
        assert!(headers.contains_key("strict-transport-security"));
    }

    #[test]
    fn a_page_keeps_its_policy() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-security-policy",
            HeaderValue::from_static("default-src 'self'"),
        );
        decorate(Transport::Plain, &mut headers);
        assert_eq!(headers["content-security-policy"], "default-src 'self'");
    }
}
