//! What orders react to: the steps of the saga telling what they did.
//!
//! One consumer hears all of them, so that the events of one order are folded one after the other.

use async_trait::async_trait;
use mesh::{
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::Tx,
};
use prost::Message;

use crate::{
    cause::Cause,
    domain::{
        order::{PaymentFacts, ShipmentFacts},
        saga::{Fact, Leg},
    },
    means::Means,
    measures::Tally,
    store::{HoldNews, News, Progress, advance},
    wire::time,
};

/// Orders moved on at the same time: those that wait for one commit share it.
const LANES: usize = 64;

/// Folds what other services tell into orders.
pub(crate) struct SagaEvents(pub(crate) Means);

#[async_trait]
impl Consumer for SagaEvents {
    fn name(&self) -> &'static str {
        "orders.saga"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[
            "InventoryReserved",
            "InventoryReservationFailed",
            "InventoryReleased",
            "PaymentProcessed",
            "PaymentFailed",
            "RefundProcessed",
            "ShipmentScheduled",
            "ShipmentFailed",
            "ShipmentStatusUpdated",
            "DeliveryCompleted",
        ]
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some((order_id, news)) = heard(event)? else {
            return Ok(Effect::none());
        };
        let moment = self.0.moment(Cause::event(event));
        let tally = Tally::of(event);
        Ok(Effect::write(move |tx: Tx| async move {
            match advance(&tx, &moment, &order_id, news).await? {
                Progress::Moved => tx.after_commit(move || tally.count()),
                Progress::Known => {}
                // Another shop's, or of a store that was restored from a backup: nothing to do here.
                Progress::NoSuchOrder => {
                    tracing::warn!(%order_id, "heard of an order that does not exist");
                }
            }
            Ok(())
        }))
    }
}

