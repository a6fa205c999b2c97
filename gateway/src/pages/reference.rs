//! The interactive reference at `/docs`: Swagger UI, embedded, so that it works offline.

use bytes::Bytes;
use http::{Response, request::Parts};

use super::{Life, page, with_policy};
use crate::body::EdgeBody;

const BUNDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js"));
const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css"));
const START: &[u8] = include_bytes!("assets/docs.js");
const INDEX: &[u8] = include_bytes!("assets/docs.html");
/// Swagger UI writes inline styles and shows inline images.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether `path` belongs to the reference.
pub(super) fn has(path: &str) -> bool {
    file(path).is_some()
}

fn file(path: &str) -> Option<(&'static str, &'static [u8], Life)> {
    Some(match path {
        "/docs" | "/docs/" => ("text/html; charset=utf-8", INDEX, Life::Check),
        "/docs/docs.js" => ("text/javascript; charset=utf-8", START, Life::Check),
        "/docs/swagger-ui-bundle.js" => ("text/javascript; charset=utf-8", BUNDLE, Life::Hour),
        "/docs/swagger-ui.css" => ("text/css; charset=utf-8", STYLE, Life::Hour),
        _ => return None,
    })
}

/// The file at `path`.
pub(super) fn respond(path: &str, parts: &Parts) -> Option<Response<EdgeBody>> {
    let (content_type, content, life) = file(path)?;
    Some(with_policy(
        page(parts, content_type, Bytes::from_static(content), life),
        POLICY,
    ))
}
