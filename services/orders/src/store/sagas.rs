//! Sagas as operators and timers see them.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::hub::orders::v1::{OrderStatus, SagaStep};
use mesh::{
    Paging, args,
    store::{Row, Store, StoreError, Tx},
};
use uuid::Uuid;

use super::{lists::total, never, progress::Moment, rows::named};
use crate::domain::{
    order::status_of,
    saga::{Facts, step_name, step_of},
};

/// Something that an operator or a timer did to a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// Who: user id, or `timer`.
    pub(crate) actor: String,
    /// What: `retry`, `compensate`, `deadline`.
    pub(crate) action: String,
    /// Why.
    pub(crate) reason: String,
}

/// A saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SagaView {
    /// Id of the order.
    pub(crate) order_id: String,
    /// Human number of the order.
    pub(crate) order_number: String,
    /// Status of the order.
    pub(crate) status: OrderStatus,
    /// What it waits for.
    pub(crate) step: SagaStep,
    /// Until when; None when it waits for nothing.
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// What is known.
    pub(crate) facts: Facts,
    /// How often the step was asked for again.
    pub(crate) attempts: i32,
    /// Last problem.
    pub(crate) last_error: String,
    /// The encoded InventoryReserved message, once stock was held.
    pub(crate) reserved: Option<Vec<u8>>,
    /// What operators and timers did, oldest first; empty in lists.
    pub(crate) notes: Vec<Note>,
    /// When it began.
    pub(crate) started_at: DateTime<Utc>,
    /// When it last moved.
    pub(crate) updated_at: DateTime<Utc>,
}

fn view(row: &Row) -> Result<SagaView, StoreError> {
    let due_at: DateTime<Utc> = row.get("due_at")?;
    Ok(SagaView {
        order_id: row.get("order_id")?,
        order_number: row.get("order_number")?,
        status: named(row, "status", status_of)?,
        step: named(row, "step", step_of)?,
        deadline: (due_at < never()).then_some(due_at),
        facts: Facts::from_bits(row.get("facts")?, row.get("refunded")?),
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        reserved: row.get("reserved")?,
        notes: Vec::new(),
        started_at: row.get("started_at")?,
        updated_at: row.get("updated_at")?,
    })
}

macro_rules! select_sagas {
    ($rest:literal) => {
        concat!(
            "SELECT s.order_id, o.order_number, o.status, s.step, s.due_at, s.facts, s.refunded, \
             s.attempts, s.last_error, s.reserved, s.started_at, s.updated_at \
             FROM sagas s JOIN orders o ON o.order_id = s.order_id ",
            $rest
        )
    };
}

