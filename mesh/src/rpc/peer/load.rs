//! How busy a process looks from here.
//!
//! The peak-sensitive moving average of Finagle's `PeakEwma`: a rise in latency counts at once, a fall
//! only slowly, and what has not been seen for a while is forgotten. Multiplied with the calls in flight
//! it is the time that one more call would have to wait.

use std::time::{Duration, Instant};

/// After this time without news two thirds of an estimate are forgotten.
const DECAY: Duration = Duration::from_secs(10);
/// What a call to a process costs that has never answered while another call to it is in flight, in seconds.
const UNKNOWN: f64 = 1.0;

/// The latency estimate of one process.
#[derive(Debug)]
pub(super) struct PeakEwma {
    seconds: f64,
    updated: Instant,
}

impl PeakEwma {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            seconds: 0.0,
            updated: now,
        }
    }

    /// Takes a measured latency in.
    pub(super) fn observe(&mut self, took: Duration, now: Instant) {
        let seconds = took.as_secs_f64();
        let decayed = self.at(now);
        let weight = self.weight(now);
        self.seconds = if seconds > decayed {
            seconds
        } else {
            self.seconds * weight + seconds * (1.0 - weight)
        };
        self.updated = now;
    }

    /// The cost of one more call beside `in_flight` others.
    pub(super) fn cost(&self, in_flight: u32, now: Instant) -> f64 {
        let seconds = self.at(now);
        if seconds == 0.0 && in_flight > 0 {
            return UNKNOWN * f64::from(in_flight);
        }
        seconds * f64::from(in_flight.saturating_add(1))
    }

    fn at(&self, now: Instant) -> f64 {
        self.seconds * self.weight(now)
    }

    fn weight(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.updated).as_secs_f64();
        (-age / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_rise_counts_at_once_and_a_fall_slowly() {
        let start = Clock::system().monotonic();
        let mut load = PeakEwma::new(start);
        assert_eq!(load.cost(0, start), 0.0);
        assert_eq!(load.cost(2, start), 2.0, "unknown and busy");
        load.observe(Duration::from_millis(10), start);
        load.observe(Duration::from_millis(100), start);
        assert_eq!(load.cost(0, start), 0.1);
        assert_eq!(load.cost(3, start), 0.4);
        let soon = start + Duration::from_secs(1);
        load.observe(Duration::from_millis(10), soon);
        let cost = load.cost(0, soon);
        assert!(cost > 0.08 && cost < 0.1, "{cost}");
        assert!(load.cost(0, soon + Duration::from_secs(60)) < 0.001);
    }
}
