//! Health reports as the contract has them.

use contracts::hub::admin::v1::{ComponentHealth, HealthReport, ProcessHealth};
use mesh::Component;

/// A process in one word; one sick part makes the whole degraded, and one that does not serve is unhealthy.
pub fn status(report: &mesh::HealthReport) -> &'static str {
    if report.phase != mesh::Phase::Serving {
        "unhealthy"
    } else if report.components.iter().all(|part| part.healthy) {
        "healthy"
    } else {
        "degraded"
    }
}

/// A part of the process that runs the targets `process`.
pub fn component(part: &Component, process: &str) -> ComponentHealth {
    let (kind, name) = match part.name.split_once(':') {
        Some(("store", name)) => ("database", name),
        Some((_, name)) => ("service", name),
        None if matches!(part.name.as_str(), "bus" | "broker") => ("event_bus", part.name.as_str()),
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
        process: process.to_owned(),
    }
}

/// The report on all processes and on what is missing. The hub is healthy when all of them are, and unhealthy
/// when none serves.
pub fn report(processes: Vec<ProcessHealth>, missing: Vec<ComponentHealth>) -> HealthReport {
    let is = |status: &'static str| move |process: &ProcessHealth| process.status == status;
    let status = if missing.is_empty() && processes.iter().all(is("healthy")) {
        "healthy"
    } else if processes.iter().all(is("unhealthy")) {
        "unhealthy"
    } else {
        "degraded"
    };
    let uptime = processes.iter().map(|process| process.uptime_seconds);
    HealthReport {
        status: status.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: uptime.fold(0.0, f64::max),
        components: processes
            .into_iter()
            .flat_map(|process| process.components)
            .chain(missing)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(status: &str) -> ProcessHealth {
        ProcessHealth {
            status: status.to_owned(),
            ..ProcessHealth::default()
        }
    }

    #[test]
    fn the_hub_is_as_well_as_its_processes() {
        let status = |processes: &[&str], missing: usize| {
            let processes = processes.iter().map(|status| process(status)).collect();
            report(processes, vec![ComponentHealth::default(); missing]).status
        };
        assert_eq!(status(&["healthy", "healthy"], 0), "healthy");
        assert_eq!(status(&["healthy", "degraded"], 0), "degraded");
        assert_eq!(status(&["healthy", "unhealthy"], 0), "degraded");
        assert_eq!(status(&["healthy"], 1), "degraded");
        assert_eq!(status(&["unhealthy"], 0), "unhealthy");
        assert_eq!(status(&[], 2), "unhealthy");
    }
}
