//! When to send a call again.
//!
//! Retries help against a broken connection and make an overload worse, so they are paid for: each
//! call earns a fifth of a retry, and without savings there is none. Waits double and are spread at
//! random, so that clients that failed together do not come back together.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::ids::Ids;

/// What a call earns and a retry costs: 20 %.
const EARNED: u32 = 20;
const COST: u32 = 100;
/// The savings at the start and at most: ten retries.
const MOST: u32 = 1000;
/// The wait before the first retry.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The retry savings of the calls to one service.
#[derive(Debug)]
pub(super) struct RetryBudget {
    savings: AtomicU32,
}

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self {
            savings: AtomicU32::new(MOST),
        }
    }

    /// Books a call.
    pub(super) fn earn(&self) {
        let _ = self
            .savings
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |savings| {
                Some(savings.saturating_add(EARNED).min(MOST))
            });
    }

    /// Whether a retry can be paid for, and if so pays.
    pub(super) fn spend(&self) -> bool {
        self.savings
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |savings| {
                savings.checked_sub(COST)
            })
            .is_ok()
    }
}

/// The wait before retry number `attempt` (from 0): between half and all of 25 ms, 50 ms, 100 ms ...
pub(super) fn backoff(attempt: u32, ids: &Ids) -> Duration {
    let full = FIRST_WAIT * 2_u32.saturating_pow(attempt.min(8));
    let half = full / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(ids.entropy() % spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn retries_stay_below_a_fifth_of_the_calls() {
        let budget = RetryBudget::new();
        while budget.spend() {}
        let mut retries = 0;
        for _ in 0..1000 {
            budget.earn();
            if budget.spend() {
                retries += 1;
            }
        }
        assert_eq!(retries, 200);
    }

    #[test]
    fn waits_grow_and_are_spread() {
        let ids = Ids::seeded(Clock::system(), 1);
        for attempt in 0..6 {
            let full = FIRST_WAIT * 2_u32.pow(attempt);
            let wait = backoff(attempt, &ids);
            assert!(wait >= full / 2 && wait < full, "{wait:?}");
        }
    }
}
