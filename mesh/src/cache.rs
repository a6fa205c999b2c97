//! A cache of bytes with a life per entry, in this process or shared through Redis.
//!
//! Everything in it can be lost at any time: revoked sessions, rendered responses and the like are
//! always also somewhere durable or can be computed again. That is what makes Redis optional, and its
//! loss, its eviction and its flush harmless.
//!
//! With Redis exactly one tier is asked at a time: Redis while it answers, the process otherwise. What
//! is put while Redis is away stays in this process and is forgotten when Redis is back. Two tiers that
//! are read together would have to agree, and after an outage they do not.

mod config;
#[cfg(test)]
mod fixture;
mod local;
mod redis;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use metrics::Counter;
use uuid::Uuid;

pub use self::{
    config::RedisSettings,
    redis::{Redis, RedisError},
};
use crate::{clock::Clock, ids::Ids};
use local::Local;

/// The largest value that is kept in Redis, in bytes. A larger one is not kept at all: it would hold up
/// everybody else's commands on the connection.
pub const LARGEST_SHARED: usize = 1024 * 1024;
/// How long the generation of a tag is kept after its last use; longer than entries live.
const TAG_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tags of one entry.
const MOST_TAGS: usize = 16;
/// Bytes of a generation.
const GENERATION: usize = 16;
/// Rounds of a scan over Redis, of about a thousand keys each.
const MOST_ROUNDS: usize = 10_000;

/// A handle on the cache. Cheap to clone; clones share entries.
#[derive(Clone)]
pub struct Cache {
    local: Local,
    shared: Option<Shared>,
    local_meter: Meter,
}

#[derive(Clone)]
struct Shared {
    redis: Redis,
    ids: Ids,
    meter: Meter,
}

/// Hits and misses of one tier.
#[derive(Clone)]
struct Meter {
    hit: Counter,
    miss: Counter,
}

impl Meter {
    fn new(tier: &'static str) -> Self {
        let counter = |result: &'static str| metrics::counter!("hub_cache_requests_total", "tier" => tier, "result" => result);
        Self {
            hit: counter("hit"),
            miss: counter("miss"),
        }
    }

    fn note(&self, value: Option<Bytes>) -> Option<Bytes> {
        match &value {
            Some(_) => self.hit.increment(1),
            None => self.miss.increment(1),
        }
        value
    }
}

impl Cache {
    /// An empty in-process cache of at most 64 MiB on the time of `clock`.
    pub fn in_process(clock: Clock) -> Self {
        Self {
            local: Local::new(clock),
            shared: None,
            local_meter: Meter::new("local"),
        }
    }

    /// A cache that processes share through `redis`, and that stays in this process (on the time of
    /// `clock`) while Redis is away.
    pub fn over_redis(redis: Redis, clock: Clock, ids: Ids) -> Self {
        Self {
            shared: Some(Shared {
                redis,
                ids,
                meter: Meter::new("redis"),
            }),
            ..Self::in_process(clock)
        }
    }

    /// The connection to Redis, for what needs more than bytes by a key; `None` when everything stays
    /// in this process.
    pub fn redis(&self) -> Option<&Redis> {
        self.shared.as_ref().map(|shared| &shared.redis)
    }

    /// The name in Redis of what is kept under `key`, for scripts that look at several things at once.
    /// `None` when everything stays in this process.
    pub fn shared_key(&self, key: &str) -> Option<String> {
        self.shared.as_ref().map(|shared| shared.entry(key))
    }

    /// The value under `key` as this process knows it without Redis.
    pub async fn get_here(&self, key: &str) -> Option<Bytes> {
        self.local_meter.note(self.local().get(key).await)
    }

