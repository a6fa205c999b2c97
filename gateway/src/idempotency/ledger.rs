//! The durable record of claims and answers.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use chrono::{DateTime, TimeDelta, Utc};
use mesh::{
    Cache, Clock, Failure, Ids,
    store::{Migration, Row, Store, StoreError, Tx, args},
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::Keyed;

/// The schema of the gateway's store.
pub const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "init",
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/postgres/0001_init.sql"),
)];

/// What a claim outlives the deadline of its call by.
const GRACE: Duration = Duration::from_secs(5);
/// Rows that one transaction purges.
const BATCH: i64 = 500;

/// How long an answer is replayed from the memory that gateways share. Clients that send again do so
/// within minutes; later ones are answered from the store.
const REPLAYED: Duration = Duration::from_secs(600);
/// The largest answer that is kept there, in bytes.
const LARGEST_REPLAYED: usize = 64 * 1024;

/// Claims and answers.
pub struct Ledger {
    store: Store,
    /// Answers of which a copy is close at hand. The store alone decides who runs a request.
    replays: Option<Cache>,
    clock: Clock,
    ids: Ids,
    keep: TimeDelta,
}

/// The right to answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim(Uuid);

/// What there is for a request.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing: it is ours to run.
    Claimed(Claim),
    /// Its answer.
    Answered(Result<Bytes, Status>),
    /// Somebody runs it, for at most so long.
    Running(Duration),
    /// The key belongs to another request.
    OtherRequest,
}

impl Ledger {
    /// The ledger in `store`, which keeps answers for `hours`.
    pub fn new(store: Store, cache: &Cache, clock: Clock, ids: Ids, hours: i64) -> Self {
        Self {
            store,
            replays: cache.redis().map(|_| cache.clone()),
            clock,
            ids,
            keep: TimeDelta::hours(hours.clamp(1, 24 * 365)),
        }
    }

    pub(super) async fn claim(
        &self,
        request: &Keyed,
        deadline: Duration,
    ) -> Result<Found, Failure> {
        if let Some(found) = self.replay(request).await {
            return Ok(found);
        }
        let now = self.clock.now();
        let claim = Claim(self.ids.uuid());
        let until = now + TimeDelta::from_std(deadline + GRACE).unwrap_or(TimeDelta::minutes(1));
        let (id, fingerprint) = (request.id.clone(), request.fingerprint.clone());
        let expires = now + self.keep;
        let found = self
            .store
            .write(move |tx: Tx| async move {
                let claimed = tx
                    .one(
                        "INSERT INTO idempotency (id, fingerprint, claim, claimed_until, expires_at)
                         VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (id) DO UPDATE SET
                             fingerprint = excluded.fingerprint, claim = excluded.claim,
                             claimed_until = excluded.claimed_until, expires_at = excluded.expires_at,
                             code = NULL, answer = NULL
                         WHERE idempotency.expires_at <= $6
                            -- Written by this very transaction, whose commit was not heard of.
                            OR idempotency.claim = excluded.claim
                            OR (idempotency.code IS NULL AND idempotency.claimed_until <= $6
                                AND idempotency.fingerprint = excluded.fingerprint)
                         RETURNING claim",
                        args![id.as_str(), fingerprint, claim.0, until, expires, now],
                    )
                    .await?;
                if claimed.is_some() {
                    return Ok(None);
                }
                tx.one(
                    "SELECT fingerprint, claimed_until, code, answer FROM idempotency WHERE id = $1",
                    args![id],
                )
                .await
            })
            .await?;
        match found {
            None => Ok(Found::Claimed(claim)),
            Some(row) => self.read(request, &row, now),
        }
    }

    fn read(&self, request: &Keyed, row: &Row, now: DateTime<Utc>) -> Result<Found, Failure> {
        if row.get::<String>("fingerprint")? != request.fingerprint {
            return Ok(Found::OtherRequest);
        }
        let Some(code) = row.get::<Option<i64>>("code")? else {
            let until: DateTime<Utc> = row.get("claimed_until")?;
            return Ok(Found::Running((until - now).to_std().unwrap_or_default()));
        };
        let sealed: Vec<u8> = row.get::<Option<Vec<u8>>>("answer")?.unwrap_or_default();
        let plain = request.seal.open(&sealed).map_err(Failure::internal)?;
        Ok(Found::Answered(decode(code, plain)))
    }

