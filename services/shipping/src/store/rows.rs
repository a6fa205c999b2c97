//! Rows as values.

use chrono::{DateTime, Utc};
use contracts::hub::r#type::v1::Address;
use mesh::{
    Money, args,
    store::{Row, Store, StoreError},
};
use serde_json::{Value, json};

use crate::domain::status::Status;

/// Scans of one shipment that are read: a shipment has a handful.
const MOST_SCANS: i64 = 500;

/// A shipment.
#[derive(Clone, Debug)]
pub struct Shipment {
    /// Id of the shipment.
    pub shipment_id: String,
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
    /// Where it is.
    pub status: Status,
    /// Where it was when an exception stopped it.
    pub interrupted_at: Option<Status>,
    /// Id of the location it leaves from.
    pub origin_location: String,
    /// Where it goes.
    pub destination: Address,
    /// Weight with packaging.
    pub weight_grams: i64,
    /// When it should arrive.
    pub estimated_delivery: DateTime<Utc>,
    /// When it arrived.
    pub actual_delivery: Option<DateTime<Utc>>,
    /// What the shop pays.
    pub cost: Money,
    /// Why this carrier, for people.
    pub selection_reason: String,
    /// The flow of events that it belongs to.
    pub correlation_id: String,
    /// When it was planned.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Something that happened to a shipment.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Id of the event.
    pub event_id: String,
    /// Status from then on.
    pub status: Status,
    /// Where, for people.
    pub location: String,
    /// What happened, for people.
    pub description: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Shipment {
    pub(super) const COLUMNS: &str = "shipment_id, order_id, order_number, user_id, carrier, \
        service_level, tracking_number, status, interrupted_at, origin_location, destination, \
        weight_grams, estimated_delivery, actual_delivery, cost_minor, currency, selection_reason, \
        correlation_id, created_at, updated_at";

    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let currency = row
            .get::<&str>("currency")?
            .parse()
            .map_err(|error| decode("currency", error))?;
        let interrupted_at = match row.get::<Option<String>>("interrupted_at")? {
            Some(text) => Some(
                text.parse()
                    .map_err(|error| decode("interrupted_at", error))?,
            ),
            None => None,
        };
        Ok(Self {
            shipment_id: row.get("shipment_id")?,
            order_id: row.get("order_id")?,
            order_number: row.get("order_number")?,
            user_id: row.get("user_id")?,
            carrier: row.get("carrier")?,
            service_level: row.get("service_level")?,
            tracking_number: row.get("tracking_number")?,
            status: status(row)?,
            interrupted_at,
            origin_location: row.get("origin_location")?,
            destination: address_from_json(&row.get::<Value>("destination")?),
            weight_grams: row.get("weight_grams")?,
            estimated_delivery: row.get("estimated_delivery")?,
            actual_delivery: row.get("actual_delivery")?,
            cost: Money::new(row.get("cost_minor")?, currency),
            selection_reason: row.get("selection_reason")?,
            correlation_id: row.get("correlation_id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

fn status(row: &Row) -> Result<Status, StoreError> {
    row.get::<&str>("status")?
        .parse()
        .map_err(|error| decode("status", error))
}

fn decode(column: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Decode {
        column: column.to_owned(),
        message: error.to_string(),
    }
}

/// The shipment with this id.
pub async fn by_id(store: &Store, shipment_id: &str) -> Result<Option<Shipment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM shipments WHERE shipment_id = $1",
        Shipment::COLUMNS
    );
    let row = store.one(&sql, args![shipment_id]).await?;
    row.as_ref().map(Shipment::read).transpose()
}

/// The shipment of an order.
pub async fn of_order(store: &Store, order_id: &str) -> Result<Option<Shipment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM shipments WHERE order_id = $1",
        Shipment::COLUMNS
    );
    let row = store.one(&sql, args![order_id]).await?;
    row.as_ref().map(Shipment::read).transpose()
}

/// Whether it is decided what becomes of an order: it is scheduled, or must not travel.
pub async fn was_decided(store: &Store, order_id: &str) -> Result<bool, StoreError> {
    let row = store
        .one(
            "SELECT 1 FROM fulfilments WHERE order_id = $1",
            args![order_id],
        )
        .await?;
    Ok(row.is_some())
}

/// What happened to a shipment, oldest first.
pub async fn scans_of(store: &Store, shipment_id: &str) -> Result<Vec<Scan>, StoreError> {
    let rows = store
        .all(
            "SELECT event_id, status, location, description, created_at FROM shipment_events \
             WHERE shipment_id = $1 ORDER BY event_id LIMIT $2",
            args![shipment_id, MOST_SCANS],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Scan {
                event_id: row.get("event_id")?,
                status: status(row)?,
                location: row.get("location")?,
                description: row.get("description")?,
                created_at: row.get("created_at")?,
            })
        })
        .collect()
}

/// An address as it is stored.
pub(super) fn address_to_json(address: &Address) -> Value {
    json!({
        "name": address.name, "line1": address.line1, "line2": address.line2, "city": address.city,
        "state": address.state, "postal_code": address.postal_code, "country": address.country,
        "phone": address.phone,
    })
}

fn address_from_json(json: &Value) -> Address {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Address {
        name: text("name"),
        line1: text("line1"),
        line2: text("line2"),
        city: text("city"),
        state: text("state"),
        postal_code: text("postal_code"),
        country: text("country"),
        phone: text("phone"),
    }
}
