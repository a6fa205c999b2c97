//! Identifiers as a dependency.
//!
//! Every id is a UUIDv7: sortable by time, so primary keys are appended to the end of an index and a
//! list ordered by id is ordered by creation. Within one process ids increase strictly, also within
//! a millisecond, because keyset pagination and outbox order rely on it. Tests use a deterministic
//! generator, so that a failing run can be replayed.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::clock::Clock;

/// Of the 74 bits below the timestamp the top one starts at zero, which leaves 2^73 steps per millisecond.
const COUNTER_SEED_BITS: u32 = 73;

/// A generator of UUIDv7 ids. Cheap to clone; clones share one sequence.
#[derive(Clone, Debug)]
pub struct Ids {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    millis: u64,
    /// The 74 bits below version and variant: a random start per millisecond, counted up.
    low: u128,
    random: Random,
}

#[derive(Debug)]
enum Random {
    System,
    /// SplitMix64 state.
    Seeded(u64),
}

impl Random {
    fn next_u64(&mut self) -> u64 {
        match self {
            Self::System => rand::random(),
            Self::Seeded(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }

    fn seed_counter(&mut self) -> u128 {
        let wide = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        wide & ((1 << COUNTER_SEED_BITS) - 1)
    }
}

impl Ids {
    /// Unpredictable ids in the time of `clock`.
    pub fn random(clock: Clock) -> Self {
        Self::with(clock, Random::System)
    }

    /// The same ids in every run with the same `seed` and the same clock readings.
    pub fn seeded(clock: Clock, seed: u64) -> Self {
        Self::with(clock, Random::Seeded(seed))
    }

    fn with(clock: Clock, random: Random) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                state: Mutex::new(State {
                    millis: 0,
                    low: 0,
                    random,
                }),
            }),
        }
    }

    /// The next id: a UUIDv7 greater than every id this generator gave before.
    pub fn uuid(&self) -> Uuid {
        let now = u64::try_from(self.inner.clock.now().timestamp_millis()).unwrap_or(0);
        let mut state = self.inner.state.lock();
        if now > state.millis {
            state.millis = now;
            state.low = state.random.seed_counter();
        } else {
            // A clock set back keeps the last millisecond, so that the order survives.
            state.low += 1 + u128::from(state.random.next_u64() & 0xff);
            if state.low >> 74 != 0 {
                state.millis += 1;
                state.low = state.random.seed_counter();
            }
        }
        let rand_a = (state.low >> 62) & 0xfff;
        let rand_b = state.low & ((1 << 62) - 1);
        Uuid::from_u128(
            (u128::from(state.millis) << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b,
        )
    }

    /// A 64-bit random number, for jitter and trace ids; not for secrets.
    pub fn entropy(&self) -> u64 {
        self.inner.state.lock().random.next_u64()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    fn manual() -> Clock {
        Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
    }

    #[test]
    fn ids_are_version_7_and_strictly_increasing() {
        let clock = manual();
        let ids = Ids::random(clock.clone());
        let mut last = ids.uuid();
        for step in 0..20_000 {
            if step % 1000 == 0 {
                clock.advance(Duration::from_millis(1));
            }
            let next = ids.uuid();
            assert_eq!(next.get_version_num(), 7);
            assert_eq!(next.get_variant(), uuid::Variant::RFC4122);
            assert!(next > last);
            assert!(next.to_string() > last.to_string());
            last = next;
        }
    }

    #[test]
    fn the_time_is_the_clock_s() {
        let ids = Ids::random(manual());
        let (seconds, _) = ids.uuid().get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_800_000_000);
    }

    #[test]
    fn seeded_ids_repeat() {
        let run = || {
            let ids = Ids::seeded(manual(), 42);
            (0..100).map(|_| ids.uuid()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
