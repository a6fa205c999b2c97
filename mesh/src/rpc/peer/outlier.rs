//! Taking a process out of the rotation that fails where others do not.
//!
//! As Envoy's outlier detection: after a row of failures at once, and once an interval whoever succeeds
//! much less often than the others. The time out grows with each repetition. A share of the processes
//! always stays in: when most of them fail, the fault is elsewhere.

use std::time::{Duration, Instant};

/// Failures in a row that eject.
const CONSECUTIVE: u32 = 5;
/// Processes that must have enough calls before success rates are compared.
const LEAST_PROCESSES: usize = 3;
/// Calls in an interval that make a success rate worth looking at.
const LEAST_CALLS: u32 = 20;
/// Standard deviations below the mean that eject.
const DEVIATIONS: f64 = 1.9;
/// Time between two comparisons.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// The longest time out.
const LONGEST: Duration = Duration::from_secs(300);

/// Why a process was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Consecutive,
    SuccessRate,
}

impl Cause {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// The record of one process.
#[derive(Debug, Default)]
pub(super) struct Record {
    in_a_row: u32,
    succeeded: u32,
    failed: u32,
    ejections: u32,
    ejected_until: Option<Instant>,
}

impl Record {
    /// Notes how a call ended. True when the process should be ejected.
    pub(super) fn note(&mut self, failed: bool) -> bool {
        if failed {
            self.failed += 1;
            self.in_a_row += 1;
        } else {
            self.succeeded += 1;
            self.in_a_row = 0;
        }
        self.in_a_row >= CONSECUTIVE && self.ejected_until.is_none()
    }

    /// Takes the process out, for `base` times the number of ejections so far.
    pub(super) fn eject(&mut self, base: Duration, now: Instant) -> Duration {
        self.ejections += 1;
        let time = base.saturating_mul(self.ejections).min(LONGEST);
        self.ejected_until = Some(now + time);
        time
    }

    /// Whether the process is out now. Lets it in again when its time is over, with a clean record.
    pub(super) fn is_ejected(&mut self, now: Instant) -> bool {
        match self.ejected_until {
            None => false,
            Some(until) if now < until => true,
            Some(_) => {
                self.ejected_until = None;
                self.in_a_row = 0;
                false
            }
        }
    }

    /// Ends an interval and gives its success rate, if there were enough calls.
    pub(super) fn interval(&mut self) -> Option<f64> {
        let (succeeded, failed) = (self.succeeded, self.failed);
        (self.succeeded, self.failed) = (0, 0);
        if self.ejected_until.is_none() && failed == 0 {
            self.ejections = self.ejections.saturating_sub(1);
        }
        let all = succeeded + failed;
        (all >= LEAST_CALLS).then(|| f64::from(succeeded) / f64::from(all))
    }
}

/// The success rate below which a process stands out, if there are enough to compare.
pub(super) fn threshold(rates: &[f64]) -> Option<f64> {
    if rates.len() < LEAST_PROCESSES {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    Some(mean - DEVIATIONS * variance.sqrt())
}

/// Whether one more of `all` processes may be out when `out` are.
pub(super) fn may_eject(out: usize, all: usize, percent: u32) -> bool {
    (out + 1) * 100 <= all * percent as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_row_of_failures_ejects_and_the_time_out_grows() {
        let mut now = Clock::system().monotonic();
        let base = Duration::from_secs(10);
        let mut record = Record::default();
        for time in [10, 20, 30] {
            for _ in 1..CONSECUTIVE {
                assert!(!record.note(true));
            }
            assert!(record.note(true));
            assert_eq!(record.eject(base, now), Duration::from_secs(time));
            assert!(record.is_ejected(now + Duration::from_secs(time - 1)));
            now += Duration::from_secs(time);
            assert!(!record.is_ejected(now));
        }
        // Quiet intervals are forgiven one by one.
        assert_eq!(record.interval(), None);
        for _ in 0..3 {
            record.interval();
        }
        assert_eq!(record.eject(base, now), base);
    }

    #[test]
    fn a_success_ends_a_row() {
        let mut record = Record::default();
        for _ in 0..100 {
            assert!(!record.note(true));
            assert!(!record.note(true));
            assert!(!record.note(false));
        }
        let rate = record.interval();
        assert_eq!(rate, Some(1.0 / 3.0));
    }

    #[test]
    fn who_succeeds_much_less_often_stands_out() {
        assert_eq!(threshold(&[0.1, 1.0]), None);
        let rates = [1.0, 0.99, 1.0, 0.98, 0.2];
        let threshold = threshold(&rates).unwrap_or_default();
        let out: Vec<_> = rates.iter().filter(|rate| **rate < threshold).collect();
        assert_eq!(out, [&0.2]);
    }

    #[test]
    fn some_always_stay() {
        assert!(!may_eject(0, 1, 50));
        assert!(may_eject(0, 2, 50));
        assert!(!may_eject(1, 2, 50));
        assert!(may_eject(1, 5, 50));
        assert!(!may_eject(2, 5, 50));
    }
}
