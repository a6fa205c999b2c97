//! The first thing that a person sees.

use bytes::Bytes;
use http::{Response, request::Parts};
use mesh::{Hub, Profile};

use super::{Life, page as respond_page, with_policy};
use crate::body::EdgeBody;

const TEMPLATE: &str = include_str!("assets/landing.html");
const DEMO: &str = include_str!("assets/demo.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page for `hub`: demo users are shown where they exist.
pub(super) fn page(hub: &Hub) -> String {
    let (demo, metrics, email, password, product) = match hub.profile() {
        Profile::Embedded => (
            DEMO,
            r#" and <a href="/metrics">metrics</a>"#,
            "customer@hub.test",
            "Holiday-Peak-2026!",
            "first-snow-pull-sled",
        ),
        Profile::Production => ("", "", "YOUR_EMAIL", "YOUR_PASSWORD", "PRODUCT"),
    };
    let base = format!("http://{}", hub.settings().listen);
    TEMPLATE
        .replace("{{demo}}", demo)
        .replace("{{metrics}}", metrics)
        .replace("{{base}}", &base)
        .replace("{{product}}", product)
        .replace("{{email}}", email)
        .replace("{{password}}", password)
}

/// The response with `page`.
pub(super) fn respond(parts: &Parts, page: &Bytes) -> Response<EdgeBody> {
    with_policy(
        respond_page(parts, "text/html; charset=utf-8", page.clone(), Life::Check),
        POLICY,
    )
}