    pub(super) async fn answer(
        &self,
        request: &Keyed,
        claim: Claim,
        answer: &Result<Bytes, Status>,
    ) -> Result<(), Failure> {
        let (code, plain) = encode(answer);
        let sealed = request.seal.close(&plain).map_err(Failure::internal)?;
        let expires = self.clock.now() + self.keep;
        let (id, kept) = (request.id.clone(), sealed.clone());
        // By its id, which has an index: a scan would clash with every other request in PostgreSQL.
        let answered = self
            .store
            .write(move |tx: Tx| async move {
                tx.execute(
                    "UPDATE idempotency SET code = $1, answer = $2, expires_at = $3
                     WHERE id = $4 AND claim = $5 AND code IS NULL",
                    args![code, kept, expires, id, claim.0],
                )
                .await
            })
            .await?;
        if answered > 0 {
            self.keep_replay(request, code, &sealed).await;
        }
        Ok(())
    }

    pub(super) async fn release(&self, request: &Keyed, claim: Claim) -> Result<(), Failure> {
        let id = request.id.clone();
        self.store
            .write(move |tx: Tx| async move {
                tx.execute(
                    "DELETE FROM idempotency WHERE id = $1 AND claim = $2 AND code IS NULL",
                    args![id, claim.0],
                )
                .await
            })
            .await?;
        Ok(())
    }

    /// The answer, if a copy is close at hand. What cannot be read is asked for in the store.
    async fn replay(&self, request: &Keyed) -> Option<Found> {
        let mut kept = self.replays.as_ref()?.get(&replay_key(request)).await?;
        if kept.len() < request.fingerprint.len() {
            return None;
        }
        if kept.split_to(request.fingerprint.len()) != request.fingerprint.as_bytes() {
            return Some(Found::OtherRequest);
        }
        let code = kept.try_get_i64().ok()?;
        let plain = request.seal.open(&kept).ok()?;
        Some(Found::Answered(decode(code, plain)))
    }

    /// Puts a copy close at hand: the digest of the request, the code, and the sealed answer.
    async fn keep_replay(&self, request: &Keyed, code: i64, sealed: &[u8]) {
        let Some(replays) = &self.replays else { return };
        if sealed.len() > LARGEST_REPLAYED {
            return;
        }
        let mut kept = Vec::with_capacity(request.fingerprint.len() + 8 + sealed.len());
        kept.extend_from_slice(request.fingerprint.as_bytes());
        kept.put_i64(code);
        kept.extend_from_slice(sealed);
        replays.put(&replay_key(request), kept, REPLAYED).await;
    }

    /// Removes what has expired, in small transactions. Returns how many rows that were.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut total = 0;
        // A bound, so that a clock that jumps cannot make this the only thing that is written.
        for _ in 0..1_000 {
            let removed = self
                .store
                .write(move |tx: Tx| async move {
                    tx.execute(
                        "DELETE FROM idempotency WHERE id IN
                             (SELECT id FROM idempotency WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                        args![now, BATCH],
                    )
                    .await
                })
                .await?;
            total += removed;
            if removed < BATCH as u64 {
                break;
            }
        }
        Ok(total)
    }
}

fn replay_key(request: &Keyed) -> String {
    format!("idempotent:{}", request.id)
}

/// An answer as code and bytes: the message itself, or the length and text of the status and its
/// details.
fn encode(answer: &Result<Bytes, Status>) -> (i64, Vec<u8>) {
    match answer {
        Ok(message) => (i64::from(Code::Ok as i32), message.to_vec()),
        Err(status) => {
            let text = status.message().as_bytes();
            let mut plain = Vec::with_capacity(4 + text.len() + status.details().len());
            plain.put_u32(u32::try_from(text.len()).unwrap_or(0));
            plain.extend_from_slice(text);
            plain.extend_from_slice(status.details());
            (i64::from(status.code() as i32), plain)
        }
    }
}

fn decode(code: i64, plain: Vec<u8>) -> Result<Bytes, Status> {
    let code = i32::try_from(code).map_or(Code::Unknown, Code::from_i32);
    if code == Code::Ok {
        return Ok(plain.into());
    }
    let mut plain = Bytes::from(plain);
    let length = if plain.len() >= 4 {
        plain.get_u32() as usize
    } else {
        0
    };
    let text = plain.split_to(length.min(plain.len()));
    Err(Status::with_details(
        code,
        String::from_utf8_lossy(&text),
        plain,
    ))
}
