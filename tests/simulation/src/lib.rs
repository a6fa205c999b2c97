//! Deterministic simulation of the order saga.
//!
//! The services are the real ones: their handlers, domain, SQL, outbox, relay, inbox, parking and timers run
//! as they do in production, one process each. What is simulated is the world: clocks, disks, the network,
//! the broker, the payment provider, shoppers and carriers. Everything runs on one thread, and whatever could
//! go one way or another is decided by dice of a seed, so a seed is a run: it can be repeated step by step.
//! The manner is that of FoundationDB (Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key
//! Value Store", SIGMOD 2021) and TigerBeetle.
//!
//! `docs/SIMULATION.md` says what is real, what is not, and how to read a failure.

mod broker;
mod bug;
mod dice;
mod faults;
mod invariants;
mod network;
mod process;
mod provider;
mod run;
mod shop;
mod trace;
mod world;

pub use bug::Bug;
pub use run::{Plan, Run, Weather, run};
pub use trace::Keep;
pub use world::Counts;
