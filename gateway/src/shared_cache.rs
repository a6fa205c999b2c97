//! Answers that anonymous callers may share.
//!
//! An entry is good while the *generation* is the one under which it was asked for. The generation
//! lives in the hub's cache, so that all gateways of a hub see it move; it moves when a product event
//! arrives and when staff changed something through this gateway. Because it is read before the call
//! and compared at every hit, an answer that was on its way while the data changed is never used.
//!
//! Services that follow the same events (the search index) may still answer from before for a moment,
//! so for that moment nothing is kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use mesh::{Cache, Clock, Ids};
use moka::sync;

const GENERATION: &str = "gateway:generation";
const SETTLING: &str = "gateway:settling";
/// How long followers of an event may take.
const SETTLE: Duration = Duration::from_secs(2);
/// Longer than any entry lives.
const GENERATION_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The largest body that is kept.
const LARGEST: usize = 256 * 1024;

/// The answers.
#[derive(Clone)]
pub struct SharedCache {
    entries: sync::Cache<Arc<str>, Arc<Entry>>,
    generation: GenerationMark,
    life: Duration,
    clock: Clock,
}

/// An answer that is kept.
#[derive(Debug)]
pub struct Entry {
    /// The body.
    pub body: Bytes,
    /// Its content type.
    pub content_type: HeaderValue,
    /// Its strong entity tag.
    pub etag: HeaderValue,
    /// What other caches may do with it.
    pub cache_control: HeaderValue,
    generation: Option<Bytes>,
    expires: Instant,
}

/// The generation at the time of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(Option<Bytes>);

/// Where the generation is kept; what moves it needs nothing else.
#[derive(Clone)]
pub struct GenerationMark {
    cache: Cache,
    ids: Ids,
}

impl GenerationMark {
    /// The generation of the hub with `cache`.
    pub fn new(cache: Cache, ids: Ids) -> Self {
        Self { cache, ids }
    }

    /// Makes every entry of every gateway useless.
    pub async fn advance(&self) {
        self.cache
            .put(SETTLING, Bytes::from_static(b"1"), SETTLE)
            .await;
        let next = Bytes::copy_from_slice(self.ids.uuid().as_bytes());
        self.cache.put(GENERATION, next, GENERATION_LIFE).await;
    }

    async fn current(&self) -> Generation {
        Generation(self.cache.get(GENERATION).await)
    }

    async fn is_settling(&self) -> bool {
        self.cache.get(SETTLING).await.is_some()
    }
}

impl SharedCache {
    /// Keeps at most `bytes` of answers, none longer than `life`.
    pub fn new(generation: GenerationMark, bytes: u64, life: Duration, clock: Clock) -> Self {
        Self {
            entries: sync::Cache::builder()
                .max_capacity(bytes)
                .weigher(|key: &Arc<str>, entry: &Arc<Entry>| {
                    u32::try_from(key.len() + entry.body.len() + 256).unwrap_or(u32::MAX)
                })
                .time_to_live(life.max(Duration::from_millis(1)))
                .build(),
            generation,
            life,
            clock,
        }
    }

    /// The answer kept for `target`, and the generation for one that must be asked for.
    pub async fn get(&self, target: &str) -> (Option<Arc<Entry>>, Generation) {
        let generation = self.generation.current().await;
        let entry = self.entries.get(target).filter(|entry| {
            entry.generation == generation.0 && self.clock.monotonic() < entry.expires
        });
        (entry, generation)
    }

    /// Keeps an answer for others, if that is still right.
    pub async fn put(
        &self,
        target: &str,
        generation: Generation,
        life: Duration,
        mut entry: Entry,
    ) -> Arc<Entry> {
        let life = life.min(self.life);
        entry.expires = self.clock.monotonic() + life;
        entry.generation = generation.0;
        let entry = Arc::new(entry);
        if !life.is_zero() && entry.body.len() <= LARGEST && !self.generation.is_settling().await {
            self.entries.insert(Arc::from(target), Arc::clone(&entry));
        }
        entry
    }

    /// Makes every entry useless.
    pub async fn advance(&self) {
        self.generation.advance().await;
    }

    /// An entry that is not kept yet.
    pub fn entry(
        &self,
        body: Bytes,
        content_type: HeaderValue,
        etag: HeaderValue,
        max_age: Duration,
    ) -> Entry {
        Entry {
            body,
            content_type,
            etag,
            cache_control: HeaderValue::from_str(&format!("public, max-age={}", max_age.as_secs()))
                .unwrap_or_else(|_| HeaderValue::from_static("no-cache")),
            generation: None,
            expires: self.clock.monotonic(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    fn cache() -> (Clock, SharedCache) {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let mark = GenerationMark::new(
            Cache::in_process(clock.clone()),
            Ids::seeded(clock.clone(), 7),
        );
        (clock.clone(), SharedCache::new(mark, 1 << 20, LIFE, clock))
    }

    async fn put(cache: &SharedCache, target: &str, generation: Generation) {
        let text = HeaderValue::from_static("application/json");
        let entry = cache.entry(Bytes::from_static(b"{}"), text.clone(), text, LIFE);
        cache
            .put(target, generation, Duration::from_secs(300), entry)
            .await;
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_a_while() {
        let (clock, cache) = cache();
        let (none, generation) = cache.get("/a?x=1").await;
        assert!(none.is_none());
        put(&cache, "/a?x=1", generation).await;
        assert!(cache.get("/a?x=1").await.0.is_some());
        assert!(cache.get("/a?x=2").await.0.is_none());
        clock.advance(LIFE);
        assert!(cache.get("/a?x=1").await.0.is_none());
    }

    #[tokio::test]
    async fn a_change_makes_answers_useless_even_those_on_their_way() {
        let (clock, cache) = cache();
        let (_, before) = cache.get("/a").await;
        put(&cache, "/a", before.clone()).await;
        cache.advance().await;
        assert!(cache.get("/a").await.0.is_none());
        clock.advance(SETTLE);
        put(&cache, "/a", before).await;
        assert!(cache.get("/a").await.0.is_none());
        let (_, after) = cache.get("/a").await;
        put(&cache, "/a", after).await;
        assert!(cache.get("/a").await.0.is_some());
    }

    #[tokio::test]
    async fn nothing_is_kept_while_followers_catch_up() {
        let (clock, cache) = cache();
        cache.advance().await;
        let (_, generation) = cache.get("/a").await;
        put(&cache, "/a", generation.clone()).await;
        assert!(cache.get("/a").await.0.is_none());
        clock.advance(SETTLE);
        put(&cache, "/a", generation).await;
        assert!(cache.get("/a").await.0.is_some());
    }
}
