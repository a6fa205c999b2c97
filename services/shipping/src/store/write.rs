//! Changes of shipments, each with the events that tell of it.

use chrono::{DateTime, Utc};
use contracts::hub::{events::v1 as events, r#type::v1::Address};
use mesh::{
    Ids, Money, args,
    events::Data,
    store::{StoreError, Tx},
};
use uuid::Uuid;

use super::{
    rows::{Shipment, address_to_json},
    tell::{emit, failed, scheduled},
};
use crate::{cause::Cause, domain::status::Status, wire::timestamp};

/// When and why something is written.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub now: DateTime<Utc>,
    /// Source of the ids of new rows.
    pub ids: Ids,
    /// What brought it about.
    pub cause: Cause,
}

/// A shipment to be planned.
#[derive(Clone, Debug)]
pub struct NewShipment {
    /// Id of the shipment.
    pub shipment_id: Uuid,
    /// Id of the order.
    pub order_id: String,
    /// Human number of the order.
    pub order_number: String,
    /// Who ordered.
    pub user_id: String,
    /// Carrier.
    pub carrier: String,
    /// Service of the carrier.
    pub service_level: String,
    /// The carrier's tracking number.
    pub tracking_number: String,
    /// Id of the location it leaves from.
    pub origin_location: String,
    /// The location, for people.
    pub origin_place: String,
    /// Where it goes.
    pub destination: Address,
    /// Weight with packaging.
    pub weight_grams: i64,
    /// When it should arrive.
    pub estimated_delivery: DateTime<Utc>,
    /// What the shop pays.
    pub cost: Money,
    /// Why this carrier, for people.
    pub selection_reason: String,
    /// The flow of events that it belongs to.
    pub correlation_id: String,
}

/// What became of a scan.
#[derive(Clone, Debug)]
pub enum Scanned {
    /// The shipment moved.
    Moved(Shipment),
    /// It was there already.
    Same(Shipment),
}

/// Why a scan was not noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanRefused {
    /// There is no such shipment.
    Unknown,
    /// The status does not follow.
    Illegal {
        /// Where the shipment is.
        from: Status,
        /// What may follow.
        allowed: Vec<Status>,
    },
}

/// Decides an order's fate, once: the shipment it gets, or why it gets none. False when it was decided before.
async fn decide(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    fate: Result<Uuid, &str>,
) -> Result<bool, StoreError> {
    let fresh = tx
        .execute(
            "INSERT INTO fulfilments (order_id, shipment_id, closed, reason, updated_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (order_id) DO NOTHING",
            args![
                order_id,
                fate.ok(),
                fate.is_err(),
                fate.err().unwrap_or(""),
                moment.now
            ],
        )
        .await?;
    Ok(fresh == 1)
}

/// Plans the shipment of an order and tells of it, unless the order's fate was decided before.
///
/// # Errors
/// A store's.
pub async fn schedule(tx: &Tx, moment: &Moment, new: &NewShipment) -> Result<bool, StoreError> {
    if !decide(tx, moment, &new.order_id, Ok(new.shipment_id)).await? {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO shipments (shipment_id, order_id, order_number, user_id, carrier, service_level, \
         tracking_number, status, origin_location, destination, weight_grams, estimated_delivery, \
         cost_minor, currency, selection_reason, correlation_id, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)",
        args![
            new.shipment_id,
            &new.order_id,
            &new.order_number,
            &new.user_id,
            &new.carrier,
            &new.service_level,
            &new.tracking_number,
            Status::LabelCreated.as_str(),
            &new.origin_location,
            address_to_json(&new.destination),
            new.weight_grams,
            new.estimated_delivery,
            new.cost.minor,
            new.cost.currency.to_string(),
            &new.selection_reason,
            &new.correlation_id,
            moment.now,
        ],
    )
    .await?;
    let shipment_id = new.shipment_id.to_string();
    let description = format!("Label created with {} {}", new.carrier, new.service_level);
    note(
        tx,
        moment,
        &shipment_id,
        Status::LabelCreated,
        &new.origin_place,
        &description,
    )
    .await?;
    let data = scheduled(
        &new.order_id,
        &shipment_id,
        (&new.carrier, &new.service_level),
        &new.tracking_number,
        new.estimated_delivery,
    );
    emit(tx, moment, &new.order_id, &new.correlation_id, data).await?;
    Ok(true)
}

/// Records that nobody can take an order, and tells of it, unless its fate was decided before.
///
/// # Errors
/// A store's.
pub async fn fail(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    correlation_id: &str,
    reason: &str,
) -> Result<bool, StoreError> {
    if !decide(tx, moment, order_id, Err(reason)).await? {
        return Ok(false);
    }
    let data = failed(order_id, reason);
    emit(tx, moment, order_id, correlation_id, data).await?;
    Ok(true)
}

