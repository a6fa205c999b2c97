//! What other services hear about a hold.

use chrono::{DateTime, Utc};
use contracts::hub::events::v1 as events;
use mesh::{
    events::{Data, Emission},
    store::{StoreError, Tx},
};

use super::{
    terms::{Moment, Outcome},
    views::Reservation,
};
use crate::wire::timestamp;

/// How a reservation ended.
pub(super) async fn outcome(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    ended: &Outcome,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let data = match ended {
        Outcome::Held { reservations } => Data::InventoryReserved(events::InventoryReserved {
            order_id: order_id.to_owned(),
            reservations: reservations.iter().map(told).collect(),
            expires_at: expires_at.map(timestamp),
        }),
        Outcome::Refused { shortages } => {
            Data::InventoryReservationFailed(events::InventoryReservationFailed {
                order_id: order_id.to_owned(),
                failed_items: shortages
                    .iter()
                    .map(|shortage| events::FailedItem {
                        variant_id: shortage.variant_id.clone(),
                        sku: shortage.sku.clone(),
                        requested: shortage.requested,
                        available: shortage.available,
                    })
                    .collect(),
            })
        }
    };
    tx.emit(moment.cause.mark(Emission::new(order_id, data), order_id))
        .await
        .map(drop)
}

/// What an order held is free again.
pub(super) async fn released(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    freed: &[Reservation],
    reason: &str,
) -> Result<(), StoreError> {
    let data = Data::InventoryReleased(events::InventoryReleased {
        order_id: order_id.to_owned(),
        reservations: freed.iter().map(told).collect(),
        reason: reason.to_owned(),
    });
    tx.emit(moment.cause.mark(Emission::new(order_id, data), order_id))
        .await
        .map(drop)
}

fn told(reservation: &Reservation) -> events::Reservation {
    events::Reservation {
        reservation_id: reservation.reservation_id.clone(),
        variant_id: reservation.variant_id.clone(),
        sku: reservation.sku.clone(),
        location_id: reservation.location_id.clone(),
        quantity: reservation.quantity,
    }
}
