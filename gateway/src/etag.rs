//! Entity tags: so that a client that has an answer already is not sent it again.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

/// A strong tag: 128 bits of the digest of the body.
pub fn of(body: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(body);
    let half = digest.get(..16).unwrap_or_default();
    HeaderValue::from_str(&format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(half)))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client has the answer tagged `etag`. The comparison is weak, as for all reads.
pub fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else {
        return false;
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|candidate| {
            candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == etag
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tag_follows_the_body() {
        assert_eq!(of(b"a"), of(b"a"));
        assert_ne!(of(b"a"), of(b"b"));
        let tag = of(b"a");
        let tag = tag.to_str().unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 24);
    }

    #[test]
    fn any_of_the_clients_tags_may_match() {
        let etag = of(b"a");
        let with = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::IF_NONE_MATCH,
                HeaderValue::from_str(&value).unwrap(),
            );
            matches(&headers, &etag)
        };
        let tag = etag.to_str().unwrap();
        assert!(with(tag.to_owned()));
        assert!(with(format!("\"x\", W/{tag}")));
        assert!(with("*".to_owned()));
        assert!(!with("\"x\"".to_owned()));
        assert!(!matches(&HeaderMap::new(), &etag));
    }
}
