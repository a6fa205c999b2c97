//! Deliveries that were given up, for operators.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use super::{Envelope, subscription::Subscription};
use crate::{
    args,
    error::{Failure, Reason},
    store::{Row, Store, StoreError, Tx},
};

const COLUMNS: &str = "id, consumer, event_id, event_type, ordering_key, envelope, error, attempts, \
    failed_at, discarded_at, discard_reason";
const MATCHES: &str = "(consumer = $1 OR $1 IS NULL) AND (event_type = $2 OR $2 IS NULL) \
    AND (ordering_key = $3 OR $3 IS NULL) AND (discarded_at IS NULL OR $4) \
    AND (id < $5 OR $5 IS NULL)";
/// Letters that one call lists or replays at most.
const LIMIT: usize = 1_000;

/// One dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Id of the dead letter; a UUIDv7, so the order of ids is that of the failures.
    pub id: Uuid,
    /// Name of the store that keeps it.
    pub store: String,
    /// The consumer that gave up.
    pub consumer: String,
    /// Id of the event.
    pub event_id: String,
    /// Type of the event.
    pub event_type: String,
    /// Ordering key of the event.
    pub ordering_key: String,
    /// The whole event; nothing if it cannot be decoded.
    pub envelope: Option<Envelope>,
    /// The last error.
    pub error: String,
    /// Failed attempts.
    pub attempts: u32,
    /// When the consumer gave up.
    pub failed_at: DateTime<Utc>,
    /// When an operator discarded it, and why.
    pub discarded: Option<Discarded>,
}

/// The record of a discarded dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// When.
    pub at: DateTime<Utc>,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Whether a list includes discarded dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discards {
    /// Only what still waits for a decision.
    #[default]
    Hidden,
    /// Everything.
    Shown,
}

/// Which dead letters to list. The default is the 20 newest that wait for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only of this consumer.
    pub consumer: Option<String>,
    /// Only of this event type.
    pub event_type: Option<String>,
    /// Only with this ordering key.
    pub ordering_key: Option<String>,
    /// With or without discarded ones.
    pub discards: Discards,
    /// Only those older than this one: the last id of the page before.
    pub before: Option<Uuid>,
    /// How many of the newest to leave out; for numbered pages.
    pub offset: usize,
    /// How many at most; 1,000 is the most that is given.
    pub limit: usize,
}

impl Default for DeadLetterQuery {
    fn default() -> Self {
        Self {
            consumer: None,
            event_type: None,
            ordering_key: None,
            discards: Discards::Hidden,
            before: None,
            offset: 0,
            limit: 20,
        }
    }
}

/// Why a dead letter could not be shown or decided on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such dead letter, or it was decided on already.
    #[error("dead letter {0} does not exist")]
    NotFound(Uuid),
    /// The consumer does not exist in this process.
    #[error("there is no consumer {0} here")]
    NoConsumer(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DeadLetterError> for Failure {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::NotFound(id) => Self::not_found("dead letter", id),
            DeadLetterError::NoConsumer(_) => Self::conflict(Reason::Conflict, error.to_string()),
            DeadLetterError::Store(error) => error.into(),
        }
    }
}

/// The dead letters of all stores of a process.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    stores: Vec<Store>,
    subscriptions: Vec<Arc<Subscription>>,
}

impl DeadLetters {
    pub(super) fn new(stores: Vec<Store>, subscriptions: Vec<Arc<Subscription>>) -> Self {
        Self {
            stores,
            subscriptions,
        }
    }

    /// Those that the store called `name` keeps.
    #[must_use]
    pub fn of_store(&self, name: &str) -> Self {
        let mut of_store = self.clone();
        of_store.stores.retain(|store| store.name() == name);
        of_store
    }

    /// Dead letters, newest first.
    ///
    /// # Errors
    /// A store's.
    pub async fn list(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = query.limit.min(LIMIT);
        // Ids first: the letters before the page are skipped without their envelopes in memory.
        let mut ids = Vec::new();
        for store in &self.stores {
            let rows = store
                .scan(
                    format!(
                        "SELECT id FROM dead_letters WHERE {MATCHES} ORDER BY id DESC LIMIT $6"
                    ),
                    args![
                        &query.consumer,
                        &query.event_type,
                        &query.ordering_key,
                        query.discards == Discards::Shown,
                        query.before,
                        i64::try_from(query.offset.saturating_add(limit)).unwrap_or(i64::MAX),
                    ],
                )
                .await?;
            for row in &rows {
                ids.push((row.get::<Uuid>("id")?, store));
            }
        }
        ids.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        let mut letters = Vec::new();
        for (id, store) in ids.into_iter().skip(query.offset).take(limit) {
            // One that was replayed meanwhile is left out.
            letters.extend(read(store, id).await?);
        }
        Ok(letters)
    }

    /// How many dead letters a query matches in all, whatever its page.
    ///
    /// # Errors
    /// A store's.
    pub async fn count(&self, query: &DeadLetterQuery) -> Result<u64, StoreError> {
        let mut total = 0;
        for store in &self.stores {
            let rows = store
                .scan(
                    format!("SELECT COUNT(*) AS n FROM dead_letters WHERE {MATCHES}"),
                    args![
                        &query.consumer,
                        &query.event_type,
                        &query.ordering_key,
                        query.discards == Discards::Shown,
                        None::<Uuid>,
                    ],
                )
                .await?;
            total += rows.first().map_or(Ok(0), |row| row.get::<u64>("n"))?;
        }
        Ok(total)
    }

    /// One dead letter, discarded or not.
    ///
    /// # Errors
    /// [`DeadLetterError::NotFound`], or a store's error.
    pub async fn show(&self, id: Uuid) -> Result<DeadLetter, DeadLetterError> {
        Ok(self.find(id).await?.1)
    }

