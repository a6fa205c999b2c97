//! Load generator for a running hub.
//!
//! Arrivals are *open-loop*: requests start when the schedule says so, whether or not earlier ones
//! have been answered, and latency counts from the scheduled start. A server that stalls therefore
//! shows its stall in the percentiles instead of slowing the generator down (coordinated omission).

#![allow(
    clippy::disallowed_methods,
    reason = "a load generator measures real time"
)]

mod client;
mod report;
mod scenario;
mod schedule;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;

use crate::{client::Client, report::Report, scenario::Scenario};

/// Sends load to a hub on this machine and reports latency and errors.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// Base URL of the hub.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// What shoppers do.
    #[arg(long, value_enum, default_value = "mixed")]
    scenario: Scenario,
    /// Scenario starts per second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Seconds of load that count.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of load before, which do not count.
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Scenarios that may be under way at once; starts beyond it are reported as `overrun`.
    #[arg(long, default_value_t = 2_000)]
    in_flight: usize,
    /// Share of checkouts, 0 to 1, that follow their order until it is `processing`.
    #[arg(long, default_value_t = 0.05)]
    follow: f64,
    /// Browse with a session: signed-in answers are never taken from the shared cache
    #[arg(long)]
    signed_in: bool,
    /// Seed of the random choices: the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report as JSON to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(options.rate > 0.0, "--rate must be greater than 0");
    anyhow::ensure!(
        (0.0..=1.0).contains(&options.follow),
        "--follow must be between 0 and 1"
    );
    let mut client = Client::connect(&options.url).await?;
    if options.signed_in {
        client.sign_in().await?;
    }
    let client = Arc::new(client);
    if options.warmup > 0 {
        run(&options, &client, Duration::from_secs(options.warmup), 0).await?;
    }
    let length = Duration::from_secs(options.seconds);
    let report = run(&options, &client, length, 1).await?;
    print!("{report}");
    if let Some(path) = &options.json {
        let file = std::fs::File::create(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer_pretty(file, &report.summary())?;
    }
    Ok(())
}

async fn run(
    options: &Options,
    client: &Arc<Client>,
    length: Duration,
    round: u64,
) -> anyhow::Result<Report> {
    let plan = schedule::Plan {
        rate: options.rate,
        length,
        in_flight: options.in_flight,
        seed: options.seed.wrapping_mul(2).wrapping_add(round),
    };
    let scenario = options.scenario;
    let follow = options.follow;
    schedule::drive(plan, move |start| {
        let client = Arc::clone(client);
        async move { scenario.run(&client, start, follow).await }
    })
    .await
}
