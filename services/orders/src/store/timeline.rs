//! What happened to an order, as its customer is told.

use chrono::{DateTime, Utc};
use contracts::hub::orders::v1::OrderStatus;
use mesh::{
    args,
    store::{Store, StoreError, Tx},
};

use super::rows::named;
use crate::domain::order::{status_name, status_of};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Position in the order's timeline, from 1.
    pub(crate) seq: i64,
    /// Id of the event.
    pub(crate) event_id: String,
    /// Its type.
    pub(crate) event_type: String,
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// Status of the order afterwards.
    pub(crate) status: OrderStatus,
    /// For people.
    pub(crate) message: String,
}

pub(super) async fn append(tx: &Tx, order_id: &str, entry: &Entry) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO order_events (order_id, seq, event_id, event_type, at, status, message) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            order_id,
            entry.seq,
            &entry.event_id,
            &entry.event_type,
            entry.at,
            status_name(entry.status),
            &entry.message,
        ],
    )
    .await
    .map(drop)
}

/// Entries after a position, oldest first, at most `limit`.
///
/// # Errors
/// A store's.
pub(crate) async fn entries_after(
    store: &Store,
    order_id: &str,
    seq: i64,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let rows = store
        .all(
            "SELECT seq, event_id, event_type, at, status, message FROM order_events \
             WHERE order_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            args![order_id, seq, limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                seq: row.get("seq")?,
                event_id: row.get("event_id")?,
                event_type: row.get("event_type")?,
                at: row.get("at")?,
                status: named(row, "status", status_of)?,
                message: row.get("message")?,
            })
        })
        .collect()
}

/// Position of an event in an order's timeline; None when the order has no such event.
///
/// # Errors
/// A store's.
pub(crate) async fn position_of(
    store: &Store,
    order_id: &str,
    event_id: &str,
) -> Result<Option<i64>, StoreError> {
    store
        .one(
            "SELECT seq FROM order_events WHERE order_id = $1 AND event_id = $2",
            args![order_id, event_id],
        )
        .await?
        .map(|row| row.get("seq"))
        .transpose()
}
