//! Rows as messages.

use chrono::{DateTime, Utc};
use contracts::hub::shipping::v1 as proto;
use mesh::{Currency, Money};

use crate::{
    domain::{
        carriers::{Carrier, CarrierService},
        geography::ZONE_KM,
        rates::CURRENCY,
        status::Status,
    },
    store::{Scan, Shipment},
};

/// A time as a message.
pub fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// A status as a message's value.
pub fn status_to_proto(status: Status) -> proto::ShipmentStatus {
    match status {
        Status::LabelCreated => proto::ShipmentStatus::LabelCreated,
        Status::PickedUp => proto::ShipmentStatus::PickedUp,
        Status::InTransit => proto::ShipmentStatus::InTransit,
        Status::OutForDelivery => proto::ShipmentStatus::OutForDelivery,
        Status::Delivered => proto::ShipmentStatus::Delivered,
        Status::Exception => proto::ShipmentStatus::Exception,
        Status::Cancelled => proto::ShipmentStatus::Cancelled,
    }
}

/// A message's value as a status; `None` when none was said.
pub fn status_from_proto(status: proto::ShipmentStatus) -> Option<Status> {
    Status::ALL
        .into_iter()
        .find(|known| status_to_proto(*known) == status)
}

/// A shipment as a message.
pub fn shipment(shipment: &Shipment, scans: &[Scan]) -> proto::Shipment {
    proto::Shipment {
        shipment_id: shipment.shipment_id.clone(),
        order_id: shipment.order_id.clone(),
        order_number: shipment.order_number.clone(),
        user_id: shipment.user_id.clone(),
        carrier: shipment.carrier.clone(),
        service_level: shipment.service_level.clone(),
        tracking_number: shipment.tracking_number.clone(),
        status: status_to_proto(shipment.status).into(),
        origin_location: shipment.origin_location.clone(),
        destination: Some(shipment.destination.clone()),
        weight_grams: shipment.weight_grams,
        estimated_delivery: Some(timestamp(shipment.estimated_delivery)),
        actual_delivery: shipment.actual_delivery.map(timestamp),
        cost: Some(shipment.cost.to_wire()),
        events: scans.iter().map(scan).collect(),
        created_at: Some(timestamp(shipment.created_at)),
        updated_at: Some(timestamp(shipment.updated_at)),
        selection_reason: shipment.selection_reason.clone(),
    }
}

fn scan(scan: &Scan) -> proto::ShipmentEvent {
    proto::ShipmentEvent {
        event_id: scan.event_id.clone(),
        status: status_to_proto(scan.status).into(),
        location: scan.location.clone(),
        timestamp: Some(timestamp(scan.created_at)),
        description: scan.description.clone(),
    }
}

/// A carrier as a message, with the counts of its rate card.
pub fn carrier(carrier: &Carrier) -> proto::Carrier {
    proto::Carrier {
        carrier_id: carrier.carrier_id.clone(),
        name: carrier.name.clone(),
        services: carrier.services.iter().map(service).collect(),
        holidays: carrier.holidays.iter().map(ToString::to_string).collect(),
        time_zone: carrier.time_zone.name().to_owned(),
    }
}

fn service(service: &CarrierService) -> proto::CarrierService {
    let dollars = |minor| Some(money(minor, CURRENCY));
    proto::CarrierService {
        service_level: service.service_level.clone(),
        name: service.name.clone(),
        cutoff_hour: i32::try_from(service.cutoff_hour).unwrap_or(0),
        delivery_weekdays: service
            .delivery_weekdays
            .iter()
            .filter_map(|day| i32::try_from(*day).ok())
            .collect(),
        max_weight_grams: service.max_weight_grams,
        countries: service.countries.clone(),
        zones: service
            .zones
            .iter()
            .map(|rate| proto::RateZone {
                zone: rate.zone.into(),
                transit_days: i32::try_from(rate.transit_days).unwrap_or(0),
                base: dollars(rate.base_minor),
                per_kg: dollars(rate.per_kg_minor),
                distance_km: ZONE_KM[usize::from(rate.zone) - 1],
            })
            .collect(),
        fuel_surcharge_bp: i32::try_from(service.fuel_surcharge_bp).unwrap_or(0),
        residential_surcharge: dollars(service.residential_surcharge_minor),
        co2e_grams_per_tonne_km: service.co2e_grams_per_tonne_km,
        claims_per_10k: service.claims_per_10k,
        on_time_count: service.on_time_count,
        delivered_count: service.delivered_count,
    }
}

fn money(minor: i64, currency: Currency) -> contracts::hub::r#type::v1::Money {
    Money::new(minor, currency).to_wire()
}
