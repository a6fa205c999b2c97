//! Between the tables' rows and the contract's messages.

use chrono::{DateTime, Utc};
use contracts::hub::inventory::v1 as wire;

use crate::{
    domain::hold::HoldStatus,
    store::{Reservation, Shortage, VariantStock},
};

/// The message for a time.
pub(crate) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        // Below a billion by construction.
        nanos: at.timestamp_subsec_nanos() as i32,
    }
}

/// The message for a variant's stock.
pub(crate) fn variant(stock: &VariantStock) -> wire::VariantInventory {
    wire::VariantInventory {
        variant_id: stock.variant_id.clone(),
        sku: stock.sku.clone(),
        available: stock.on_hand - stock.held,
        reserved: stock.held,
        locations: stock
            .shelves
            .iter()
            .map(|shelf| wire::LocationStock {
                location_id: shelf.location_id.clone(),
                available: shelf.on_hand - shelf.held,
                reserved: shelf.held,
            })
            .collect(),
    }
}

/// The message for a row of the ledger.
pub(crate) fn record(reservation: &Reservation) -> wire::ReservationRecord {
    let status = match reservation.status {
        HoldStatus::Held => wire::ReservationStatus::Held,
        HoldStatus::Committed => wire::ReservationStatus::Committed,
        HoldStatus::Consumed => wire::ReservationStatus::Consumed,
        HoldStatus::Released => wire::ReservationStatus::Released,
        // A hold that expired and could not be taken again is `failed`; its units expired.
        HoldStatus::Expired | HoldStatus::Failed => wire::ReservationStatus::Expired,
        HoldStatus::Awaiting => wire::ReservationStatus::Unspecified,
    };
    wire::ReservationRecord {
        reservation_id: reservation.reservation_id.clone(),
        order_id: reservation.order_id.clone(),
        variant_id: reservation.variant_id.clone(),
        sku: reservation.sku.clone(),
        location_id: reservation.location_id.clone(),
        quantity: reservation.quantity,
        status: status.into(),
        expires_at: reservation.expires_at.map(timestamp),
        created_at: Some(timestamp(reservation.created_at)),
    }
}

/// The message for a line that fell short.
pub(crate) fn short(shortage: &Shortage) -> wire::ShortLine {
    wire::ShortLine {
        variant_id: shortage.variant_id.clone(),
        sku: shortage.sku.clone(),
        requested: shortage.requested,
        available: shortage.available,
    }
}
