//! What a run has shown: latency per step, errors by kind.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Measurements of a run.
#[derive(Default)]
pub struct Report {
    steps: BTreeMap<&'static str, Step>,
    overruns: u64,
    elapsed: Duration,
}

struct Step {
    micros: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

impl Report {
    /// Adds one request of `step`.
    pub fn note(&mut self, step: &'static str, latency: Duration, outcome: Result<(), String>) {
        let step = self.steps.entry(step).or_insert_with(Step::new);
        match outcome {
            Ok(()) => step
                .micros
                .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
            Err(kind) => *step.errors.entry(kind).or_default() += 1,
        }
    }

    /// Counts a start that found no free slot.
    pub fn overrun(&mut self) {
        self.overruns += 1;
    }

    /// Notes how long the run took in all.
    pub fn finish(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// The figures, for machines.
    pub fn summary(&self) -> Summary {
        let seconds = self.elapsed.as_secs_f64();
        Summary {
            seconds,
            overruns: self.overruns,
            steps: self
                .steps
                .iter()
                .map(|(name, step)| step.summary(name, seconds))
                .collect(),
        }
    }
}

impl Step {
    fn new() -> Self {
        // Two significant digits from 1 µs to 2 min; larger values saturate.
        let micros = Histogram::new_with_bounds(1, 120_000_000, 2)
            .expect("the bounds are constants that the histogram accepts");
        Self {
            micros,
            errors: BTreeMap::new(),
        }
    }

    fn summary(&self, name: &'static str, seconds: f64) -> StepSummary {
        let millis = |quantile| self.micros.value_at_quantile(quantile) as f64 / 1_000.0;
        StepSummary {
            step: name,
            succeeded: self.micros.len(),
            per_second: self.micros.len() as f64 / seconds,
            p50_ms: millis(0.50),
            p95_ms: millis(0.95),
            p99_ms: millis(0.99),
            max_ms: self.micros.max() as f64 / 1_000.0,
            errors: self.errors.clone(),
        }
    }
}

/// The figures of a run.
#[derive(Serialize)]
pub struct Summary {
    /// How long the run took, the last answers included.
    pub seconds: f64,
    /// Starts that found no free slot.
    pub overruns: u64,
    /// Each step.
    pub steps: Vec<StepSummary>,
}

/// The figures of a step.
#[derive(Serialize)]
pub struct StepSummary {
    step: &'static str,
    succeeded: u64,
    per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    errors: BTreeMap<String, u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary();
        writeln!(
            f,
            "{:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "step", "ok", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms"
        )?;
        for step in &summary.steps {
            writeln!(
                f,
                "{:<18} {:>9} {:>9.1} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                step.step,
                step.succeeded,
                step.per_second,
                step.p50_ms,
                step.p95_ms,
                step.p99_ms,
                step.max_ms
            )?;
            for (kind, count) in &step.errors {
                writeln!(f, "  {count} × {kind}")?;
            }
        }
        writeln!(
            f,
            "{:.1} s in all, {} starts overran",
            summary.seconds, summary.overruns
        )
    }
}
