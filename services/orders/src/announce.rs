//! The events of others' steps as orders can say them again: same content, new event id. Every step is
//! idempotent by order, so saying it again is always safe.

use contracts::hub::events::v1 as events;
use mesh::events::Data;
use prost::Message;

use crate::{
    domain::{order::Order, saga::Facts},
    store::SagaView,
    wire,
};

/// An order was placed.
pub(crate) fn created(order: &Order) -> events::OrderCreated {
    events::OrderCreated {
        order_id: order.order_id.clone(),
        order_number: order.order_number.clone(),
        user_id: order.user_id.clone(),
        email: order.email.clone(),
        items: order
            .items
            .iter()
            .map(|item| events::OrderLine {
                product_id: item.product_id.clone(),
                variant_id: item.variant_id.clone(),
                sku: item.sku.clone(),
                quantity: item.quantity,
                unit_price: Some(
                    mesh::Money::new(item.unit_price, order.totals.total.currency).to_wire(),
                ),
            })
            .collect(),
        total: Some(order.totals.total.to_wire()),
        shipping_address: Some(wire::address(&order.shipping_address)),
        shipping_method: order.shipping_method.clone(),
        cart_id: order.cart_id.clone(),
        cart_version: order.cart_version,
        promo_code: order.promo_code.clone(),
    }
}

/// An order is given up.
pub(crate) fn cancelled(order: &Order, by: &str) -> events::OrderCancelled {
    events::OrderCancelled {
        order_id: order.order_id.clone(),
        reason: order.status_reason.clone(),
        cancelled_by: by.to_owned(),
    }
}

/// The event that the step a saga waits for reacts to; None when nothing is waited for.
pub(crate) fn trigger(order: &Order, saga: &SagaView) -> Option<Data> {
    use contracts::hub::orders::v1::SagaStep;
    match Facts::step(&saga.facts) {
        SagaStep::Reservation => Some(Data::OrderCreated(created(order))),
        SagaStep::Payment => {
            // Stored when it was heard; without it the ids alone still name the order.
            let reserved = saga
                .reserved
                .as_deref()
                .and_then(|bytes| events::InventoryReserved::decode(bytes).ok())
                .unwrap_or_else(|| events::InventoryReserved {
                    order_id: order.order_id.clone(),
                    ..events::InventoryReserved::default()
                });
            Some(Data::InventoryReserved(reserved))
        }
        SagaStep::Shipment => Some(Data::PaymentProcessed(events::PaymentProcessed {
            order_id: order.order_id.clone(),
            payment_id: order.payment.payment_id.clone(),
            payment_intent_id: order.payment.payment_intent_id.clone(),
            amount: Some(order.totals.total.to_wire()),
            brand: order.payment.brand.clone(),
            last4: order.payment.last4.clone(),
            method: order.payment.method.clone(),
        })),
        SagaStep::Compensation => Some(Data::OrderCancelled(cancelled(order, "system"))),
        SagaStep::Completed | SagaStep::Compensated | SagaStep::Unspecified => None,
    }
}
