//! Which keys have parked deliveries, and when each is to be tried again.
//!
//! The rows are in the consumer's store; this is the part of them that must be asked for every delivery,
//! in memory.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A delay is moved by up to this many thousandths either way, so that what failed together does not come
/// back together.
const JITTER_PER_MILLE: u64 = 100;

/// How long after the n-th failed attempt the next one is made; after the last one there is none.
#[derive(Clone, Debug)]
pub(super) struct Schedule(Arc<[u32]>);

impl Schedule {
    /// With these delays in milliseconds.
    pub(super) fn new(delays_ms: &[u32]) -> Self {
        Self(delays_ms.into())
    }

    /// When to try again after `attempts` failed ones (at least 1), or nothing when the delivery is to be given
    /// up. `entropy` decides the jitter.
    pub(super) fn delay(&self, attempts: u32, entropy: u64) -> Option<TimeDelta> {
        let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let base = u64::from(*self.0.get(index)?);
        let spread = base * JITTER_PER_MILLE / 1000;
        let moved = base - spread + entropy % (2 * spread + 1);
        i64::try_from(moved).ok().map(TimeDelta::milliseconds)
    }
}

/// The keys of one consumer that have parked deliveries.
#[derive(Debug, Default)]
pub(super) struct Parking {
    state: Mutex<State>,
    /// Number of keys, so that the usual case needs no lock.
    count: AtomicUsize,
    /// Notified when an earlier time may have to be waited for.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Arc<str>, Entry>,
    due: BinaryHeap<Reverse<(DateTime<Utc>, Arc<str>)>>,
}

#[derive(Debug)]
struct Entry {
    /// When the first delivery of the key is due; nothing while a lane works on it.
    due: Option<DateTime<Utc>>,
    /// Someone else has parked a delivery since the lane last looked.
    stale: bool,
}

impl Parking {
    /// Whether deliveries of the key have to wait behind a parked one.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.state.lock().keys.contains_key(key)
    }

    /// Forgets all keys: somebody else may have worked on them since.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        *state = State::default();
        self.count.store(0, Ordering::Release);
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The first parked delivery of the key is to be tried at `due`.
    pub(super) fn schedule(&self, key: &str, due: DateTime<Utc>) {
        let mut state = self.state.lock();
        let key: Arc<str> = match state.keys.get_key_value(key) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(key),
        };
        let entry = Entry {
            due: Some(due),
            stale: false,
        };
        state.keys.insert(Arc::clone(&key), entry);
        state.due.push(Reverse((due, key)));
        self.count.store(state.keys.len(), Ordering::Release);
        drop(state);
        self.changed.notify_one();
    }

    /// Someone other than the key's lane has parked a delivery that may be tried at `now`.
    pub(super) fn add(&self, key: &str, now: DateTime<Utc>) {
        {
            let mut state = self.state.lock();
            if let Some(entry) = state.keys.get_mut(key) {
                // Either the lane looks again, or the delivery waits behind an earlier one.
                entry.stale = true;
                return;
            }
        }
        self.schedule(key, now);
    }

    /// The lane is about to look at the parked deliveries of the key.
    pub(super) fn look(&self, key: &str) {
        if let Some(entry) = self.state.lock().keys.get_mut(key) {
            entry.stale = false;
        }
    }

    /// The lane has found no more parked deliveries of the key. Returns false when it has to look again.
    pub(super) fn forget(&self, key: &str) -> bool {
        let mut state = self.state.lock();
        if state.keys.get(key).is_some_and(|entry| entry.stale) {
            return false;
        }
        state.keys.remove(key);
        self.count.store(state.keys.len(), Ordering::Release);
        true
    }

    /// The earliest time at which a key is due.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        let state = self.state.lock();
        state.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the keys that are due; each belongs to its lane until it is scheduled again or forgotten.
    pub(super) fn take_due(&self, now: DateTime<Utc>) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut taken = Vec::new();
        while let Some(Reverse((due, _))) = state.due.peek()
            && *due <= now
        {
            let Some(Reverse((due, key))) = state.due.pop() else {
                break;
            };
            // An entry that was scheduled anew has left an outdated time in the heap.
            if let Some(entry) = state.keys.get_mut(&key)
                && entry.due == Some(due)
            {
                entry.due = None;
                taken.push(key);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::events::EventsConfig;

    proptest! {
        #[test]
        fn delays_follow_the_schedule_within_the_jitter(attempts in 1_u32..6, entropy: u64) {
            let delays = EventsConfig::default().retry_delays_ms;
            let base = i64::from(delays[attempts as usize - 1]);
            let schedule = Schedule::new(&delays);
            let delay = schedule.delay(attempts, entropy).unwrap().num_milliseconds();
            prop_assert!((base * 9 / 10..=base * 11 / 10).contains(&delay));
        }

        #[test]
        fn nothing_follows_the_last_attempt(attempts in 6_u32.., entropy: u64) {
            let schedule = EventsConfig::default().retry_schedule();
            prop_assert_eq!(schedule.delay(attempts, entropy), None);
        }
    }

    #[test]
    fn a_key_belongs_to_its_lane_until_it_is_scheduled_again() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let later = start + TimeDelta::seconds(1);
        let parking = Parking::default();
        parking.schedule("k", later);
        assert!(parking.holds("k"));
        assert!(parking.take_due(start).is_empty());
        assert_eq!(parking.take_due(later), vec![Arc::from("k")]);
        assert!(parking.take_due(later).is_empty());
        parking.look("k");
        parking.add("k", later);
        assert!(!parking.forget("k"), "a delivery was added after the look");
        parking.look("k");
        assert!(parking.forget("k"));
        assert!(!parking.holds("k"));
    }
}
