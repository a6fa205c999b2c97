//! Answers that anonymous callers may share.
//!
//! An entry is good while the *generation* is the one under which it was asked for. The generation
//! moves when a product event arrives and when staff changed something through a gateway. With Redis it
//! is kept there, so that all gateways see it move at once; each one also counts what it knows of
//! itself, and that is all there is while Redis is away. Because the generation is read before the call
//! and compared at every hit, an answer that was on its way while the data changed is never used.
//!
//! Entries stay in the gateway that made them. A generation that Redis has lost (evicted, flushed,
//! restarted) is replaced by a new one and never by none, and one that could not be moved while Redis
//! was away is moved as soon as it is back; so no loss there makes an old answer good again.
//!
//! Services that follow the same events (the search index) may still answer from before for a moment,
//! so for that moment after a gateway has seen the generation move it keeps nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use mesh::{Cache, Clock, Ids};
use moka::sync;
use parking_lot::Mutex;

use crate::admission::Memory;

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
    memory: Arc<Memory>,
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
    generation: Generation,
    expires: Instant,
}

/// The generation at the time of asking.
#[derive(Debug, Clone)]
pub struct Generation(Option<Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// Moves of which this process knows.
    own: u64,
    /// What Redis had, and over which connection; `None` while it is away.
    shared: Option<(u64, Bytes)>,
}

impl Generation {
    /// A generation under which nothing can be kept.
    pub fn unknown() -> Self {
        Self(None)
    }

    /// Whether both are known to be the same.
    fn is(&self, other: &Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }
}

/// The generation as this process knows it, and what moves it for all.
pub struct GenerationMark {
    cache: Cache,
    ids: Ids,
    clock: Clock,
    seen: Mutex<Seen>,
    /// It moved while Redis was away, and Redis is to be told.
    is_owed: AtomicBool,
}

#[derive(Default)]
struct Seen {
    own: u64,
    shared: Option<Bytes>,
    moved: Option<Instant>,
}

impl GenerationMark {
    /// Its name in Redis.
    pub const NAME: &str = "generation";

    /// The generation of the hub with `cache`.
    pub fn new(cache: Cache, ids: Ids, clock: Clock) -> Self {
        Self {
            cache,
            ids,
            clock,
            seen: Mutex::default(),
            is_owed: AtomicBool::new(false),
        }
    }

    /// Makes every entry of every gateway useless.
    pub async fn advance(&self) {
        {
            let mut seen = self.seen.lock();
            seen.own += 1;
            seen.moved = Some(self.clock.monotonic());
        }
        self.is_owed.store(true, Ordering::Release);
        self.tell().await;
    }

    /// The generation when Redis has `shared`, by its connection of that number.
    pub async fn observe(&self, connection: u64, shared: Option<Bytes>) -> Generation {
        if self.is_owed.load(Ordering::Acquire) || shared.is_none() {
            self.is_owed.store(true, Ordering::Release);
            self.tell().await;
            return Generation::unknown();
        }
        self.note(shared.map(|shared| (connection, shared)))
    }

    /// The generation as far as this gateway alone can know.
    pub fn observe_alone(&self) -> Generation {
        self.note(None)
    }

    fn note(&self, shared: Option<(u64, Bytes)>) -> Generation {
        let mut seen = self.seen.lock();
        let now = shared.as_ref().map(|(_, shared)| shared);
        if seen.shared.as_ref() != now {
            seen.shared = now.cloned();
            seen.moved = Some(self.clock.monotonic());
        }
        Generation(Some(Known {
            own: seen.own,
            shared,
        }))
    }

    /// Tells Redis what it is owed; what it cannot be told now it is told when it is asked next.
    async fn tell(&self) {
        let Some(redis) = self.cache.redis() else {
            self.is_owed.store(false, Ordering::Release);
            return;
        };
        // Before it is done: whatever moves meanwhile is told again.
        self.is_owed.store(false, Ordering::Release);
        let (name, next) = (redis.key(Self::NAME), self.ids.uuid());
        let told = redis
            .ask(move |mut redis| async move {
                redis::cmd("SET")
                    .arg(name)
                    .arg(&next.as_bytes()[..])
                    .arg("PX")
                    .arg(GENERATION_LIFE.as_millis() as u64)
                    .query_async::<()>(&mut redis)
                    .await
            })
            .await;
        if told.is_none() {
            self.is_owed.store(true, Ordering::Release);
        }
    }

    fn is_settling(&self) -> bool {
        let moved = self.seen.lock().moved;
        moved.is_some_and(|moved| self.clock.monotonic().saturating_duration_since(moved) < SETTLE)
    }
}

