//! The consumer's side in SQL: inbox, parked deliveries, dead letters.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use super::{Envelope, ReactError, consumer::EffectWrite};
use crate::{
    args,
    store::{Dialect, Row, Store, StoreError, Tx},
};

/// A delivery as it is written when it could not be handled.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) consumer: &'static str,
    pub(super) envelope: Arc<Envelope>,
    pub(super) error: String,
    pub(super) attempts: u32,
}

/// A parked delivery that is next for its key.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) id: i64,
    pub(super) envelope: Result<Arc<Envelope>, String>,
    pub(super) bytes: Vec<u8>,
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) attempts: u32,
    pub(super) next_attempt_at: DateTime<Utc>,
}

/// Whether an effect was written or had been written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    Now,
    Before,
}

/// Whether the consumer's store already answers for the event: handled, parked or a dead letter.
pub(super) async fn is_known(
    store: &Store,
    consumer: &str,
    event_id: &str,
) -> Result<bool, StoreError> {
    let found = store
        .one(
            "SELECT 1 FROM inbox WHERE consumer = $1 AND event_id = $2 \
             UNION ALL SELECT 1 FROM parked WHERE consumer = $1 AND event_id = $2 \
             UNION ALL SELECT 1 FROM dead_letters WHERE consumer = $1 AND event_id = $2 LIMIT 1",
            args![consumer, event_id],
        )
        .await?;
    Ok(found.is_some())
}

/// Commits an effect with its inbox row, and removes the parked delivery that it settles.
pub(super) async fn commit(
    store: &Store,
    consumer: &'static str,
    event_id: String,
    parked: Option<i64>,
    effect: Option<EffectWrite>,
) -> Result<Committed, ReactError> {
    let now = store.clock().now();
    store
        .write(move |tx: Tx| async move {
            let fresh = tx
                .execute(
                    "INSERT INTO inbox (consumer, event_id, handled_at) VALUES ($1, $2, $3) \
                     ON CONFLICT DO NOTHING",
                    args![consumer, event_id, now],
                )
                .await?
                == 1;
            if let Some(id) = parked {
                tx.execute("DELETE FROM parked WHERE id = $1", args![id])
                    .await?;
            }
            if !fresh {
                return Ok(Committed::Before);
            }
            if let Some(effect) = effect {
                effect.run(tx).await?;
            }
            Ok(Committed::Now)
        })
        .await
}

/// Parks a delivery until `next_attempt_at`. Parking an event twice changes nothing.
pub(super) async fn park(
    store: &Store,
    failed: Failed,
    next_attempt_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let now = store.clock().now();
    store
        .write(move |tx: Tx| async move {
            let envelope = &failed.envelope;
            tx.execute(
                "INSERT INTO parked (consumer, event_id, event_type, ordering_key, envelope, attempts, \
                 next_attempt_at, last_error, parked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT DO NOTHING",
                args![
                    failed.consumer,
                    &envelope.event_id,
                    &envelope.event_type,
                    key_of(envelope),
                    envelope.encode_to_vec(),
                    failed.attempts,
                    next_attempt_at,
                    failed.error,
                    now,
                ],
            )
            .await
            .map(drop)
        })
        .await
}

/// Records another failed attempt of a parked delivery.
pub(super) async fn postpone(
    store: &Store,
    id: i64,
    attempts: u32,
    error: String,
    next_attempt_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    store
        .write(move |tx: Tx| async move {
            tx.execute(
                "UPDATE parked SET attempts = $1, last_error = $2, next_attempt_at = $3 WHERE id = $4",
                args![attempts, error, next_attempt_at, id],
            )
            .await
            .map(drop)
        })
        .await
}

/// Gives a delivery up: it becomes a dead letter, and is no longer parked if it was.
pub(super) async fn bury(
    store: &Store,
    failed: Failed,
    parked: Option<i64>,
) -> Result<(), StoreError> {
    let envelope = Arc::clone(&failed.envelope);
    let letter = Letter {
        consumer: failed.consumer.to_owned(),
        event_id: envelope.event_id.clone(),
        event_type: envelope.event_type.clone(),
        ordering_key: key_of(&envelope).to_owned(),
        envelope: envelope.encode_to_vec(),
        error: failed.error,
        attempts: failed.attempts,
    };
    bury_letter(store, letter, parked).await
}

/// A dead letter before it has an id.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) consumer: String,
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) ordering_key: String,
    pub(super) envelope: Vec<u8>,
    pub(super) error: String,
    pub(super) attempts: u32,
}

/// Writes a dead letter; a second one for the same delivery changes nothing.
pub(super) async fn bury_letter(
    store: &Store,
    letter: Letter,
    parked: Option<i64>,
) -> Result<(), StoreError> {
    let id: Uuid = store.ids().uuid();
    let now = store.clock().now();
    store
        .write(move |tx: Tx| async move {
            if let Some(parked) = parked {
                tx.execute("DELETE FROM parked WHERE id = $1", args![parked]).await?;
            }
            tx.execute(
                "INSERT INTO dead_letters (id, consumer, event_id, event_type, ordering_key, envelope, \
                 error, attempts, failed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT DO NOTHING",
                args![
                    id,
                    letter.consumer,
                    letter.event_id,
                    letter.event_type,
                    letter.ordering_key,
                    letter.envelope,
                    letter.error,
                    letter.attempts,
                    now,
                ],
            )
            .await
            .map(drop)
        })
        .await
}

/// The first parked delivery of a key.
pub(super) async fn first_parked(
    store: &Store,
    consumer: &str,
    key: &str,
) -> Result<Option<Parked>, StoreError> {
    store
        .one(
            "SELECT id, event_id, event_type, envelope, attempts, next_attempt_at FROM parked \
             WHERE consumer = $1 AND ordering_key = $2 ORDER BY id LIMIT 1",
            args![consumer, key],
        )
        .await?
        .map(|row| parked_of(&row))
        .transpose()
}

fn parked_of(row: &Row) -> Result<Parked, StoreError> {
    let bytes: Vec<u8> = row.get("envelope")?;
    Ok(Parked {
        id: row.get("id")?,
        envelope: Envelope::decode(bytes.as_slice())
            .map(Arc::new)
            .map_err(|error| error.to_string()),
        bytes,
        event_id: row.get("event_id")?,
        event_type: row.get("event_type")?,
        attempts: row.get("attempts")?,
        next_attempt_at: row.get("next_attempt_at")?,
    })
}

/// The keys that have parked deliveries, with the time at which the first of each is due.
pub(super) async fn parked_keys(
    store: &Store,
    consumer: &str,
) -> Result<Vec<(String, DateTime<Utc>)>, StoreError> {
    const PARKED: &str = "SELECT ordering_key, next_attempt_at FROM parked WHERE id IN \
         (SELECT MIN(id) FROM parked WHERE consumer = $1 GROUP BY ordering_key)";
    let rows = match store.dialect() {
        Dialect::Sqlite => store.scan(PARKED, args![consumer]).await?,
        // Scans may be answered by a replica that is behind; what is parked decides the order of events.
        Dialect::Postgres => store.all(PARKED, args![consumer]).await?,
    };
    rows.iter()
        .map(|row| Ok((row.get("ordering_key")?, row.get("next_attempt_at")?)))
        .collect()
}

/// The key by which deliveries of an event are ordered. An event without one is ordered with nothing.
pub(super) fn key_of(envelope: &Envelope) -> &str {
    if envelope.ordering_key.is_empty() {
        &envelope.event_id
    } else {
        &envelope.ordering_key
    }
}
