//! A cache of bytes with a life per entry.
//!
//! It is the seam behind which a shared cache (Redis) will stand, so its operations are async and its
//! values are bytes. Everything in it can be lost at any time: revoked sessions, rendered responses
//! and the like are always also somewhere durable or can be computed again.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
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

/// A handle on the cache. Cheap to clone; clones share entries.
#[derive(Clone)]
pub struct Cache {
    entries: future::Cache<Arc<str>, Entry>,
    /// Generations of tags: an entry is gone when one of its tags has moved on.
    tags: Arc<Mutex<HashMap<Arc<str>, u64>>>,
    clock: Clock,
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

impl Cache {
    /// An empty in-process cache of at most 64 MiB on the time of `clock`.
    pub fn in_process(clock: Clock) -> Self {
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
        }
    }

    /// The value under `key`, unless it has expired or was invalidated.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
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

    /// Keeps `value` under `key` for `life`.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>, life: Duration) {
        self.put_tagged(key, value, life, &[]).await;
    }

    /// Keeps `value` under `key` for `life`, or until one of `tags` is invalidated.
    pub async fn put_tagged(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        life: Duration,
        tags: &[&str],
    ) {
        let tags: Arc<[(Arc<str>, u64)]> = if tags.is_empty() {
            Arc::default()
        } else {
            let generations = self.tags.lock();
            tags.iter()
                .map(|tag| (Arc::from(*tag), generations.get(*tag).copied().unwrap_or(0)))
                .collect()
        };
        let entry = Entry {
            value: value.into(),
            expires: self.clock.monotonic() + life,
            life,
            tags,
        };
        self.entries.insert(Arc::from(key), entry).await;
    }

    /// Forgets `key`.
    pub async fn remove(&self, key: &str) {
        self.entries.invalidate(key).await;
    }

    /// Forgets every entry that was put with `tag`. Tags are meant to be few (resource kinds, not ids).
    pub async fn invalidate_tag(&self, tag: &str) {
        *self.tags.lock().entry(Arc::from(tag)).or_insert(0) += 1;
    }

    /// Forgets everything.
    pub async fn clear(&self) {
        self.entries.invalidate_all();
    }
}

impl fmt::Debug for Cache {
    /// Without the entries: they may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.entries.entry_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;

    use super::*;

    fn cache() -> (Clock, Cache) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        (clock.clone(), Cache::in_process(clock))
    }

    #[tokio::test]
    async fn entries_live_as_long_as_they_were_put_for() {
        let (clock, cache) = cache();
        cache.put("a", "1", Duration::from_secs(10)).await;
        clock.advance(Duration::from_secs(9));
        assert_eq!(cache.get("a").await.as_deref(), Some(&b"1"[..]));
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.get("a").await, None);
        cache.put("a", "2", Duration::from_secs(10)).await;
        assert_eq!(cache.get("a").await.as_deref(), Some(&b"2"[..]));
        cache.remove("a").await;
        assert_eq!(cache.get("a").await, None);
    }

    #[tokio::test]
    async fn a_tag_takes_its_entries_along() {
        let (_, cache) = cache();
        let life = Duration::from_secs(60);
        cache.put_tagged("p1", "1", life, &["products"]).await;
        cache.put_tagged("c1", "1", life, &["categories"]).await;
        cache.invalidate_tag("products").await;
        assert_eq!(cache.get("p1").await, None);
        assert!(cache.get("c1").await.is_some());
        cache.put_tagged("p1", "2", life, &["products"]).await;
        assert!(cache.get("p1").await.is_some());
    }
}
