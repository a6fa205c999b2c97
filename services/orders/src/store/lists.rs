//! Lists of orders, newest first. Each has its index, and its SQL in full: no query is put together from
//! parts at run time.

use chrono::DateTime;
use contracts::hub::orders::v1::OrderStatus;
use mesh::{
    Paging, args,
    store::{Row, Store, StoreError, Value},
};
use uuid::Uuid;

use super::{
    never,
    rows::{order, select_orders},
};
use crate::domain::order::{Order, status_name};

/// Time (microseconds since the epoch) and id of the last order seen.
pub(crate) type Key = (i64, Uuid);

/// A page of orders.
#[derive(Clone, Debug)]
pub(crate) struct OrderPage {
    /// The orders.
    pub(crate) items: Vec<Order>,
    /// How many there are in all pages.
    pub(crate) total: i64,
    /// Token of the next page; empty on the last.
    pub(crate) next_page_token: String,
}

/// Orders of a user, or of everybody, in a status, or in any.
///
/// # Errors
/// A store's.
pub(crate) async fn list(
    store: &Store,
    user_id: Option<&str>,
    status: Option<OrderStatus>,
    paging: &Paging<Key>,
) -> Result<OrderPage, StoreError> {
    let status = status.map(status_name);
    let (created_at, order_id) = match &paging.after {
        Some((micros, order_id)) => (
            DateTime::from_timestamp_micros(*micros).unwrap_or_else(never),
            *order_id,
        ),
        None => (never(), Uuid::nil()),
    };
    let page = |mut filter: Vec<Value>| {
        let mut args = args![created_at, order_id, paging.fetch(), paging.offset()];
        args.append(&mut filter);
        args
    };
    let (rows, counted) = match (user_id, status) {
        (None, None) => (
            store
                .all(
                    select_orders!(
                        "WHERE (created_at, order_id) < ($1, $2) \
                         ORDER BY created_at DESC, order_id DESC LIMIT $3 OFFSET $4"
                    ),
                    page(args![]),
                )
                .await?,
            store
                .scan("SELECT COUNT(*) AS total FROM orders", args![])
                .await?,
        ),
        (None, Some(status)) => (
            store
                .all(
                    select_orders!(
                        "WHERE status = $5 AND (created_at, order_id) < ($1, $2) \
                         ORDER BY created_at DESC, order_id DESC LIMIT $3 OFFSET $4"
                    ),
                    page(args![status]),
                )
                .await?,
            store
                .scan(
                    "SELECT COUNT(*) AS total FROM orders WHERE status = $1",
                    args![status],
                )
                .await?,
        ),
        (Some(user_id), None) => (
            store
                .all(
                    select_orders!(
                        "WHERE user_id = $5 AND (created_at, order_id) < ($1, $2) \
                         ORDER BY created_at DESC, order_id DESC LIMIT $3 OFFSET $4"
                    ),
                    page(args![user_id]),
                )
                .await?,
            store
                .all(
                    "SELECT COUNT(*) AS total FROM orders WHERE user_id = $1",
                    args![user_id],
                )
                .await?,
        ),
        (Some(user_id), Some(status)) => (
            store
                .all(
                    select_orders!(
                        "WHERE user_id = $5 AND status = $6 AND (created_at, order_id) < ($1, $2) \
                         ORDER BY created_at DESC, order_id DESC LIMIT $3 OFFSET $4"
                    ),
                    page(args![user_id, status]),
                )
                .await?,
            store
                .all(
                    "SELECT COUNT(*) AS total FROM orders WHERE user_id = $1 AND status = $2",
                    args![user_id, status],
                )
                .await?,
        ),
    };
    let mut items = rows.iter().map(order).collect::<Result<Vec<_>, _>>()?;
    let next_page_token = paging.finish(&mut items, |order| {
        let order_id = order.order_id.parse().unwrap_or_default();
        (order.created_at.timestamp_micros(), order_id)
    });
    Ok(OrderPage {
        items,
        total: total(&counted)?,
        next_page_token,
    })
}

pub(super) fn total(counted: &[Row]) -> Result<i64, StoreError> {
    counted.first().map_or(Ok(0), |row| row.get("total"))
}