/// The saga of an order, with its notes.
///
/// # Errors
/// A store's.
pub(crate) async fn find(store: &Store, order_id: &str) -> Result<Option<SagaView>, StoreError> {
    let row = store
        .one(select_sagas!("WHERE s.order_id = $1"), args![order_id])
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut saga = view(&row)?;
    let rows = store
        .all(
            "SELECT at, actor, action, reason FROM saga_notes WHERE order_id = $1 ORDER BY note_id",
            args![order_id],
        )
        .await?;
    saga.notes = rows
        .iter()
        .map(|row| {
            Ok(Note {
                at: row.get("at")?,
                actor: row.get("actor")?,
                action: row.get("action")?,
                reason: row.get("reason")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Some(saga))
}

/// What is known about an order; None when there is no such order.
///
/// # Errors
/// A store's.
pub(crate) async fn facts_of(store: &Store, order_id: &str) -> Result<Option<Facts>, StoreError> {
    store
        .one(
            "SELECT facts, refunded FROM sagas WHERE order_id = $1",
            args![order_id],
        )
        .await?
        .map(|row| Ok(Facts::from_bits(row.get("facts")?, row.get("refunded")?)))
        .transpose()
}

/// What is known about an order, in a transaction that decides by it.
///
/// # Errors
/// A store's.
pub(crate) async fn facts_now(tx: &Tx, order_id: &str) -> Result<Option<Facts>, StoreError> {
    tx.one(
        "SELECT facts, refunded FROM sagas WHERE order_id = $1",
        args![order_id],
    )
    .await?
    .map(|row| Ok(Facts::from_bits(row.get("facts")?, row.get("refunded")?)))
    .transpose()
}

/// Deadline (microseconds since the epoch) and order of the last saga seen.
pub(crate) type SagaKey = (i64, Uuid);

/// Whether only sagas past their deadline are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Only those.
    Only,
    /// All.
    Any,
}

/// Which sagas a list has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SagaFilter {
    /// Only those that wait for this.
    pub(crate) step: Option<SagaStep>,
    /// Only those past their deadline.
    pub(crate) overdue: Overdue,
    /// The time that deadlines are compared with.
    pub(crate) now: DateTime<Utc>,
}

/// A page of sagas.
#[derive(Clone, Debug)]
pub(crate) struct SagaPage {
    /// The sagas.
    pub(crate) items: Vec<SagaView>,
    /// How many there are in all pages.
    pub(crate) total: i64,
    /// Token of the next page; empty on the last.
    pub(crate) next_page_token: String,
}

/// Sagas, those whose deadline is nearest (or longest past) first, those that wait for nothing last.
///
/// # Errors
/// A store's.
pub(crate) async fn list(
    store: &Store,
    filter: SagaFilter,
    paging: &Paging<SagaKey>,
) -> Result<SagaPage, StoreError> {
    let until = match filter.overdue {
        Overdue::Only => filter.now,
        Overdue::Any => never(),
    };
    let (micros, order_id) = paging.after.unwrap_or((0, Uuid::nil()));
    let after = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let (rows, counted) = match filter.step.map(step_name) {
        None => (
            store
                .all(
                    select_sagas!(
                        "WHERE (s.due_at, s.order_id) > ($1, $2) AND s.due_at <= $3 \
                         ORDER BY s.due_at, s.order_id LIMIT $4 OFFSET $5"
                    ),
                    args![after, order_id, until, paging.fetch(), paging.offset()],
                )
                .await?,
            store
                .scan(
                    "SELECT COUNT(*) AS total FROM sagas WHERE due_at <= $1",
                    args![until],
                )
                .await?,
        ),
        Some(step) => (
            store
                .all(
                    select_sagas!(
                        "WHERE s.step = $6 AND (s.due_at, s.order_id) > ($1, $2) AND s.due_at <= $3 \
                         ORDER BY s.due_at, s.order_id LIMIT $4 OFFSET $5"
                    ),
                    args![after, order_id, until, paging.fetch(), paging.offset(), step],
                )
                .await?,
            store
                .scan(
                    "SELECT COUNT(*) AS total FROM sagas WHERE due_at <= $1 AND step = $2",
                    args![until, step],
                )
                .await?,
        ),
    };
    let mut items = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let next_page_token = paging.finish(&mut items, |saga| {
        let due = saga.deadline.unwrap_or_else(never);
        let order_id = saga.order_id.parse().unwrap_or_default();
        (due.timestamp_micros(), order_id)
    });
    Ok(SagaPage {
        items,
        total: total(&counted)?,
        next_page_token,
    })
}

/// Orders whose saga is past its deadline, the longest overdue first.
///
/// # Errors
/// A store's.
pub(crate) async fn due(
    store: &Store,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = store
        .all(
            "SELECT order_id FROM sagas WHERE due_at <= $1 ORDER BY due_at, order_id LIMIT $2",
            args![now, limit],
        )
        .await?;
    rows.iter().map(|row| row.get("order_id")).collect()
}

/// Moves deadlines that passed while nothing was running to `grace` from now. Returns how many.
///
/// # Errors
/// A store's.
pub(crate) async fn grant_grace(
    store: &Store,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> Result<u64, StoreError> {
    store
        .write(move |tx: Tx| async move {
            tx.execute(
                "UPDATE sagas SET due_at = $1 WHERE due_at < $2",
                args![now + grace, now],
            )
            .await
        })
        .await
}

/// Records what an operator or a timer did.
///
/// # Errors
/// A store's.
pub(crate) async fn note(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    actor: &str,
    action: &str,
    reason: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO saga_notes (note_id, order_id, at, actor, action, reason) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            moment.ids.uuid(),
            order_id,
            moment.now,
            actor,
            action,
            reason
        ],
    )
    .await
    .map(drop)
}
