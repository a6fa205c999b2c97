//! The carriers as the logistics agents reckon with them, read from shipping's answer on every call.
//!
//! The answer is a message: hours may be no hours, weekdays none, prices absent. What cannot be used is
//! set aside with a reason here, once, so that the algorithms work on sound values only.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::hub::shipping::v1::shipment_service_client::ShipmentServiceClient;
use contracts::hub::shipping::v1::{self as proto, ListCarriersRequest};
use mesh::{CallContext, Channel, Failure, Money, Rate};

use super::calendar::Calendar;

/// Name under which the agents call other services.
pub const CALLER: &str = "agents";
/// Services of carriers that are looked at, at most.
const MOST_SERVICES: usize = 1000;

/// Everything that can carry a parcel.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Services, in shipping's order.
    pub services: Vec<Service>,
    /// Services that cannot be used, each with the reason, for people.
    pub unusable: Vec<String>,
}

/// A carrier's service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Short name of the carrier.
    pub carrier_id: String,
    /// Short name of the service.
    pub level: String,
    /// Name of the service for people.
    pub name: String,
    /// Days on which it works.
    pub calendar: Calendar,
    /// Largest billable weight, in grams.
    pub max_weight_grams: i64,
    /// Countries it serves, ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// Fuel surcharge on the freight.
    pub fuel: Rate,
    /// Surcharge for home addresses.
    pub residential: Money,
    /// Grams of CO2e per tonne and kilometre.
    pub co2e_grams_per_tonne_km: i64,
    /// Claims per 10,000 parcels.
    pub claims_per_10k: i32,
    /// Parcels delivered by their promise, of those below.
    pub on_time: i64,
    /// Parcels delivered.
    pub delivered: i64,
    /// Rates by zone.
    pub zones: Vec<Zone>,
}

/// Transit and price of a service to a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone {
    /// Distance class, 1 to 9.
    pub zone: u8,
    /// Working days in transit, at least 1.
    pub transit_days: u32,
    /// Price up to the first kilogram.
    pub base: Money,
    /// Price of each further kilogram begun.
    pub per_kg: Money,
    /// Largest distance of the zone, in kilometres.
    pub distance_km: i32,
}

impl Network {
    /// Asks shipping, in the agents' own name: callers need not be staff to get an estimate.
    ///
    /// # Errors
    /// Shipping's.
    pub async fn ask(
        client: &ShipmentServiceClient<Channel>,
        ctx: &CallContext,
    ) -> Result<Self, Failure> {
        let request = ctx.as_service(CALLER).call(ListCarriersRequest {});
        let answer = client.clone().list_carriers(request).await?.into_inner();
        Ok(Self::of(&answer.items))
    }

    /// Reads shipping's answer.
    pub fn of(carriers: &[proto::Carrier]) -> Self {
        let mut network = Self::default();
        let offers = carriers
            .iter()
            .flat_map(|carrier| {
                carrier
                    .services
                    .iter()
                    .map(move |service| (carrier, service))
            })
            .take(MOST_SERVICES);
        for (carrier, service) in offers {
            match read(carrier, service) {
                Ok(service) => network.services.push(service),
                Err(reason) => network.unusable.push(format!(
                    "{} {}: {reason}",
                    carrier.carrier_id, service.service_level
                )),
            }
        }
        network
    }

    /// A carrier's service by their short names.
    pub fn find(&self, carrier_id: &str, level: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.carrier_id == carrier_id && service.level == level)
    }
}

impl Service {
    /// The rate of a zone, if the service goes there.
    pub fn rate(&self, zone: u8) -> Option<&Zone> {
        self.zones.iter().find(|rate| rate.zone == zone)
    }
}

fn read(carrier: &proto::Carrier, service: &proto::CarrierService) -> Result<Service, String> {
    let time_zone: Tz = carrier
        .time_zone
        .parse()
        .map_err(|_| format!("{:?} is no time zone", carrier.time_zone))?;
    let holidays = carrier
        .holidays
        .iter()
        .map(|day| {
            day.parse::<NaiveDate>()
                .map_err(|_| format!("{day:?} is no date"))
        })
        .collect::<Result<BTreeSet<_>, _>>()?;
    let cutoff_hour = u32::try_from(service.cutoff_hour)
        .ok()
        .filter(|hour| *hour < 24)
        .ok_or("its cut-off is no hour of the day")?;
    let calendar = Calendar::new(time_zone, holidays, &service.delivery_weekdays, cutoff_hour)
        .ok_or("it works on no day of the week")?;
    if service.delivered_count < 0
        || !(0..=service.delivered_count).contains(&service.on_time_count)
    {
        return Err("more parcels were on time than delivered".to_owned());
    }
    let money = |value, what: &str| {
        Money::from_wire(value, what).map_err(|_| format!("its {what} is no amount"))
    };
    let zones = service
        .zones
        .iter()
        .map(|zone| {
            Ok(Zone {
                zone: u8::try_from(zone.zone).map_err(|_| "a zone has no number")?,
                transit_days: u32::try_from(zone.transit_days)
                    .ok()
                    .filter(|days| (1..=60).contains(days))
                    .ok_or("a zone has no days in transit")?,
                base: money(zone.base.as_ref(), "base rate")?,
                per_kg: money(zone.per_kg.as_ref(), "rate per kilogram")?,
                distance_km: zone.distance_km.max(0),
            })
        })
        .collect::<Result<Vec<_>, String>>()?;
    Ok(Service {
        carrier_id: carrier.carrier_id.clone(),
        level: service.service_level.clone(),
        name: service.name.clone(),
        calendar,
        max_weight_grams: service.max_weight_grams,
        countries: service.countries.clone(),
        fuel: Rate::basis_points(u32::try_from(service.fuel_surcharge_bp).unwrap_or(0)),
        residential: money(
            service.residential_surcharge.as_ref(),
            "residential surcharge",
        )?,
        co2e_grams_per_tonne_km: service.co2e_grams_per_tonne_km.max(0),
        claims_per_10k: service.claims_per_10k.max(0),
        on_time: service.on_time_count,
        delivered: service.delivered_count,
        zones,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::fixture;

    #[test]
    fn sound_services_are_read_and_others_named() {
        let mut carriers = fixture::carriers();
        assert!(Network::of(&carriers).unusable.is_empty());
        carriers[0].services[0].delivery_weekdays.clear();
        carriers[1].services[0].on_time_count = i64::MAX;
        carriers[2].time_zone = "Nowhere/None".to_owned();
        let network = Network::of(&carriers);
        let first = format!(
            "{} {}",
            carriers[0].carrier_id, carriers[0].services[0].service_level
        );
        assert!(
            network.unusable[0].starts_with(&first),
            "{:?}",
            network.unusable
        );
        assert_eq!(network.unusable.len(), 2 + carriers[2].services.len());
        assert!(
            network
                .find(
                    &carriers[0].carrier_id,
                    &carriers[0].services[1].service_level
                )
                .is_some()
        );
    }
}
