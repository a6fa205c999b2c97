//! Records what events say about orders.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use mesh::{
    Clock,
    events::{Consumer, Data, Effect, Envelope, ReactError},
    store::Tx,
};

use super::facts::{self, Fact};
use crate::runtime::time::instant;

/// The consumer.
pub struct Recorder {
    /// The clock.
    pub clock: Clock,
}

#[async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        "agents.order-status"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[
            "OrderCreated",
            "OrderCancelled",
            "OrderCompleted",
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

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let at = instant(event.timestamp.as_ref());
        let Some((fact, owner)) = event.data.as_ref().and_then(|data| read(event, data, at)) else {
            return Ok(Effect::none());
        };
        let seen = self.clock.now();
        Ok(Effect::write(move |tx: Tx| async move {
            if let Some(owner) = owner {
                facts::own(&tx, &fact.order_id, &owner).await?;
            }
            facts::record(&tx, &fact, seen).await?;
            Ok(())
        }))
    }
}

/// The fact of an event, and the order's owner when the event names one.
fn read(event: &Envelope, data: &Data, at: DateTime<Utc>) -> Option<(Fact, Option<String>)> {
    let mut owner = None;
    let (order_id, status, message) = match data {
        Data::OrderCreated(created) => {
            owner = Some(created.user_id.clone());
            let message = format!("Order {} was placed.", created.order_number);
            (&created.order_id, "pending", message)
        }
        Data::OrderCancelled(cancelled) => {
            let message = match cancelled.reason.as_str() {
                "" => "The order was cancelled.".to_owned(),
                reason => format!("The order was cancelled: {reason}"),
            };
            (&cancelled.order_id, "cancelled", message)
        }
        Data::OrderCompleted(done) => (
            &done.order_id,
            "completed",
            "The order is complete.".to_owned(),
        ),
        Data::InventoryReserved(held) => (
            &held.order_id,
            "reserved",
            "All items are set aside.".to_owned(),
        ),
        Data::InventoryReservationFailed(failed) => {
            let message = format!("{} items are out of stock.", failed.failed_items.len());
            (&failed.order_id, "out_of_stock", message)
        }
        Data::InventoryReleased(released) => (
            &released.order_id,
            "",
            "The items are back on the shelf.".to_owned(),
        ),
        Data::PaymentProcessed(paid) => {
            (&paid.order_id, "paid", "Payment was received.".to_owned())
        }
        Data::PaymentFailed(failed) => (
            &failed.order_id,
            "payment_failed",
            format!("Payment failed: {}", failed.reason),
        ),
        Data::RefundProcessed(refund) => {
            let status = if refund.fully_refunded {
                "refunded"
            } else {
                ""
            };
            (&refund.order_id, status, "Money went back.".to_owned())
        }
        Data::ShipmentScheduled(planned) => {
            let message = format!(
                "{} will carry the parcel ({}).",
                planned.carrier, planned.tracking_number
            );
            (&planned.order_id, "processing", message)
        }
        Data::ShipmentFailed(failed) => (
            &failed.order_id,
            "",
            format!("No carrier could be found: {}", failed.reason),
        ),
        Data::ShipmentStatusUpdated(scan) => {
            let status = match scan.status.as_str() {
                "picked_up" | "in_transit" | "out_for_delivery" | "exception" => "shipped",
                _ => "",
            };
            let place = if scan.location.is_empty() {
                String::new()
            } else {
                format!(" in {}", scan.location)
            };
            (
                &scan.order_id,
                status,
                format!("The parcel is {}{place}.", scan.status.replace('_', " ")),
            )
        }
        Data::DeliveryCompleted(delivered) => (
            &delivered.order_id,
            "delivered",
            "The parcel has arrived.".to_owned(),
        ),
        _ => return None,
    };
    let fact = Fact {
        event_id: event.event_id.clone(),
        order_id: order_id.clone(),
        at,
        event_type: event.event_type.clone(),
        status: status.to_owned(),
        message,
    };
    Some((fact, owner))
}
