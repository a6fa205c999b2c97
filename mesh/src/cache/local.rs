//! The tier in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::{Expiry, future};
use parking_lot::Mutex;

use crate::clock::Clock;

/// Bytes that the entries may hold together.
const CAPACITY: u64 = 64 * 1024 * 1024;
/// What an entry costs besides its key and value.
const OVERHEAD: usize = 128;

/// Entries of this process.
#[derive(Clone)]
pub(super) struct Local {
    entries: future::Cache<Arc<str>, Entry>,
    /// Generations of tags: an entry is gone when one of its tags has moved on.
    tags: Arc<Mutex<HashMap<Arc<str>, u64>>>,
    clock: Clock,
    /// Of which absence of Redis the entries are.
    era: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    expires: Instant,
    life: Duration,
    tags: Arc<[(Arc<str>, u64)]>,
}

/// Frees an entry's memory after its life; whether it may still be read is decided by our own clock.
struct Life;

impl Expiry<Arc<str>, Entry> for Life {
    fn expire_after_create(&self, _: &Arc<str>, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(
        &self,
        _: &Arc<str>,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.life)
    }
}

impl Local {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            entries: future::Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|key: &Arc<str>, entry: &Entry| {
                    u32::try_from(key.len() + entry.value.len() + OVERHEAD).unwrap_or(u32::MAX)
                })
                .expire_after(Life)
                .build(),
            tags: Arc::default(),
            clock,
            era: Arc::default(),
        }
    }

    /// Forgets everything if it was put in another era.
    pub(super) fn belongs_to(&self, era: u64) {
        if self.era.swap(era, Ordering::AcqRel) != era {
            self.clear();
        }
    }

    pub(super) async fn get(&self, key: &str) -> Option<Bytes> {
        let entry = self.entries.get(key).await?;
        if self.clock.monotonic() >= entry.expires {
            return None;
        }
        let live = entry.tags.is_empty() || {
            let tags = self.tags.lock();
            entry
                .tags
                .iter()
                .all(|(tag, generation)| tags.get(tag).copied().unwrap_or(0) == *generation)
        };
        live.then_some(entry.value)
    }

    pub(super) async fn put(&self, key: &str, value: Bytes, life: Duration, tags: &[&str]) {
        let tags: Arc<[(Arc<str>, u64)]> = if tags.is_empty() {
            Arc::default()
        } else {
            let generations = self.tags.lock();
            tags.iter()
                .map(|tag| (Arc::from(*tag), generations.get(*tag).copied().unwrap_or(0)))
                .collect()
        };
        let entry = Entry {
            value,
            expires: self.clock.monotonic() + life,
            life,
            tags,
        };
        self.entries.insert(Arc::from(key), entry).await;
    }

    pub(super) async fn remove(&self, key: &str) {
        self.entries.invalidate(key).await;
    }

    pub(super) fn invalidate_tag(&self, tag: &str) {
        *self.tags.lock().entry(Arc::from(tag)).or_insert(0) += 1;
    }

    pub(super) fn clear(&self) {
        self.entries.invalidate_all();
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.entry_count()
    }
}