/// Records that an order must not travel: a later schedule is refused, and a shipment that the carrier
/// does not have yet is cancelled. Gives the shipment that is under way all the same.
///
/// # Errors
/// A store's.
pub async fn close(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    reason: &str,
) -> Result<Option<Shipment>, StoreError> {
    let row = tx
        .one(
            "INSERT INTO fulfilments (order_id, closed, reason, updated_at) VALUES ($1, TRUE, $2, $3) \
             ON CONFLICT (order_id) DO UPDATE SET closed = TRUE, updated_at = excluded.updated_at \
             RETURNING shipment_id",
            args![order_id, reason, moment.now],
        )
        .await?;
    let shipment_id = row.map_or(Ok(None), |row| row.get::<Option<String>>("shipment_id"))?;
    let Some(shipment_id) = shipment_id else {
        return Ok(None);
    };
    match scan(tx, moment, &shipment_id, Status::Cancelled, "", reason).await? {
        Ok(_) => Ok(None),
        Err(_) => find(tx, &shipment_id).await,
    }
}

pub(super) async fn find(tx: &Tx, shipment_id: &str) -> Result<Option<Shipment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM shipments WHERE shipment_id = $1",
        Shipment::COLUMNS
    );
    let row = tx.one(&sql, args![shipment_id]).await?;
    row.as_ref().map(Shipment::read).transpose()
}

/// Notes where a shipment is now, and tells of it. The status that it has already changes nothing.
///
/// # Errors
/// A store's.
pub async fn scan(
    tx: &Tx,
    moment: &Moment,
    shipment_id: &str,
    to: Status,
    location: &str,
    notes: &str,
) -> Result<Result<Scanned, ScanRefused>, StoreError> {
    let Some(before) = find(tx, shipment_id).await? else {
        return Ok(Err(ScanRefused::Unknown));
    };
    if before.status == to {
        return Ok(Ok(Scanned::Same(before)));
    }
    let allowed = before.status.next(before.interrupted_at);
    if !allowed.contains(&to) {
        let from = before.status;
        return Ok(Err(ScanRefused::Illegal { from, allowed }));
    }
    let interrupted_at = (to == Status::Exception).then_some(before.status);
    let delivered_at = (to == Status::Delivered).then_some(moment.now);
    let sql = format!(
        "UPDATE shipments SET status = $2, interrupted_at = $3, actual_delivery = $4, \
         version = version + 1, updated_at = $5 WHERE shipment_id = $1 AND status = $6 RETURNING {}",
        Shipment::COLUMNS
    );
    let row = tx
        .one(
            &sql,
            args![
                shipment_id,
                to.as_str(),
                interrupted_at.map(Status::as_str),
                delivered_at,
                moment.now,
                before.status.as_str(),
            ],
        )
        .await?
        .ok_or_else(|| StoreError::Unavailable {
            message: "the shipment moved meanwhile".to_owned(),
        })?;
    let shipment = Shipment::read(&row)?;
    note(tx, moment, shipment_id, to, location, notes).await?;
    let data = Data::ShipmentStatusUpdated(events::ShipmentStatusUpdated {
        shipment_id: shipment_id.to_owned(),
        order_id: shipment.order_id.clone(),
        status: to.as_str().to_owned(),
        previous_status: before.status.as_str().to_owned(),
        location: location.to_owned(),
        notes: notes.to_owned(),
    });
    emit(
        tx,
        moment,
        &shipment.order_id,
        &shipment.correlation_id,
        data,
    )
    .await?;
    if to == Status::Delivered {
        delivered(tx, moment, &shipment).await?;
    }
    Ok(Ok(Scanned::Moved(shipment)))
}

/// Counts a delivery for its carrier and tells of it.
async fn delivered(tx: &Tx, moment: &Moment, shipment: &Shipment) -> Result<(), StoreError> {
    let on_time = moment.now <= shipment.estimated_delivery;
    tx.execute(
        "INSERT INTO carrier_records (carrier, service_level, on_time, delivered) \
         VALUES ($1, $2, $3, 1) ON CONFLICT (carrier, service_level) DO UPDATE SET \
         on_time = carrier_records.on_time + excluded.on_time, \
         delivered = carrier_records.delivered + 1",
        args![
            &shipment.carrier,
            &shipment.service_level,
            i64::from(on_time)
        ],
    )
    .await?;
    let data = Data::DeliveryCompleted(events::DeliveryCompleted {
        shipment_id: shipment.shipment_id.clone(),
        order_id: shipment.order_id.clone(),
        delivered_at: Some(timestamp(moment.now)),
    });
    emit(
        tx,
        moment,
        &shipment.order_id,
        &shipment.correlation_id,
        data,
    )
    .await
}

async fn note(
    tx: &Tx,
    moment: &Moment,
    shipment_id: &str,
    status: Status,
    location: &str,
    description: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO shipment_events (event_id, shipment_id, status, location, description, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            moment.ids.uuid(),
            shipment_id,
            status.as_str(),
            location,
            description,
            moment.now
        ],
    )
    .await?;
    Ok(())
}
