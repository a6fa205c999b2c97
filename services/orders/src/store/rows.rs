//! Orders as rows.

use mesh::{
    Currency, Money, args,
    store::{Row, Store, StoreError},
};
use serde::de::DeserializeOwned;

use crate::domain::order::{
    Order, PaymentFacts, ShipmentFacts, Totals, fulfillment_status_of, payment_status_of, status_of,
};

/// A query over the columns that [`order`] reads.
macro_rules! select_orders {
    ($rest:literal) => {
        concat!(
            "SELECT order_id, order_number, user_id, email, status, payment_status, fulfillment_status, \
             status_reason, currency, subtotal_minor, discount_minor, shipping_minor, tax_minor, \
             total_minor, items, shipping_address, billing_address, shipping_method, payment_method, \
             promo_code, notes, cart_id, cart_version, payment_id, payment_intent_id, paid_by, \
             card_brand, card_last4, shipment_id, carrier, service_level, tracking_number, \
             estimated_delivery, created_at, updated_at, paid_at, version FROM orders ",
            $rest
        )
    };
}
pub(super) use select_orders;

/// The order of a row.
pub(super) fn order(row: &Row) -> Result<Order, StoreError> {
    let currency: Currency = row
        .get::<&str>("currency")?
        .parse()
        .map_err(|error| undecodable("currency", error))?;
    let money = |column: &'static str| Ok::<_, StoreError>(Money::new(row.get(column)?, currency));
    Ok(Order {
        order_id: row.get("order_id")?,
        order_number: row.get("order_number")?,
        user_id: row.get("user_id")?,
        email: row.get("email")?,
        status: named(row, "status", status_of)?,
        payment_status: named(row, "payment_status", payment_status_of)?,
        fulfillment_status: named(row, "fulfillment_status", fulfillment_status_of)?,
        status_reason: row.get("status_reason")?,
        items: document(row, "items")?,
        totals: Totals {
            subtotal: money("subtotal_minor")?,
            discount: money("discount_minor")?,
            shipping: money("shipping_minor")?,
            tax: money("tax_minor")?,
            total: money("total_minor")?,
        },
        shipping_address: document(row, "shipping_address")?,
        billing_address: document(row, "billing_address")?,
        shipping_method: row.get("shipping_method")?,
        payment_method: row.get("payment_method")?,
        payment: PaymentFacts {
            payment_id: row.get("payment_id")?,
            payment_intent_id: row.get("payment_intent_id")?,
            method: row.get("paid_by")?,
            brand: row.get("card_brand")?,
            last4: row.get("card_last4")?,
        },
        shipment: ShipmentFacts {
            shipment_id: row.get("shipment_id")?,
            carrier: row.get("carrier")?,
            service_level: row.get("service_level")?,
            tracking_number: row.get("tracking_number")?,
            estimated_delivery: row.get("estimated_delivery")?,
        },
        promo_code: row.get("promo_code")?,
        notes: row.get("notes")?,
        cart_id: row.get::<Option<String>>("cart_id")?.unwrap_or_default(),
        cart_version: row.get::<Option<i64>>("cart_version")?.unwrap_or_default(),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        paid_at: row.get("paid_at")?,
        version: row.get("version")?,
    })
}

/// The value of a column that holds the name of one.
pub(super) fn named<T>(
    row: &Row,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let name: &str = row.get(column)?;
    parse(name).ok_or_else(|| undecodable(column, format_args!("{name:?} is not known")))
}

fn document<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    let value: serde_json::Value = row.get(column)?;
    serde_json::from_value(value).map_err(|error| undecodable(column, error))
}

pub(super) fn undecodable(column: &str, message: impl ToString) -> StoreError {
    StoreError::Decode {
        column: column.to_owned(),
        message: message.to_string(),
    }
}

/// One order.
///
/// # Errors
/// A store's.
pub(crate) async fn find(store: &Store, order_id: &str) -> Result<Option<Order>, StoreError> {
    store
        .one(select_orders!("WHERE order_id = $1"), args![order_id])
        .await?
        .map(|row| order(&row))
        .transpose()
}

/// The order that a user made with an idempotency key.
///
/// # Errors
/// A store's.
pub(crate) async fn find_by_key(
    store: &Store,
    user_id: &str,
    key: &str,
) -> Result<Option<Order>, StoreError> {
    store
        .one(
            select_orders!("WHERE user_id = $1 AND idempotency_key = $2"),
            args![user_id, key],
        )
        .await?
        .map(|row| order(&row))
        .transpose()
}

/// The order that was made from a version of a cart.
///
/// # Errors
/// A store's.
pub(crate) async fn find_by_cart(
    store: &Store,
    cart_id: &str,
    version: i64,
) -> Result<Option<Order>, StoreError> {
    store
        .one(
            select_orders!("WHERE cart_id = $1 AND cart_version = $2"),
            args![cart_id, version],
        )
        .await?
        .map(|row| order(&row))
        .transpose()
}
