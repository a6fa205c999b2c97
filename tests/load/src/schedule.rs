//! When scenarios start, and how their measurements come together.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::report::Report;

/// How load is spread over time.
pub struct Plan {
    /// Starts per second on average; gaps are exponential, as of independent shoppers.
    pub rate: f64,
    /// How long new scenarios start.
    pub length: Duration,
    /// How many may be under way.
    pub in_flight: usize,
    /// Seed of gaps and choices.
    pub seed: u64,
}

/// One scheduled scenario.
pub struct Start {
    /// When it was meant to start; latency of its first request counts from here.
    pub due: Instant,
    /// Its own source of random choices.
    pub random: SmallRng,
    report: Arc<Mutex<Report>>,
}

impl Start {
    /// Notes a finished request.
    pub fn note(&self, step: &'static str, since: Instant, outcome: Result<(), String>) {
        if let Ok(mut report) = self.report.lock() {
            report.note(step, since.elapsed(), outcome);
        }
    }
}

/// Starts scenarios by the plan and waits until all of them have ended.
pub async fn drive<F, Fut>(plan: Plan, scenario: F) -> anyhow::Result<Report>
where
    F: Fn(Start) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let report = Arc::new(Mutex::new(Report::default()));
    let slots = Arc::new(Semaphore::new(plan.in_flight));
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    let mut due = begin;
    while due - begin < plan.length {
        tokio::time::sleep_until(due.into()).await;
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => {
                let start = Start {
                    due,
                    random: SmallRng::seed_from_u64(random.next_u64()),
                    report: Arc::clone(&report),
                };
                let work = scenario(start);
                tasks.spawn(async move {
                    work.await;
                    drop(slot);
                });
            }
            Err(_) => {
                if let Ok(mut report) = report.lock() {
                    report.overrun();
                }
            }
        }
        while tasks.try_join_next().is_some() {}
        let uniform: f64 = random.random_range(f64::EPSILON..1.0);
        due += Duration::from_secs_f64(-uniform.ln() / plan.rate);
    }
    while tasks.join_next().await.is_some() {}
    let mut report = Arc::try_unwrap(report)
        .map_err(|_| anyhow!("a scenario outlived the run"))?
        .into_inner()
        .map_err(|_| anyhow!("a scenario panicked"))?;
    report.finish(begin.elapsed());
    Ok(report)
}