    /// Gives the event back to its consumer with all attempts ahead of it. It is handled soon, behind what
    /// waits under the same key.
    ///
    /// # Errors
    /// [`DeadLetterError::NotFound`] also when it was discarded, [`DeadLetterError::NoConsumer`], or a
    /// store's error.
    pub async fn replay(&self, id: Uuid) -> Result<(), DeadLetterError> {
        let (store, letter) = self.find(id).await?;
        let subscription = self
            .subscriptions
            .iter()
            .find(|subscription| subscription.name() == letter.consumer)
            .ok_or_else(|| DeadLetterError::NoConsumer(letter.consumer.clone()))?;
        let now = store.clock().now();
        let moved = store
            .write(move |tx: Tx| async move {
                let parked = tx
                    .execute(
                        "INSERT INTO parked (consumer, event_id, event_type, ordering_key, envelope, \
                         attempts, next_attempt_at, last_error, parked_at) \
                         SELECT consumer, event_id, event_type, ordering_key, envelope, 0, $2, error, $2 \
                         FROM dead_letters WHERE id = $1 AND discarded_at IS NULL",
                        args![id, now],
                    )
                    .await?;
                tx.execute(
                    "DELETE FROM dead_letters WHERE id = $1 AND discarded_at IS NULL",
                    args![id],
                )
                .await?;
                Ok::<_, StoreError>(parked)
            })
            .await?;
        if moved == 0 {
            return Err(DeadLetterError::NotFound(id));
        }
        subscription.parking().add(&letter.ordering_key, now);
        tracing::info!(
            consumer = letter.consumer,
            event_id = letter.event_id,
            "dead letter replayed"
        );
        Ok(())
    }

    /// Replays all that a query matches, oldest first, at most 1,000. Returns how many.
    ///
    /// # Errors
    /// As [`DeadLetters::replay`]; those replayed before the error stay replayed.
    pub async fn replay_all(&self, query: &DeadLetterQuery) -> Result<usize, DeadLetterError> {
        let mut letters = self.list(query).await?;
        letters.retain(|letter| letter.discarded.is_none());
        let mut replayed = 0;
        for letter in letters.iter().rev() {
            match self.replay(letter.id).await {
                Ok(()) => replayed += 1,
                // Decided on by someone else meanwhile.
                Err(DeadLetterError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(replayed)
    }

    /// Gives the event up for good. The dead letter stays on record with the reason, and the event counts as
    /// handled.
    ///
    /// # Errors
    /// [`DeadLetterError::NotFound`] also when it was discarded before, or a store's error.
    pub async fn discard(&self, id: Uuid, reason: &str) -> Result<(), DeadLetterError> {
        let (store, letter) = self.find(id).await?;
        let now = store.clock().now();
        let (reason, consumer, event_id) = (
            reason.to_owned(),
            letter.consumer.clone(),
            letter.event_id.clone(),
        );
        let discarded = store
            .write(move |tx: Tx| async move {
                let discarded = tx
                    .execute(
                        "UPDATE dead_letters SET discarded_at = $1, discard_reason = $2 \
                         WHERE id = $3 AND discarded_at IS NULL",
                        args![now, reason, id],
                    )
                    .await?;
                if discarded == 1 {
                    tx.execute(
                        "INSERT INTO inbox (consumer, event_id, handled_at) VALUES ($1, $2, $3) \
                         ON CONFLICT DO NOTHING",
                        args![consumer, event_id, now],
                    )
                    .await?;
                }
                Ok::<_, StoreError>(discarded)
            })
            .await?;
        if discarded == 0 {
            return Err(DeadLetterError::NotFound(id));
        }
        tracing::warn!(
            consumer = letter.consumer,
            event_id = letter.event_id,
            "dead letter discarded"
        );
        Ok(())
    }

    async fn find(&self, id: Uuid) -> Result<(&Store, DeadLetter), DeadLetterError> {
        for store in &self.stores {
            if let Some(letter) = read(store, id).await? {
                return Ok((store, letter));
            }
        }
        Err(DeadLetterError::NotFound(id))
    }
}

/// How many dead letters of a store wait for a decision.
pub(super) async fn waiting(store: &Store) -> Result<u64, StoreError> {
    store
        .scan(
            "SELECT COUNT(*) AS n FROM dead_letters WHERE discarded_at IS NULL",
            args![],
        )
        .await?
        .first()
        .map_or(Ok(0), |row| row.get("n"))
}

async fn read(store: &Store, id: Uuid) -> Result<Option<DeadLetter>, StoreError> {
    store
        .one(
            &format!("SELECT {COLUMNS} FROM dead_letters WHERE id = $1"),
            args![id],
        )
        .await?
        .map(|row| letter_of(store, &row))
        .transpose()
}

fn letter_of(store: &Store, row: &Row) -> Result<DeadLetter, StoreError> {
    let discarded_at: Option<DateTime<Utc>> = row.get("discarded_at")?;
    let reason: Option<String> = row.get("discard_reason")?;
    Ok(DeadLetter {
        id: row.get("id")?,
        store: store.name().to_owned(),
        consumer: row.get("consumer")?,
        event_id: row.get("event_id")?,
        event_type: row.get("event_type")?,
        ordering_key: row.get("ordering_key")?,
        envelope: Envelope::decode(row.get::<&[u8]>("envelope")?).ok(),
        error: row.get("error")?,
        attempts: row.get("attempts")?,
        failed_at: row.get("failed_at")?,
        discarded: discarded_at.map(|at| Discarded {
            at,
            reason: reason.unwrap_or_default(),
        }),
    })
}
