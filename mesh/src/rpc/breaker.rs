//! A circuit breaker: stop asking someone who cannot answer.
//!
//! It counts the outcomes of the last calls to one service. When too many of them failed, it opens
//! and calls are refused at once for a while; then a few probes are let through, and their outcome
//! decides whether it closes again. Decisions are local to the process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tonic::Code;

use crate::clock::Clock;

/// Outcomes that are looked at.
const WINDOW: usize = 50;
/// Outcomes needed before anything is decided.
const LEAST: usize = 20;
/// Successful probes that close the breaker again.
const PROBES: u32 = 5;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct BreakerSettings {
    pub(super) failure_percent: u32,
    pub(super) open_for: Duration,
}

/// The breaker of one service.
#[derive(Debug)]
pub(super) struct Breaker {
    service: Arc<str>,
    clock: Clock,
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed(Outcomes),
    Open {
        until: Instant,
    },
    HalfOpen {
        admitted: u32,
        succeeded: u32,
        until: Instant,
    },
}

/// A ring of the last outcomes, a bit each.
#[derive(Debug, Default)]
struct Outcomes {
    failed: u64,
    next: usize,
    seen: usize,
}

impl Outcomes {
    fn record(&mut self, failed: bool) {
        let bit = 1 << self.next;
        if failed {
            self.failed |= bit;
        } else {
            self.failed &= !bit;
        }
        self.next = (self.next + 1) % WINDOW;
        self.seen = (self.seen + 1).min(WINDOW);
    }

    fn failure_percent(&self) -> Option<u32> {
        (self.seen >= LEAST).then(|| self.failed.count_ones() * 100 / self.seen as u32)
    }
}

impl Breaker {
    pub(super) fn new(service: Arc<str>, clock: Clock, settings: BreakerSettings) -> Self {
        Self {
            service,
            clock,
            settings,
            state: Mutex::new(State::Closed(Outcomes::default())),
        }
    }

    /// Whether a call may be made now. `Err` says how long the breaker stays open.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        match &mut *state {
            State::Closed(_) => Ok(()),
            State::Open { until } | State::HalfOpen { until, .. } if now < *until => {
                let wait = *until - now;
                match &mut *state {
                    State::HalfOpen { admitted, .. } if *admitted < PROBES => {
                        *admitted += 1;
                        Ok(())
                    }
                    _ => Err(wait),
                }
            }
            // The time of an open breaker is over; or that of probes whose callers went away and
            // never reported.
            State::Open { .. } | State::HalfOpen { .. } => {
                *state = State::HalfOpen {
                    admitted: 1,
                    succeeded: 0,
                    until: now + self.settings.open_for,
                };
                Ok(())
            }
        }
    }

    /// Whether calls are refused now.
    pub(super) fn is_open(&self) -> bool {
        let now = self.clock.monotonic();
        matches!(&*self.state.lock(), State::Open { until } if now < *until)
    }

    /// Takes an admitted call back whose outcome says nothing.
    pub(super) fn withdraw(&self) {
        if let State::HalfOpen { admitted, .. } = &mut *self.state.lock() {
            *admitted = admitted.saturating_sub(1);
        }
    }

    /// Reports the outcome of an admitted call.
    pub(super) fn report(&self, code: Code) {
        let failed = counts_as_failure(code);
        let mut state = self.state.lock();
        match &mut *state {
            State::Closed(outcomes) => {
                outcomes.record(failed);
                if outcomes
                    .failure_percent()
                    .is_some_and(|percent| percent >= self.settings.failure_percent)
                {
                    self.open(&mut state);
                }
            }
            State::HalfOpen { succeeded, .. } => {
                if failed {
                    self.open(&mut state);
                } else {
                    *succeeded += 1;
                    if *succeeded >= PROBES {
                        *state = State::Closed(Outcomes::default());
                        tracing::info!(service = %self.service, "circuit breaker closed");
                        self.gauge(0.0);
                    }
                }
            }
            // A call from before it opened.
            State::Open { .. } => {}
        }
    }

    fn open(&self, state: &mut State) {
        *state = State::Open {
            until: self.clock.monotonic() + self.settings.open_for,
        };
        tracing::warn!(service = %self.service, "circuit breaker opened");
        self.gauge(1.0);
    }

    fn gauge(&self, value: f64) {
        metrics::gauge!("rpc_breaker_open", "service" => self.service.to_string()).set(value);
    }
}

/// Failures of the callee, as opposed to refusals of the request.
pub(super) fn counts_as_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unknown
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;

    use super::*;

    fn breaker() -> (Clock, Breaker) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let settings = BreakerSettings {
            failure_percent: 50,
            open_for: Duration::from_secs(5),
        };
        (clock.clone(), Breaker::new("test".into(), clock, settings))
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            if breaker.admit().is_ok() {
                breaker.report(Code::Unavailable);
            }
        }
    }

    #[test]
    fn it_opens_after_enough_failures_and_closes_after_good_probes() {
        let (clock, breaker) = breaker();
        fail(&breaker, LEAST - 1);
        assert!(breaker.admit().is_ok());
        fail(&breaker, 1);
        assert_eq!(breaker.admit(), Err(Duration::from_secs(5)));
        clock.advance(Duration::from_secs(5));
        for _ in 0..PROBES {
            breaker.admit().unwrap();
        }
        for _ in 0..PROBES {
            breaker.report(Code::Ok);
        }
        assert!(breaker.admit().is_ok());
    }

    #[test]
    fn a_failing_probe_opens_it_again() {
        let (clock, breaker) = breaker();
        fail(&breaker, LEAST);
        clock.advance(Duration::from_secs(6));
        breaker.admit().unwrap();
        breaker.report(Code::Internal);
        assert!(breaker.admit().is_err());
    }

    #[test]
    fn a_probe_that_is_withdrawn_makes_room_for_another() {
        let (clock, breaker) = breaker();
        fail(&breaker, LEAST);
        assert!(breaker.is_open());
        clock.advance(Duration::from_secs(5));
        assert!(!breaker.is_open());
        for _ in 0..3 * PROBES {
            breaker.admit().unwrap();
            breaker.withdraw();
        }
        assert!(breaker.admit().is_ok());
    }

    #[test]
    fn lost_probes_do_not_block_it_for_ever() {
        let (clock, breaker) = breaker();
        fail(&breaker, LEAST);
        clock.advance(Duration::from_secs(5));
        for _ in 0..PROBES {
            breaker.admit().unwrap();
        }
        assert!(breaker.admit().is_err());
        clock.advance(Duration::from_secs(5));
        assert!(breaker.admit().is_ok());
    }

    #[test]
    fn refusals_are_not_failures() {
        let (_, breaker) = breaker();
        for _ in 0..200 {
            breaker.admit().unwrap();
            breaker.report(Code::NotFound);
        }
        assert!(breaker.admit().is_ok());
    }
}
