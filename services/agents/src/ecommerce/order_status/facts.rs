//! The table of facts: what happened to an order, once each.

use chrono::{DateTime, Utc};
use mesh::{
    args,
    store::{Row, Store, StoreError, Tx},
};

/// Facts of one order that are read at most; more than any order gathers.
const OF_ONE_ORDER: i64 = 500;

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Id of the event that said so.
    pub event_id: String,
    /// The order.
    pub order_id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Type of the event.
    pub event_type: String,
    /// Status that the event leads to; empty when it changes none.
    pub status: String,
    /// For people.
    pub message: String,
}

/// Notes whose order it is.
///
/// # Errors
/// The store fails.
pub async fn own(tx: &Tx, order_id: &str, user_id: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO order_owners (order_id, user_id) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING",
        args![order_id, user_id],
    )
    .await
    .map(drop)
}

/// Notes a fact; noting it again changes nothing.
///
/// # Errors
/// The store fails.
pub async fn record(tx: &Tx, fact: &Fact, seen: DateTime<Utc>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO order_facts (event_id, order_id, at, event_type, status, message, seen)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (event_id) DO NOTHING",
        args![
            &fact.event_id,
            &fact.order_id,
            fact.at,
            &fact.event_type,
            &fact.status,
            &fact.message,
            seen
        ],
    )
    .await
    .map(drop)
}

/// Whose order it is; nothing for an order that no event has told of.
///
/// # Errors
/// The store fails.
pub async fn owner(store: &Store, order_id: &str) -> Result<Option<String>, StoreError> {
    let row = store
        .one(
            "SELECT user_id FROM order_owners WHERE order_id = $1",
            args![order_id],
        )
        .await?;
    row.map(|row| row.get("user_id")).transpose()
}

/// What happened to an order, oldest first.
///
/// # Errors
/// The store fails.
pub async fn of_order(store: &Store, order_id: &str) -> Result<Vec<Fact>, StoreError> {
    let rows = store
        .all(
            "SELECT event_id, order_id, at, event_type, status, message FROM order_facts
             WHERE order_id = $1 ORDER BY at, event_id LIMIT $2",
            args![order_id, OF_ONE_ORDER],
        )
        .await?;
    rows.iter().map(fact).collect()
}

/// Reads a fact from a row with all its columns.
pub fn fact(row: &Row) -> Result<Fact, StoreError> {
    Ok(Fact {
        event_id: row.get("event_id")?,
        order_id: row.get("order_id")?,
        at: row.get("at")?,
        event_type: row.get("event_type")?,
        status: row.get("status")?,
        message: row.get("message")?,
    })
}
