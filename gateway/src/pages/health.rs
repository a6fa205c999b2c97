//! Health as load balancers and people ask for it. Only names and verdicts are public; details are for
//! administrators, who ask `GET /api/admin/health`.

use http::{Response, StatusCode};
use mesh::{Hub, Phase};
use serde_json::json;

use super::plain;
use crate::body::EdgeBody;

const JSON: &str = "application/json";

/// The process runs; it may still not be able to serve.
pub(super) fn live() -> Response<EdgeBody> {
    plain(
        StatusCode::OK,
        JSON,
        json!({"status": "ok"}).to_string().into(),
    )
}

/// Whether requests should be sent here.
pub(super) async fn ready(hub: &Hub) -> Response<EdgeBody> {
    // While draining nothing needs to be asked.
    let ready = hub.is_ready() && hub.health().await.is_ready();
    let body = json!({"status": word(ready), "phase": phase(hub.phase())});
    plain(status(ready), JSON, body.to_string().into())
}

/// The same with the parts.
pub(super) async fn overview(hub: &Hub) -> Response<EdgeBody> {
    let report = hub.health().await;
    let ready = report.is_ready();
    let components: Vec<_> = report
        .components
        .iter()
        .map(|component| json!({"name": component.name, "status": component.verdict()}))
        .collect();
    let body = json!({
        "status": word(ready),
        "phase": phase(report.phase),
        "version": env!("CARGO_PKG_VERSION"),
        "services": hub.services(),
        "components": components,
    });
    plain(status(ready), JSON, body.to_string().into())
}

fn status(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn word(healthy: bool) -> &'static str {
    if healthy { "ok" } else { "unavailable" }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
        Phase::Stopped => "stopped",
    }
}
