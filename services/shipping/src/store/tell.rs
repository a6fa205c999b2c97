//! Events about what was decided.

use chrono::{DateTime, Utc};
use contracts::hub::events::v1 as events;
use mesh::{
    args,
    events::{Data, Emission},
    store::{StoreError, Tx},
};

use super::write::{Moment, find};
use crate::wire::timestamp;

/// Tells again what was decided about an order, for the saga that missed it. A shipment that has left or
/// was cancelled is told of by its scans.
///
/// # Errors
/// A store's.
pub async fn retell(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    correlation_id: &str,
) -> Result<(), StoreError> {
    let row = tx
        .one(
            "SELECT shipment_id, reason FROM fulfilments WHERE order_id = $1",
            args![order_id],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let data = match row.get::<Option<String>>("shipment_id")? {
        Some(shipment_id) => match find(tx, &shipment_id).await? {
            Some(shipment) => scheduled(
                &shipment.order_id,
                &shipment_id,
                (&shipment.carrier, &shipment.service_level),
                &shipment.tracking_number,
                shipment.estimated_delivery,
            ),
            None => return Ok(()),
        },
        None => failed(order_id, row.get::<&str>("reason")?),
    };
    emit(tx, moment, order_id, correlation_id, data).await
}

pub(super) fn scheduled(
    order_id: &str,
    shipment_id: &str,
    (carrier, service_level): (&str, &str),
    tracking_number: &str,
    estimated_delivery: DateTime<Utc>,
) -> Data {
    Data::ShipmentScheduled(events::ShipmentScheduled {
        order_id: order_id.to_owned(),
        shipment_id: shipment_id.to_owned(),
        carrier: carrier.to_owned(),
        service_level: service_level.to_owned(),
        tracking_number: tracking_number.to_owned(),
        estimated_delivery: Some(timestamp(estimated_delivery)),
    })
}

pub(super) fn failed(order_id: &str, reason: &str) -> Data {
    Data::ShipmentFailed(events::ShipmentFailed {
        order_id: order_id.to_owned(),
        reason: reason.to_owned(),
    })
}

pub(super) async fn emit(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    correlation_id: &str,
    data: Data,
) -> Result<(), StoreError> {
    let emission = Emission::new(order_id, data);
    tx.emit(moment.cause.mark(emission, correlation_id)).await?;
    Ok(())
}