    /// The value under `key`, unless it has expired or was invalidated.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        if let Some(shared) = &self.shared
            && let Some(found) = shared.get(key).await
        {
            return shared.meter.note(found);
        }
        self.get_here(key).await
    }

    /// Keeps `value` under `key` for `life`.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>, life: Duration) {
        self.put_tagged(key, value, life, &[]).await;
    }

    /// Keeps `value` under `key` for `life`, or until one of `tags` is invalidated. Tags are meant to be
    /// few (resource kinds, not ids); of more than 16 none is kept, and neither is the value.
    pub async fn put_tagged(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        life: Duration,
        tags: &[&str],
    ) {
        let value = value.into();
        if tags.len() > MOST_TAGS || life.is_zero() {
            return;
        }
        if let Some(shared) = &self.shared
            && shared.put(key, &value, life, tags).await.is_some()
        {
            return;
        }
        self.local().put(key, value, life, tags).await;
    }

    /// Forgets `key`.
    pub async fn remove(&self, key: &str) {
        if let Some(shared) = &self.shared {
            shared.remove(key).await;
        }
        self.local().remove(key).await;
    }

    /// Forgets every entry that was put with `tag`.
    pub async fn invalidate_tag(&self, tag: &str) {
        if let Some(shared) = &self.shared {
            shared.invalidate_tag(tag).await;
        }
        self.local().invalidate_tag(tag);
    }

    /// Forgets everything, for all who share the cache.
    pub async fn clear(&self) {
        if let Some(shared) = &self.shared {
            shared.clear().await;
        }
        self.local().clear();
    }

    /// The tier of this process. What it holds from an earlier absence of Redis is out of date.
    fn local(&self) -> &Local {
        if let Some(shared) = &self.shared {
            self.local.belongs_to(shared.redis.connections());
        }
        &self.local
    }
}

impl Shared {
    fn entry(&self, key: &str) -> String {
        self.redis.key(&format!("cache:{key}"))
    }

    fn tag(&self, tag: &str) -> String {
        self.redis.key(&format!("tag:{tag}"))
    }

    /// `None` when Redis is away, else what it has.
    async fn get(&self, key: &str) -> Option<Option<Bytes>> {
        let key = self.entry(key);
        let found: Option<Bytes> = self
            .redis
            .ask(move |mut redis| async move {
                ::redis::cmd("GET").arg(key).query_async(&mut redis).await
            })
            .await?;
        let Some(Stored { value, tags }) = found.and_then(Stored::read) else {
            return Some(None);
        };
        if tags.is_empty() {
            return Some(Some(value));
        }
        let mut command = ::redis::cmd("MGET");
        for (tag, _) in &tags {
            command.arg(self.tag(tag));
        }
        let generations: Vec<Option<Bytes>> = self
            .redis
            .ask(move |mut redis| async move { command.query_async(&mut redis).await })
            .await?;
        let live = generations.len() == tags.len()
            && tags
                .iter()
                .zip(&generations)
                .all(|((_, then), now)| now.as_ref() == Some(then));
        Some(live.then_some(value))
    }

    async fn put(&self, key: &str, value: &Bytes, life: Duration, tags: &[&str]) -> Option<()> {
        if value.len() > LARGEST_SHARED {
            return self.remove(key).await;
        }
        let generations = self.generations(tags).await?;
        let stored = Stored::write(value, tags, &generations);
        let key = self.entry(key);
        let life = millis(life);
        self.redis
            .ask(move |mut redis| async move {
                ::redis::cmd("SET")
                    .arg(key)
                    .arg(&stored[..])
                    .arg("PX")
                    .arg(life)
                    .query_async(&mut redis)
                    .await
            })
            .await
    }

