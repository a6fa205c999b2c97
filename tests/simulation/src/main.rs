//! Simulates checkouts by the thousand, or one seed step by step.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use mesh::Clock;
use simulation::{Bug, Counts, Keep, Plan, Run, Weather, run};

/// Deterministic simulation of the order saga.
#[derive(Debug, Parser)]
struct Arguments {
    /// Checkouts to simulate in all.
    #[arg(long, default_value_t = 100_000)]
    checkouts: u64,
    /// Checkouts of one run: part of what a seed means.
    #[arg(long, default_value_t = 250)]
    per_run: usize,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulate only this seed and print its last steps.
    #[arg(long)]
    replay: bool,
    /// Nothing goes wrong.
    #[arg(long)]
    fair: bool,
    /// Plant a bug.
    #[arg(long)]
    bug: Option<Bug>,
    /// Threads; each simulates its own seeds. One per core when not given.
    #[arg(long)]
    threads: Option<usize>,
}

impl Arguments {
    fn plan(&self) -> Plan {
        Plan {
            checkouts: self.per_run,
            weather: if self.fair {
                Weather::Fair
            } else {
                Weather::Drawn
            },
            bug: self.bug,
        }
    }

    /// The command that repeats a seed.
    fn command(&self, seed: u64) -> String {
        let mut command = format!(
            "cargo run --release -p simulation -- --seed {seed} --replay --per-run {}",
            self.per_run
        );
        if self.fair {
            command.push_str(" --fair");
        }
        if let Some(bug) = self.bug {
            let name = clap::ValueEnum::to_possible_value(&bug);
            command.push_str(" --bug ");
            command.push_str(
                name.as_ref()
                    .map_or("", clap::builder::PossibleValue::get_name),
            );
        }
        command
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.replay {
        let run = run(arguments.seed, arguments.plan(), Keep::Tail)?;
        show(&arguments, &run);
        anyhow::ensure!(run.broken.is_empty(), "seed {} breaks invariants", run.seed);
        return Ok(());
    }
    simulate(&arguments)
}

#[derive(Default)]
struct Sums {
    runs: u64,
    counts: Counts,
    steps: u64,
    simulated: Duration,
}

fn simulate(arguments: &Arguments) -> anyhow::Result<()> {
    let runs = arguments.checkouts.div_ceil(arguments.per_run as u64);
    let threads = match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sums, failed) = (Mutex::new(Sums::default()), Mutex::new(None));
    let clock = Clock::system();
    let started = clock.monotonic();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    let seed = arguments.seed.wrapping_add(number);
                    match run(seed, arguments.plan(), Keep::Hash) {
                        Ok(run) if run.broken.is_empty() => {
                            if let Ok(mut sums) = sums.lock() {
                                add(&mut sums, &run);
                            }
                        }
                        failure => {
                            stop.store(true, Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert((seed, failure.err()));
                            }
                        }
                    }
                }
            });
        }
    });
    let took = clock.monotonic() - started;
    if let Ok(sums) = sums.lock() {
        let Sums {
            runs,
            counts,
            steps,
            simulated,
        } = &*sums;
        println!(
            "{runs} runs, {steps} steps, {} h of simulated time in {:.1} s\n{counts:?}",
            simulated.as_secs() / 3600,
            took.as_secs_f64()
        );
    }
    let failed = failed.lock().ok().and_then(|mut failed| failed.take());
    match failed {
        None => Ok(()),
        Some((seed, Some(error))) => Err(error.context(format!(
            "seed {seed} cannot be simulated; replay: {}",
            arguments.command(seed)
        ))),
        Some((seed, None)) => {
            // The same again, this time with a record to read.
            show(arguments, &run(seed, arguments.plan(), Keep::Tail)?);
            anyhow::bail!("seed {seed} breaks invariants")
        }
    }
}

fn add(sums: &mut Sums, run: &Run) {
    sums.runs += 1;
    sums.steps += run.steps;
    sums.simulated += run.simulated;
    let (all, one) = (&mut sums.counts, &run.counts);
    all.checkouts += one.checkouts;
    all.ordered += one.ordered;
    all.refused += one.refused;
    all.unanswered += one.unanswered;
    all.cancellations += one.cancellations;
    all.crashes += one.crashes;
}

fn show(arguments: &Arguments, run: &Run) {
    for line in &run.tail {
        println!("{line}");
    }
    println!(
        "seed {}: {} steps, hash {:016x}, {:?}",
        run.seed, run.steps, run.hash, run.counts
    );
    for broken in &run.broken {
        println!("BROKEN: {broken}");
    }
    if !run.broken.is_empty() {
        println!("replay: {}", arguments.command(run.seed));
    }
}