impl SharedCache {
    /// Keeps at most `bytes` of answers, none longer than `life`.
    pub fn new(memory: Arc<Memory>, bytes: u64, life: Duration, clock: Clock) -> Self {
        Self {
            entries: sync::Cache::builder()
                .max_capacity(bytes)
                .weigher(|key: &Arc<str>, entry: &Arc<Entry>| {
                    u32::try_from(key.len() + entry.body.len() + 256).unwrap_or(u32::MAX)
                })
                .time_to_live(life.max(Duration::from_millis(1)))
                .build(),
            memory,
            life,
            clock,
        }
    }

    /// The answer kept for `target`, if it is of this generation.
    pub fn get(&self, target: &str, generation: &Generation) -> Option<Arc<Entry>> {
        self.entries.get(target).filter(|entry| {
            entry.generation.is(generation) && self.clock.monotonic() < entry.expires
        })
    }

    /// Keeps an answer for others, if that is still right.
    pub fn put(
        &self,
        target: &str,
        generation: Generation,
        life: Duration,
        mut entry: Entry,
    ) -> Arc<Entry> {
        let life = life.min(self.life);
        entry.expires = self.clock.monotonic() + life;
        entry.generation = generation;
        let entry = Arc::new(entry);
        let is_good = entry.generation.0.is_some() && !self.memory.generation.is_settling();
        if is_good && !life.is_zero() && entry.body.len() <= LARGEST {
            self.entries.insert(Arc::from(target), Arc::clone(&entry));
        }
        entry
    }

    /// Makes every entry useless.
    pub async fn advance(&self) {
        self.memory.generation.advance().await;
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
            generation: Generation::unknown(),
            expires: self.clock.monotonic(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    async fn cache() -> (tempfile::TempDir, Clock, SharedCache) {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let hub = mesh::Hub::builder()
            .data_dir(dir.path())
            .clock(clock.clone())
            .build()
            .await
            .unwrap();
        let cache = SharedCache::new(Memory::of(&hub), 1 << 20, LIFE, clock.clone());
        (dir, clock, cache)
    }

    fn now(cache: &SharedCache) -> Generation {
        cache.memory.generation.observe_alone()
    }

    fn has(cache: &SharedCache, target: &str) -> bool {
        cache.get(target, &now(cache)).is_some()
    }

    fn put(cache: &SharedCache, target: &str, generation: Generation) {
        let text = HeaderValue::from_static("application/json");
        let entry = cache.entry(Bytes::from_static(b"{}"), text.clone(), text, LIFE);
        cache.put(target, generation, Duration::from_secs(300), entry);
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_a_while() {
        let (_dir, clock, cache) = cache().await;
        assert!(!has(&cache, "/a?x=1"));
        put(&cache, "/a?x=1", now(&cache));
        assert!(has(&cache, "/a?x=1"));
        assert!(!has(&cache, "/a?x=2"));
        clock.advance(LIFE);
        assert!(!has(&cache, "/a?x=1"));
    }

    #[tokio::test]
    async fn a_change_makes_answers_useless_even_those_on_their_way() {
        let (_dir, clock, cache) = cache().await;
        let before = now(&cache);
        put(&cache, "/a", before.clone());
        cache.advance().await;
        assert!(!has(&cache, "/a"));
        clock.advance(SETTLE);
        put(&cache, "/a", before);
        assert!(!has(&cache, "/a"));
        put(&cache, "/a", now(&cache));
        assert!(has(&cache, "/a"));
    }

    #[tokio::test]
    async fn nothing_is_kept_while_followers_catch_up() {
        let (_dir, clock, cache) = cache().await;
        cache.advance().await;
        put(&cache, "/a", now(&cache));
        assert!(!has(&cache, "/a"));
        clock.advance(SETTLE);
        put(&cache, "/a", now(&cache));
        assert!(has(&cache, "/a"));
    }

    #[tokio::test]
    async fn a_generation_that_redis_had_is_good_over_one_connection_only() {
        let (_dir, clock, cache) = cache().await;
        let mark = &cache.memory.generation;
        let value = || Some(Bytes::from_static(b"g-1"));
        let seen = mark.observe(1, value()).await;
        put(&cache, "/a", seen.clone());
        assert!(
            cache.get("/a", &seen).is_none(),
            "it may have moved just now"
        );
        clock.advance(SETTLE);
        put(&cache, "/a", mark.observe(1, value()).await);
        assert!(cache.get("/a", &mark.observe(1, value()).await).is_some());
        assert!(cache.get("/a", &mark.observe(2, value()).await).is_none());
        assert!(cache.get("/a", &mark.observe_alone()).is_none());
        // None is not a generation.
        let none = mark.observe(1, None).await;
        put(&cache, "/b", none.clone());
        assert!(cache.get("/b", &none).is_none());
    }
}
