//! Metrics in Prometheus' text format.
//!
//! Code records through the `metrics` facade; this module owns the one recorder of the process and
//! renders it. There is no listener here: the gateway serves `/metrics` on its own port, and a process
//! without one on the port of its probes. What each metric means stands in [`super::catalog`].

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often recorded samples are condensed into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Bounds of latency histograms in seconds: from an in-process call to the longest deadline.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Bounds of the age of events in seconds: from a delivery at once to one after all retries.
const AGES: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];

/// Bounds of the number of writes that share a commit.
const GROUP_SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Makes the Prometheus recorder the process's recorder. Later calls do nothing, so that several hubs
/// of one test process share it.
pub fn install_metrics() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .and_then(|builder| {
                let groups = Matcher::Full("hub_store_group_size".to_owned());
                builder.set_buckets_for_metric(groups, GROUP_SIZES)
            })
            .and_then(|builder| {
                let ages = Matcher::Full("hub_event_end_to_end_seconds".to_owned());
                builder.set_buckets_for_metric(ages, AGES)
            });
        let recorder = match builder {
            Ok(builder) => builder.build_recorder(),
            Err(error) => {
                tracing::error!(%error, "metrics are off");
                return None;
            }
        };
        let handle = recorder.handle();
        match metrics::set_global_recorder(recorder) {
            Ok(()) => {
                super::catalog::describe();
                Some(handle)
            }
            Err(error) => {
                tracing::error!(%error, "metrics are off");
                None
            }
        }
    });
}

/// The current values in Prometheus' text format; empty when no recorder is installed.
pub fn render_metrics() -> String {
    HANDLE
        .get()
        .and_then(Option::as_ref)
        .map(|handle| {
            if let Some(bytes) = resident_memory() {
                metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
            }
            handle.run_upkeep();
            handle.render()
        })
        .unwrap_or_default()
}

/// Condenses recorded samples from time to time until `stop` is cancelled. The recorder keeps every sample
/// of a histogram until somebody reads it, so without this a hub that nobody scrapes would grow for ever.
pub(crate) async fn keep_metrics(clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(UPKEEP_INTERVAL) => {}
        }
        if let Some(handle) = HANDLE.get().and_then(Option::as_ref) {
            handle.run_upkeep();
        }
    }
}

/// The process's resident memory in bytes, where the system tells.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .trim()
        .strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
