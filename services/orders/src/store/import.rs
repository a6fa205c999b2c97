//! Orders of the past: stored with their timeline, without anything happening because of them.

use chrono::Datelike;
use contracts::hub::orders::v1::OrderStatus;
use mesh::{
    Ids, args,
    store::{StoreError, Tx},
};

use super::{
    create::{Origin, insert, insert_saga, next_number},
    never,
    timeline::{self, Entry},
};
use crate::domain::{order::Order, saga::Facts};

/// An order of the past with the key under which it is stored once.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// The order; a number that is empty is given out.
    pub(crate) order: Order,
    /// The key.
    pub(crate) import_key: String,
    /// Minor units that went back to the customer.
    pub(crate) refunded: i64,
}

/// Stores an order of the past. Returns whether it was new.
///
/// # Errors
/// A store's.
pub(crate) async fn import(tx: &Tx, ids: &Ids, past: Past) -> Result<bool, StoreError> {
    let mut order = past.order;
    let known = tx
        .one(
            "SELECT 1 FROM orders WHERE import_key = $1 OR order_id = $2 \
             OR (order_number = $3 AND order_number <> '')",
            args![&past.import_key, &order.order_id, &order.order_number],
        )
        .await?;
    if known.is_some() {
        return Ok(false);
    }
    if order.order_number.is_empty() {
        order.order_number = next_number(tx, order.created_at.year()).await?;
    }
    let entries = timeline_of(&order, ids);
    insert(
        tx,
        &order,
        &Origin {
            idempotency_key: None,
            import_key: Some(past.import_key),
            client_ip: String::new(),
            user_agent: String::new(),
            event_seq: entries.len() as i64,
        },
    )
    .await?;
    let facts = Facts::of_past_order(order.status, order.payment_status, past.refunded);
    insert_saga(tx, &order, &facts, facts.step(), never()).await?;
    for entry in &entries {
        timeline::append(tx, &order.order_id, entry).await?;
    }
    Ok(true)
}

/// What must have happened to an order that is in its status, spread over its life.
fn timeline_of(order: &Order, ids: &Ids) -> Vec<Entry> {
    let stages: &[(OrderStatus, &str, &str)] = &[
        (OrderStatus::Pending, "OrderCreated", "Order was placed."),
        (
            OrderStatus::Reserved,
            "InventoryReserved",
            "All items are set aside.",
        ),
        (
            OrderStatus::Paid,
            "PaymentProcessed",
            "Payment was received.",
        ),
        (
            OrderStatus::Processing,
            "ShipmentScheduled",
            "A carrier was chosen.",
        ),
        (
            OrderStatus::Shipped,
            "ShipmentStatusUpdated",
            "The carrier has the parcel.",
        ),
        (
            OrderStatus::Delivered,
            "DeliveryCompleted",
            "The parcel arrived.",
        ),
        (
            OrderStatus::Completed,
            "OrderCompleted",
            "The order is closed.",
        ),
    ];
    let (reached, ending) = match order.status {
        OrderStatus::PaymentFailed => (2, Some(("PaymentFailed", "The payment failed."))),
        OrderStatus::OutOfStock => (
            1,
            Some(("InventoryReservationFailed", "Items are out of stock.")),
        ),
        OrderStatus::Cancelled => (1, Some(("OrderCancelled", "The order was cancelled."))),
        OrderStatus::Refunded => (6, Some(("RefundProcessed", "Everything was paid back."))),
        status => (
            stages
                .iter()
                .position(|(stage, ..)| *stage == status)
                .map_or(1, |position| position + 1),
            None,
        ),
    };
    let mut entries: Vec<(OrderStatus, &str, &str)> = stages[..reached].to_vec();
    if let Some((event_type, message)) = ending {
        entries.push((order.status, event_type, message));
    }
    let span = order.updated_at - order.created_at;
    let gaps = i32::try_from(entries.len().saturating_sub(1))
        .unwrap_or(1)
        .max(1);
    entries
        .into_iter()
        .zip(0_i32..)
        .map(|((status, event_type, message), index)| Entry {
            seq: i64::from(index) + 1,
            event_id: ids.uuid().to_string(),
            event_type: event_type.to_owned(),
            at: order.created_at + span / gaps * index,
            status,
            message: message.to_owned(),
        })
        .collect()
}
