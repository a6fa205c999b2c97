//! The hub's health report as the contract has it.

use chrono::TimeDelta;
use contracts::hub::admin::v1::{ComponentHealth, HealthReport};
use mesh::Component;

/// Translates the report; one sick part makes the whole degraded, a process that does not serve is
/// unhealthy.
pub fn report(report: mesh::HealthReport, uptime: TimeDelta) -> HealthReport {
    let status = if report.phase != mesh::Phase::Serving {
        "unhealthy"
    } else if report.components.iter().all(|part| part.healthy) {
        "healthy"
    } else {
        "degraded"
    };
    HealthReport {
        status: status.to_owned(),
        components: report.components.iter().map(component).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: uptime.as_seconds_f64(),
    }
}

fn component(part: &Component) -> ComponentHealth {
    let (kind, name) = match part.name.split_once(':') {
        Some(("store", name)) => ("database", name),
        Some((_, name)) => ("service", name),
        None if part.name == "bus" => ("event_bus", part.name.as_str()),
        None if part.name == "redis" => ("cache", part.name.as_str()),
        None if part.name == "blobs" => ("blob_store", part.name.as_str()),
        None => ("service", part.name.as_str()),
    };
    let status = match part.verdict() {
        "ok" => "healthy",
        "degraded" => "degraded",
        _ => "unhealthy",
    };
    ComponentHealth {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: status.to_owned(),
        detail: part.detail.clone(),
        latency_ms: part.took.as_secs_f64() * 1_000.0,
    }
}
