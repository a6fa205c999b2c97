//! What an order is.

use chrono::{DateTime, Utc};
use contracts::hub::orders::v1::{FulfillmentStatus, OrderStatus, PaymentStatus};
use mesh::Money;
use serde::{Deserialize, Serialize};

use super::address::Address;

/// A line of an order, as it was ordered. Amounts are minor units of the order's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Id of the line.
    pub order_item_id: String,
    /// Id of the product.
    pub product_id: String,
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit.
    pub sku: String,
    /// Name of the product.
    pub name: String,
    /// What tells the variant from its siblings.
    pub variant_name: String,
    /// Units.
    pub quantity: i64,
    /// Price of one unit.
    pub unit_price: i64,
    /// Price of the line before discount and tax.
    pub line_total: i64,
    /// Share of the order's discount.
    pub discount: i64,
    /// Sales tax after discount.
    pub tax: i64,
    /// Picture URL.
    pub image_url: String,
}

/// The sums of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sum of the lines.
    pub subtotal: Money,
    /// What promo codes take off.
    pub discount: Money,
    /// Shipping.
    pub shipping: Money,
    /// Sales tax.
    pub tax: Money,
    /// What is charged.
    pub total: Money,
}

/// How an order was paid; empty until it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFacts {
    /// Id of the payment.
    pub payment_id: String,
    /// The provider's id of the intent.
    pub payment_intent_id: String,
    /// Payment method type.
    pub method: String,
    /// Card brand.
    pub brand: String,
    /// Last four digits.
    pub last4: String,
}

/// How an order travels; empty until that is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShipmentFacts {
    /// Id of the shipment.
    pub shipment_id: String,
    /// Carrier.
    pub carrier: String,
    /// Service of the carrier.
    pub service_level: String,
    /// The carrier's tracking number.
    pub tracking_number: String,
    /// When it should arrive.
    pub estimated_delivery: Option<DateTime<Utc>>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Id, UUIDv7.
    pub order_id: String,
    /// Human number, `HPH-YYYY-NNNNNN`.
    pub order_number: String,
    /// Id of the user or guest session that ordered.
    pub user_id: String,
    /// Where confirmations go.
    pub email: String,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// Where the money is.
    pub payment_status: PaymentStatus,
    /// Where the goods are.
    pub fulfillment_status: FulfillmentStatus,
    /// Why it ended as it did.
    pub status_reason: String,
    /// The lines.
    pub items: Vec<Item>,
    /// The sums.
    pub totals: Totals,
    /// Where it goes.
    pub shipping_address: Address,
    /// Where the invoice goes.
    pub billing_address: Address,
    /// Name of the shipping method.
    pub shipping_method: String,
    /// What is to be charged: saved method's id, provider token, or `intent`.
    pub payment_method: String,
    /// How it was paid.
    pub payment: PaymentFacts,
    /// How it travels.
    pub shipment: ShipmentFacts,
    /// Promo code used; empty when none.
    pub promo_code: String,
    /// Notes for the packers.
    pub notes: String,
    /// Cart it was made from; empty for imported orders.
    pub cart_id: String,
    /// Version of that cart.
    pub cart_version: i64,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// Grows with every change.
    pub version: i64,
}

/// The payment method by which the shopper pays through the browser while the stock is held.
pub const PAY_BY_INTENT: &str = "intent";

/// Name of a status in storage, events and the REST face.
pub fn status_name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Unspecified => "unspecified",
        OrderStatus::Pending => "pending",
        OrderStatus::Reserved => "reserved",
        OrderStatus::Paid => "paid",
        OrderStatus::Processing => "processing",
        OrderStatus::Shipped => "shipped",
        OrderStatus::Delivered => "delivered",
        OrderStatus::Completed => "completed",
        OrderStatus::PaymentFailed => "payment_failed",
        OrderStatus::OutOfStock => "out_of_stock",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Refunded => "refunded",
    }
}

/// The status of a name.
pub fn status_of(name: &str) -> Option<OrderStatus> {
    (0..=11)
        .filter_map(|number| OrderStatus::try_from(number).ok())
        .find(|status| status_name(*status) == name)
}

/// Name of a payment status in storage.
pub fn payment_status_name(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Unspecified => "unspecified",
        PaymentStatus::Pending => "pending",
        PaymentStatus::Paid => "paid",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Refunded => "refunded",
        PaymentStatus::PartiallyRefunded => "partially_refunded",
    }
}

/// The payment status of a name.
pub fn payment_status_of(name: &str) -> Option<PaymentStatus> {
    (0..=5)
        .filter_map(|number| PaymentStatus::try_from(number).ok())
        .find(|status| payment_status_name(*status) == name)
}

/// Name of a fulfillment status in storage.
pub fn fulfillment_status_name(status: FulfillmentStatus) -> &'static str {
    match status {
        FulfillmentStatus::Unspecified => "unspecified",
        FulfillmentStatus::Pending => "pending",
        FulfillmentStatus::Scheduled => "scheduled",
        FulfillmentStatus::Shipped => "shipped",
        FulfillmentStatus::Delivered => "delivered",
        FulfillmentStatus::Cancelled => "cancelled",
    }
}

/// The fulfillment status of a name.
pub fn fulfillment_status_of(name: &str) -> Option<FulfillmentStatus> {
    (0..=5)
        .filter_map(|number| FulfillmentStatus::try_from(number).ok())
        .find(|status| fulfillment_status_name(*status) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_name() {
        for number in 0..=11 {
            let status = OrderStatus::try_from(number).unwrap_or_default();
            assert_eq!(status_of(status_name(status)), Some(status));
        }
        for number in 0..=5 {
            let paid = PaymentStatus::try_from(number).unwrap_or_default();
            assert_eq!(payment_status_of(payment_status_name(paid)), Some(paid));
            let goods = FulfillmentStatus::try_from(number).unwrap_or_default();
            assert_eq!(
                fulfillment_status_of(fulfillment_status_name(goods)),
                Some(goods)
            );
        }
        assert_eq!(status_of("lost"), None);
    }
}
