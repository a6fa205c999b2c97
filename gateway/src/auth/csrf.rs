//! Cross-site request forgery: a browser sends cookies whoever made it send the request, so for
//! requests that change something a cookie alone proves nothing.
//!
//! The page must also send, in a header, the value of a cookie that only pages of our origin can
//! read. `SameSite=Strict` already keeps honest browsers from sending the cookies across sites; this
//! holds where that does not (sibling subdomains, old browsers).

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderName, Method};
use mesh::{Failure, Reason};
use subtle::ConstantTimeEq;

use super::cookies;
use crate::exchange::text;

/// Carries the value of the readable cookie.
pub const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// A new token: 24 random bytes.
pub fn token() -> String {
    let mut bytes = [0; 24];
    // Without random numbers there is no token; an empty one never matches.
    match rand::fill(&mut bytes) {
        Ok(()) => cookies::encode(&bytes),
        Err(_) => String::new(),
    }
}

/// Whether requests with `method` change nothing.
pub fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Checks a request that relies on cookies.
///
/// # Errors
/// [`Reason::CsrfRejected`] for an unsafe method without the proof.
pub fn check(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if is_safe(method) {
        return Ok(());
    }
    let proven = match (
        cookies::find(headers, cookies::CSRF),
        text(headers, &HEADER),
    ) {
        (Some(cookie), Some(header)) => bool::from(cookie.as_bytes().ct_eq(header.as_bytes())),
        _ => false,
    };
    if proven {
        Ok(())
    } else {
        Err(Failure::new(
            Reason::CsrfRejected,
            "send the value of the cookie hub_csrf in the header x-csrf-token, or use a bearer token",
        ))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(cookie: &'static str, header: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static(cookie));
        if let Some(header) = header {
            headers.insert(HEADER, HeaderValue::from_static(header));
        }
        headers
    }

    #[test]
    fn the_header_must_repeat_the_cookie() {
        let post = Method::POST;
        assert!(check(&post, &headers("hub_access=a; hub_csrf=x", Some("x"))).is_ok());
        assert!(check(&post, &headers("hub_access=a; hub_csrf=x", Some("y"))).is_err());
        assert!(check(&post, &headers("hub_access=a; hub_csrf=x", None)).is_err());
        assert!(check(&post, &headers("hub_access=a; hub_csrf=", Some(""))).is_err());
        assert!(check(&post, &headers("hub_access=a", Some("x"))).is_err());
    }

    #[test]
    fn reading_needs_no_proof() {
        assert!(check(&Method::GET, &headers("hub_access=a", None)).is_ok());
        assert!(check(&Method::HEAD, &headers("hub_access=a", None)).is_ok());
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
        assert_eq!(token().len(), 32);
    }
}