/// What an event tells about which order, if anything.
pub(crate) fn heard(event: &Envelope) -> Result<Option<(String, News)>, ReactError> {
    let news = |event_type: &'static str, fact: Option<Fact>, message: String| News {
        fact,
        event_type,
        event_id: Some(event.event_id.clone()),
        message,
        by: "system",
        ..News::default()
    };
    let (order_id, news) = match &event.data {
        Some(Data::InventoryReserved(held)) => {
            let mut told = news(
                "InventoryReserved",
                // A hold without an end is that of an order that is paid.
                Some(match held.expires_at {
                    Some(_) => Fact::Reserved,
                    None => Fact::HeldForGood,
                }),
                "All items are set aside.".to_owned(),
            );
            told.hold = Some(HoldNews {
                message: held.encode_to_vec(),
                expires_at: held.expires_at.as_ref().and_then(time),
            });
            (&held.order_id, told)
        }
        Some(Data::InventoryReservationFailed(failed)) => {
            let reason = shortage(&failed.failed_items);
            let mut told = news(
                "InventoryReservationFailed",
                Some(Fact::Refused),
                reason.clone(),
            );
            told.reason = reason;
            (&failed.order_id, told)
        }
        Some(Data::InventoryReleased(released)) if released.reason == "expired" => (
            &released.order_id,
            news(
                "InventoryReleased",
                Some(Fact::HoldExpired),
                "The items are no longer set aside.".to_owned(),
            ),
        ),
        Some(Data::InventoryReleased(released)) => (
            &released.order_id,
            news(
                "InventoryReleased",
                Some(Fact::Released),
                "The items are back on the shelf.".to_owned(),
            ),
        ),
        Some(Data::PaymentProcessed(payment)) => {
            let mut told = news(
                "PaymentProcessed",
                Some(Fact::Charged),
                "Payment was received.".to_owned(),
            );
            told.payment = Some(PaymentFacts {
                payment_id: payment.payment_id.clone(),
                payment_intent_id: payment.payment_intent_id.clone(),
                method: payment.method.clone(),
                brand: payment.brand.clone(),
                last4: payment.last4.clone(),
            });
            (&payment.order_id, told)
        }
        Some(Data::PaymentFailed(payment)) => {
            let reason = if payment.reason.is_empty() {
                "The payment was declined.".to_owned()
            } else {
                payment.reason.clone()
            };
            let mut told = news("PaymentFailed", Some(Fact::Declined), reason.clone());
            told.reason = reason;
            (&payment.order_id, told)
        }
        Some(Data::RefundProcessed(refund)) => {
            let total = mesh::Money::from_wire(refund.total_refunded.as_ref(), "total_refunded")
                .map_err(ReactError::reject)?;
            let message = if refund.fully_refunded {
                format!("Everything was paid back: {total}.")
            } else {
                format!("{total} were paid back so far.")
            };
            let fact = Fact::Refunded {
                total: total.minor,
                everything: refund.fully_refunded,
            };
            (
                &refund.order_id,
                news("RefundProcessed", Some(fact), message),
            )
        }
        Some(Data::ShipmentScheduled(shipment)) => {
            let mut told = news(
                "ShipmentScheduled",
                Some(Fact::ShipmentPlanned),
                format!("{} will carry the parcel.", shipment.carrier),
            );
            told.shipment = Some(ShipmentFacts {
                shipment_id: shipment.shipment_id.clone(),
                carrier: shipment.carrier.clone(),
                service_level: shipment.service_level.clone(),
                tracking_number: shipment.tracking_number.clone(),
                estimated_delivery: shipment.estimated_delivery.as_ref().and_then(time),
            });
            (&shipment.order_id, told)
        }
        Some(Data::ShipmentFailed(failed)) => {
            let mut told = news(
                "ShipmentFailed",
                Some(Fact::ShipmentImpossible),
                failed.reason.clone(),
            );
            told.reason = failed.reason.clone();
            (&failed.order_id, told)
        }
        Some(Data::ShipmentStatusUpdated(shipment)) => {
            let fact = match shipment.status.as_str() {
                "cancelled" => Some(Fact::ShipmentCancelled),
                status => Leg::of_scan(status)
                    .filter(|leg| *leg > Leg::Home)
                    .map(Fact::Seen),
            };
            let mut told = news(
                "ShipmentStatusUpdated",
                fact,
                scan(&shipment.status, &shipment.location),
            );
            told.reason = "The shipment was cancelled.".to_owned();
            (&shipment.order_id, told)
        }
        Some(Data::DeliveryCompleted(delivery)) => (
            &delivery.order_id,
            news(
                "DeliveryCompleted",
                Some(Fact::Seen(Leg::Delivered)),
                "The parcel arrived.".to_owned(),
            ),
        ),
        _ => return Ok(None),
    };
    if order_id.is_empty() {
        return Err(ReactError::reject("the event names no order"));
    }
    Ok(Some((order_id.clone(), news)))
}

fn shortage(items: &[contracts::hub::events::v1::FailedItem]) -> String {
    if items.is_empty() {
        return "The items cannot be set aside any more.".to_owned();
    }
    let lines: Vec<String> = items
        .iter()
        .take(10)
        .map(|item| {
            let name = if item.sku.is_empty() {
                &item.variant_id
            } else {
                &item.sku
            };
            format!(
                "{name} ({} wanted, {} left)",
                item.requested, item.available
            )
        })
        .collect();
    format!("Out of stock: {}.", lines.join(", "))
}

fn scan(status: &str, location: &str) -> String {
    let what = match status {
        "label_created" => "The label was printed",
        "picked_up" => "The carrier has the parcel",
        "in_transit" => "The parcel is on its way",
        "out_for_delivery" => "The parcel is out for delivery",
        "delivered" => "The parcel arrived",
        "exception" => "Something held the parcel up",
        "cancelled" => "The shipment was cancelled",
        _ => "The shipment was updated",
    };
    if location.is_empty() {
        format!("{what}.")
    } else {
        format!("{what} ({location}).")
    }
}
