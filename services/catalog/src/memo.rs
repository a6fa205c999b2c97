//! Answers that are kept for a while: facets, totals and the category tree.
//!
//! An answer belongs to a *generation* of the catalog. Every change of a product or category made by this process
//! ends it, and so do the events of products that other processes changed. An answer is also forgotten
//! after a time, because events travel and categories have none.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use mesh::Clock;
use parking_lot::Mutex;

/// Answers kept at most; one more and all are forgotten, which is rare and harmless.
const CAPACITY: usize = 1_024;

/// Answers by key.
#[derive(Debug)]
pub struct Memo<V> {
    clock: Clock,
    life: Duration,
    entries: Mutex<HashMap<String, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    generation: u64,
    expires: Instant,
    value: V,
}

impl<V: Clone> Memo<V> {
    /// Keeps answers for `life`.
    pub fn new(clock: Clock, life: Duration) -> Self {
        Self {
            clock,
            life,
            entries: Mutex::default(),
        }
    }

    /// The answer to `key`, if it is of this generation and not too old.
    pub fn get(&self, key: &str, generation: u64) -> Option<V> {
        let entries = self.entries.lock();
        let entry = entries.get(key)?;
        (entry.generation == generation && self.clock.monotonic() < entry.expires)
            .then(|| entry.value.clone())
    }

    /// Keeps an answer. `generation` is the one that was current before the answer was computed.
    pub fn put(&self, key: &str, generation: u64, value: V) {
        let expires = self.clock.monotonic() + self.life;
        let mut entries = self.entries.lock();
        if entries.len() >= CAPACITY && !entries.contains_key(key) {
            entries.clear();
        }
        entries.insert(
            key.to_owned(),
            Entry {
                generation,
                expires,
                value,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_end_with_their_generation_or_their_time() {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let memo = Memo::new(clock.clone(), Duration::from_secs(60));
        memo.put("a", 1, "x");
        assert_eq!(memo.get("a", 1), Some("x"));
        assert_eq!(memo.get("a", 2), None);
        assert_eq!(memo.get("b", 1), None);
        clock.advance(Duration::from_secs(60));
        assert_eq!(memo.get("a", 1), None);
    }
}
