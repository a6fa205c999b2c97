//! The carriers that the shop works with.
//!
//! They are invented, and so are their prices; `data/carriers.json` has them. A carrier's rate card is
//! part of the program because a price must not change under an order that is being shipped.

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Zones of a rate card: eight inside the country and one abroad.
pub const ABROAD: u8 = 9;
const RATE_CARDS: &str = include_str!("../../data/carriers.json");

/// A carrier.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carrier {
    /// Short name.
    pub carrier_id: String,
    /// Name for people.
    pub name: String,
    /// Two letters that its tracking numbers begin with.
    pub tracking_prefix: String,
    /// Time zone of its cut-offs and deliveries.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: Tz,
    /// Dates on which it neither collects nor delivers, in order.
    pub holidays: Vec<NaiveDate>,
    /// What it offers.
    pub services: Vec<CarrierService>,
}

/// A service of a carrier.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierService {
    /// `ground`, `express` or `overnight`.
    pub service_level: String,
    /// Name for people.
    pub name: String,
    /// Up to this hour of the day, local time, it collects on the same day.
    pub cutoff_hour: u32,
    /// Weekdays on which it collects and delivers, 1 Monday to 7 Sunday.
    pub delivery_weekdays: Vec<u32>,
    /// Largest billable weight, in grams.
    pub max_weight_grams: i64,
    /// Countries it serves, ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// Fuel surcharge in basis points of the freight.
    pub fuel_surcharge_bp: u32,
    /// Surcharge for home addresses, in cents.
    pub residential_surcharge_minor: i64,
    /// Grams of CO2e per tonne and kilometre.
    pub co2e_grams_per_tonne_km: i64,
    /// Claims per 10,000 parcels.
    pub claims_per_10k: i32,
    /// Parcels delivered by their promise when the card was written.
    pub on_time_count: i64,
    /// Parcels delivered when the card was written.
    pub delivered_count: i64,
    /// Transit and price by zone, zone 1 first.
    pub zones: Vec<RateZone>,
}

/// Transit and price of a service to a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateZone {
    /// The zone, 1 to 9.
    pub zone: u8,
    /// Working days in transit.
    pub transit_days: u32,
    /// Price up to the first kilogram, in cents.
    pub base_minor: i64,
    /// Price of each further kilogram begun, in cents.
    pub per_kg_minor: i64,
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

/// All carriers.
#[derive(Clone, Debug)]
pub struct Carriers(Vec<Carrier>);

/// The rate cards cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RateCardError {
    /// They are not what they should be.
    #[error("the rate cards cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A service that never delivers, or zones out of order.
    #[error("the rate card of {carrier} {service} is not valid")]
    Invalid {
        /// The carrier.
        carrier: String,
        /// The service.
        service: String,
    },
}

impl Carriers {
    /// Reads the rate cards of the program.
    ///
    /// # Errors
    /// [`RateCardError`].
    pub fn load() -> Result<Self, RateCardError> {
        let carriers: Vec<Carrier> = serde_json::from_str(RATE_CARDS)?;
        for carrier in &carriers {
            for service in &carrier.services {
                if !service.is_valid() {
                    return Err(RateCardError::Invalid {
                        carrier: carrier.carrier_id.clone(),
                        service: service.service_level.clone(),
                    });
                }
            }
        }
        Ok(Self(carriers))
    }

    /// The carriers, in the order of the rate cards.
    pub fn all(&self) -> &[Carrier] {
        &self.0
    }

    /// A carrier's service by their short names.
    pub fn find(
        &self,
        carrier_id: &str,
        service_level: &str,
    ) -> Option<(&Carrier, &CarrierService)> {
        let carrier = self
            .0
            .iter()
            .find(|carrier| carrier.carrier_id == carrier_id)?;
        let service = carrier
            .services
            .iter()
            .find(|service| service.service_level == service_level)?;
        Some((carrier, service))
    }
}

impl CarrierService {
    /// The rate of a zone, if the service goes there.
    pub fn rate(&self, zone: u8) -> Option<&RateZone> {
        self.zones.iter().find(|rate| rate.zone == zone)
    }

    fn is_valid(&self) -> bool {
        let weekdays = !self.delivery_weekdays.is_empty()
            && self
                .delivery_weekdays
                .iter()
                .all(|day| (1..=7).contains(day));
        let zones = self
            .zones
            .iter()
            .zip(1..)
            .all(|(rate, zone)| rate.zone == zone && zone <= ABROAD && rate.transit_days > 0);
        weekdays && zones && self.cutoff_hour < 24
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_rate_cards_are_sound() {
        let carriers = Carriers::load().unwrap();
        assert_eq!(carriers.all().len(), 4);
        for carrier in carriers.all() {
            assert_eq!(carrier.tracking_prefix.len(), 2);
            assert!(carrier.holidays.is_sorted());
            for year in [2026, 2027] {
                let of_year = |day: &&NaiveDate| chrono::Datelike::year(*day) == year;
                assert!(carrier.holidays.iter().filter(of_year).count() >= 3);
            }
            for service in &carrier.services {
                assert!(service.zones.len() >= 8);
                assert!(service.on_time_count <= service.delivered_count);
                for pair in service.zones.windows(2) {
                    assert!(pair[0].base_minor < pair[1].base_minor);
                    assert!(pair[0].transit_days <= pair[1].transit_days);
                }
                let abroad = service.countries.iter().any(|country| country != "US");
                assert_eq!(abroad, service.rate(ABROAD).is_some());
            }
        }
        assert!(carriers.find("polar-post", "ground").is_some());
        assert!(carriers.find("polar-post", "overnight").is_none());
    }
}
