//! Placing an order: the order, its saga, its place in the timeline, the use of its promo code and the
//! event that starts everything, in one transaction.

use chrono::Datelike;
use contracts::hub::orders::v1::SagaStep;
use mesh::{
    args,
    events::{Data, Emission},
    store::{Dialect, StoreError, Tx},
};
use serde::Serialize;

use super::{
    never,
    progress::{Moment, due_of},
    promos,
    rows::undecodable,
    timeline::{self, Entry},
};
use crate::{
    announce,
    domain::{
        order::{Order, fulfillment_status_name, payment_status_name, status_name},
        promo::PromoRefusal,
        saga::{Facts, step_name},
    },
};

/// An order to place; its number is given out by the transaction.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    /// The order.
    pub(crate) order: Order,
    /// What the client must send again to be given the same order.
    pub(crate) idempotency_key: Option<String>,
    /// Address of the client; empty when unknown.
    pub(crate) client_ip: String,
    /// The client's `User-Agent`.
    pub(crate) user_agent: String,
}

/// Why an order could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The promo code was used up by others in the meantime.
    #[error(transparent)]
    Promo(#[from] PromoRefusal),
    /// The store's. A violated unique key means that the cart or the key has its order already.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether an error says that the cart's version or the idempotency key has its order already.
pub(crate) fn ordered_already(error: &PlaceError) -> bool {
    matches!(error, PlaceError::Store(StoreError::Unique { .. }))
}

/// Stores an order and starts its saga. Returns it with its number.
///
/// # Errors
/// See [`PlaceError`].
pub(crate) async fn place(
    tx: &Tx,
    moment: &Moment,
    placement: Placement,
) -> Result<Order, PlaceError> {
    let mut order = placement.order.clone();
    order.order_number = next_number(tx, order.created_at.year()).await?;
    insert(
        tx,
        &order,
        &Origin {
            idempotency_key: placement.idempotency_key,
            import_key: None,
            client_ip: placement.client_ip,
            user_agent: placement.user_agent,
            event_seq: 1,
        },
    )
    .await?;
    if !order.promo_code.is_empty() {
        promos::redeem(
            tx,
            &order.promo_code,
            &order.user_id,
            &order.order_id,
            moment.now,
        )
        .await?;
    }
    let facts = Facts::default();
    let due = due_of(moment, &order.payment_method, &facts, None).unwrap_or_else(never);
    insert_saga(tx, &order, &facts, SagaStep::Reservation, due).await?;
    let data = Data::OrderCreated(announce::created(&order));
    let emission = Emission::new(&order.order_id, data);
    let event_id = tx
        .emit(moment.cause.mark(emission, &order.order_id))
        .await?;
    let entry = Entry {
        seq: 1,
        event_id: event_id.to_string(),
        event_type: "OrderCreated".to_owned(),
        at: moment.now,
        status: order.status,
        message: format!("Order {} was placed.", order.order_number),
    };
    timeline::append(tx, &order.order_id, &entry).await?;
    moment.watchers.touch(tx, &order.order_id);
    Ok(order)
}

/// The next human number of a year.
///
/// On SQLite it is counted in the transaction that uses it, so there are no gaps. On PostgreSQL that row
/// would make all orders of the shop wait for each other and start over, so a sequence gives out the
/// numbers: they go on over the years, and an order that was not stored leaves a gap.
pub(super) async fn next_number(tx: &Tx, year: i32) -> Result<String, StoreError> {
    let row = match tx.dialect() {
        Dialect::Sqlite => {
            tx.one(
                "INSERT INTO order_numbers (year, last) VALUES ($1, 1) \
                 ON CONFLICT (year) DO UPDATE SET last = order_numbers.last + 1 RETURNING last",
                args![year],
            )
            .await?
        }
        Dialect::Postgres => {
            tx.one("SELECT nextval('order_numbers') AS last", args![])
                .await?
        }
    }
    .ok_or_else(|| undecodable("last", "no number was given out"))?;
    Ok(format!("HPH-{year:04}-{:06}", row.get::<i64>("last")?))
}

/// Where an order comes from, besides its shopper.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) idempotency_key: Option<String>,
    pub(super) import_key: Option<String>,
    pub(super) client_ip: String,
    pub(super) user_agent: String,
    pub(super) event_seq: i64,
}

pub(super) async fn insert(tx: &Tx, order: &Order, origin: &Origin) -> Result<(), StoreError> {
    let totals = &order.totals;
    let cart_id = Some(&order.cart_id).filter(|id| !id.is_empty());
    let cart_version = cart_id.is_some().then_some(order.cart_version);
    tx.execute(
        "INSERT INTO orders (order_id, order_number, user_id, email, status, payment_status, \
         fulfillment_status, status_reason, currency, subtotal_minor, discount_minor, shipping_minor, \
         tax_minor, total_minor, items, shipping_address, billing_address, shipping_method, \
         payment_method, promo_code, notes, idempotency_key, cart_id, cart_version, import_key, \
         client_ip, user_agent, payment_id, payment_intent_id, paid_by, card_brand, card_last4, \
         shipment_id, carrier, service_level, tracking_number, estimated_delivery, created_at, \
         updated_at, paid_at, event_seq, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, \
         $39, $40, $41, 1)",
        args![
            &order.order_id,
            &order.order_number,
            &order.user_id,
            &order.email,
            status_name(order.status),
            payment_status_name(order.payment_status),
            fulfillment_status_name(order.fulfillment_status),
            &order.status_reason,
            totals.total.currency.to_string(),
            totals.subtotal.minor,
            totals.discount.minor,
            totals.shipping.minor,
            totals.tax.minor,
            totals.total.minor,
            document("items", &order.items)?,
            document("shipping_address", &order.shipping_address)?,
            document("billing_address", &order.billing_address)?,
            &order.shipping_method,
            &order.payment_method,
            &order.promo_code,
            &order.notes,
            origin.idempotency_key.as_deref(),
            cart_id,
            cart_version,
            origin.import_key.as_deref(),
            &origin.client_ip,
            &origin.user_agent,
            &order.payment.payment_id,
            &order.payment.payment_intent_id,
            &order.payment.method,
            &order.payment.brand,
            &order.payment.last4,
            &order.shipment.shipment_id,
            &order.shipment.carrier,
            &order.shipment.service_level,
            &order.shipment.tracking_number,
            order.shipment.estimated_delivery,
            order.created_at,
            order.updated_at,
            order.paid_at,
            origin.event_seq,
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn insert_saga(
    tx: &Tx,
    order: &Order,
    facts: &Facts,
    step: SagaStep,
    due_at: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sagas (order_id, step, due_at, facts, refunded, started_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            &order.order_id,
            step_name(step),
            due_at,
            facts.bits(),
            facts.refunded(),
            order.created_at,
            order.updated_at,
        ],
    )
    .await
    .map(drop)
}

fn document(column: &str, value: &impl Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|error| undecodable(column, error))
}
