//! Between the domain and the contract's messages.

use chrono::{DateTime, Utc};
use contracts::hub::{orders::v1 as wire, r#type::v1 as types};
use mesh::{Currency, Money};

use crate::{
    domain::{
        address::Address,
        order::{Item, Order, Totals},
        shipping::Method,
    },
    store::{Entry, SagaView},
};

/// The message for a time.
pub(crate) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        // Below a billion by construction.
        nanos: at.timestamp_subsec_nanos() as i32,
    }
}

/// The time of a message; None for one that no calendar has.
pub(crate) fn time(at: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// The message for an address.
pub(crate) fn address(address: &Address) -> types::Address {
    types::Address {
        name: address.name.clone(),
        line1: address.line1.clone(),
        line2: address.line2.clone(),
        city: address.city.clone(),
        state: address.state.clone(),
        postal_code: address.postal_code.clone(),
        country: address.country.clone(),
        phone: address.phone.clone(),
    }
}

/// The address of a message.
pub(crate) fn address_of(address: types::Address) -> Address {
    Address {
        name: address.name,
        line1: address.line1,
        line2: address.line2,
        city: address.city,
        state: address.state,
        postal_code: address.postal_code,
        country: address.country,
        phone: address.phone,
    }
}

/// The message for the sums of an order.
pub(crate) fn totals(totals: &Totals) -> wire::OrderTotals {
    wire::OrderTotals {
        subtotal: Some(totals.subtotal.to_wire()),
        discount: Some(totals.discount.to_wire()),
        shipping: Some(totals.shipping.to_wire()),
        tax: Some(totals.tax.to_wire()),
        total: Some(totals.total.to_wire()),
    }
}

/// The message for a line.
pub(crate) fn item(item: &Item, currency: Currency) -> wire::OrderItem {
    let money = |minor| Some(Money::new(minor, currency).to_wire());
    wire::OrderItem {
        order_item_id: item.order_item_id.clone(),
        product_id: item.product_id.clone(),
        variant_id: item.variant_id.clone(),
        sku: item.sku.clone(),
        name: item.name.clone(),
        variant_name: item.variant_name.clone(),
        quantity: item.quantity,
        unit_price: money(item.unit_price),
        line_total: money(item.line_total),
        discount: money(item.discount),
        tax: money(item.tax),
        image_url: item.image_url.clone(),
    }
}

/// The shipping method of a stored name.
pub(crate) fn method(name: &str) -> wire::ShippingMethod {
    Method::named(name).map_or(wire::ShippingMethod::Unspecified, |method| method.method)
}

fn items(order: &Order) -> Vec<wire::OrderItem> {
    order
        .items
        .iter()
        .map(|line| item(line, order.totals.total.currency))
        .collect()
}

/// The message for an order.
pub(crate) fn order(order: &Order) -> wire::Order {
    wire::Order {
        order_id: order.order_id.clone(),
        order_number: order.order_number.clone(),
        status: order.status.into(),
        payment_status: order.payment_status.into(),
        fulfillment_status: order.fulfillment_status.into(),
        items: items(order),
        totals: Some(totals(&order.totals)),
        user_id: order.user_id.clone(),
        email: order.email.clone(),
        shipping_address: Some(address(&order.shipping_address)),
        billing_address: Some(address(&order.billing_address)),
        payment: Some(wire::OrderPayment {
            method: order.payment.method.clone(),
            brand: order.payment.brand.clone(),
            last4: order.payment.last4.clone(),
            payment_intent_id: order.payment.payment_intent_id.clone(),
        }),
        shipping: Some(wire::OrderShipping {
            method: method(&order.shipping_method).into(),
            carrier: order.shipment.carrier.clone(),
            tracking_number: order.shipment.tracking_number.clone(),
            estimated_delivery: order.shipment.estimated_delivery.map(timestamp),
            shipment_id: order.shipment.shipment_id.clone(),
        }),
        promo_code: order.promo_code.clone(),
        notes: order.notes.clone(),
        status_reason: order.status_reason.clone(),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
        paid_at: order.paid_at.map(timestamp),
    }
}

/// What the steps of the saga need of an order.
pub(crate) fn for_fulfilment(order: &Order, open: bool) -> wire::OrderForFulfilment {
    wire::OrderForFulfilment {
        order_id: order.order_id.clone(),
        order_number: order.order_number.clone(),
        user_id: order.user_id.clone(),
        status: order.status.into(),
        total: Some(order.totals.total.to_wire()),
        payment_method: order.payment_method.clone(),
        shipping_address: Some(address(&order.shipping_address)),
        shipping_method: method(&order.shipping_method).into(),
        items: items(order),
        email: order.email.clone(),
        open,
        created_at: Some(timestamp(order.created_at)),
    }
}

/// The message for an entry of a timeline.
pub(crate) fn event(entry: &Entry) -> wire::OrderEvent {
    wire::OrderEvent {
        event_id: entry.event_id.clone(),
        event_type: entry.event_type.clone(),
        timestamp: Some(timestamp(entry.at)),
        status: entry.status.into(),
        message: entry.message.clone(),
    }
}

/// The message for a saga.
pub(crate) fn saga(saga: &SagaView) -> wire::Saga {
    wire::Saga {
        order_id: saga.order_id.clone(),
        order_number: saga.order_number.clone(),
        step: saga.step.into(),
        deadline: saga.deadline.map(timestamp),
        order_status: saga.status.into(),
        stock_held: saga.facts.stock_held(),
        charged: saga.facts.charged(),
        shipment_planned: saga.facts.shipment_planned(),
        attempts: saga.attempts,
        last_error: saga.last_error.clone(),
        notes: saga
            .notes
            .iter()
            .map(|note| wire::SagaNote {
                at: Some(timestamp(note.at)),
                actor: note.actor.clone(),
                action: note.action.clone(),
                reason: note.reason.clone(),
            })
            .collect(),
        started_at: Some(timestamp(saga.started_at)),
        updated_at: Some(timestamp(saga.updated_at)),
    }
}