    /// The generations of `tags`. One that is missing begins anew, so that an entry never belongs to
    /// "none": that would come back when Redis forgets a tag.
    async fn generations(&self, tags: &[&str]) -> Option<Vec<Bytes>> {
        if tags.is_empty() {
            return Some(Vec::new());
        }
        let mut pipeline = ::redis::pipe();
        let mut names = ::redis::cmd("MGET");
        for tag in tags {
            let name = self.tag(tag);
            pipeline
                .cmd("SET")
                .arg(&name)
                .arg(&self.ids.uuid().as_bytes()[..])
                .arg("NX")
                .arg("PX")
                .arg(millis(TAG_LIFE))
                .ignore();
            names.arg(name);
        }
        pipeline.add_command(names);
        let (generations,): (Vec<Option<Bytes>>,) = self
            .redis
            .ask(move |mut redis| async move { pipeline.query_async(&mut redis).await })
            .await?;
        // A generation that was evicted in between means that nothing can be kept under it.
        generations.into_iter().collect()
    }

    async fn remove(&self, key: &str) -> Option<()> {
        let key = self.entry(key);
        self.redis
            .ask(move |mut redis| async move {
                ::redis::cmd("UNLINK")
                    .arg(key)
                    .query_async(&mut redis)
                    .await
            })
            .await
    }

    async fn invalidate_tag(&self, tag: &str) {
        let (tag, next): (_, Uuid) = (self.tag(tag), self.ids.uuid());
        self.redis
            .ask(move |mut redis| async move {
                ::redis::cmd("SET")
                    .arg(tag)
                    .arg(&next.as_bytes()[..])
                    .arg("PX")
                    .arg(millis(TAG_LIFE))
                    .query_async::<()>(&mut redis)
                    .await
            })
            .await;
    }

    async fn clear(&self) {
        let pattern = self.entry("*");
        let mut cursor: u64 = 0;
        for _ in 0..MOST_ROUNDS {
            let pattern = pattern.clone();
            let round = self
                .redis
                .ask(move |mut redis| async move {
                    let (next, keys): (u64, Vec<Bytes>) = ::redis::cmd("SCAN")
                        .arg(cursor)
                        .arg("MATCH")
                        .arg(pattern)
                        .arg("COUNT")
                        .arg(1_000)
                        .query_async(&mut redis)
                        .await?;
                    if !keys.is_empty() {
                        let mut unlink = ::redis::cmd("UNLINK");
                        for key in &keys {
                            unlink.arg(&key[..]);
                        }
                        unlink.query_async::<()>(&mut redis).await?;
                    }
                    Ok(next)
                })
                .await;
            match round {
                Some(next) if next != 0 => cursor = next,
                _ => return,
            }
        }
    }
}

/// An entry as Redis keeps it: the number of tags, then of each tag its generation, the length of its
/// name and its name, then the value.
struct Stored {
    value: Bytes,
    tags: Vec<(String, Bytes)>,
}

impl Stored {
    fn write(value: &Bytes, tags: &[&str], generations: &[Bytes]) -> Bytes {
        let mut stored = BytesMut::with_capacity(value.len() + 1 + tags.len() * 48);
        stored.put_u8(u8::try_from(tags.len()).unwrap_or(0));
        for (tag, generation) in tags.iter().zip(generations) {
            stored.extend_from_slice(generation);
            stored.put_u16(u16::try_from(tag.len()).unwrap_or(0));
            stored.extend_from_slice(tag.as_bytes());
        }
        stored.extend_from_slice(value);
        stored.freeze()
    }

    /// `None` for what is not an entry: somebody else has written there.
    fn read(mut stored: Bytes) -> Option<Self> {
        let count = usize::from(stored.try_get_u8().ok()?);
        let mut tags = Vec::with_capacity(count.min(MOST_TAGS));
        for _ in 0..count {
            let generation = split(&mut stored, GENERATION)?;
            let length = usize::from(stored.try_get_u16().ok()?);
            let name = split(&mut stored, length)?;
            tags.push((String::from_utf8(name.to_vec()).ok()?, generation));
        }
        Some(Self {
            value: stored,
            tags,
        })
    }
}

fn split(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for Cache {
    /// Without the entries: they may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("local", &self.local.len())
            .field("shared", &self.shared.is_some())
            .finish()
    }
}
