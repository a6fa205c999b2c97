//! What each service would do with a parcel, or why it cannot take it.

use chrono::{DateTime, Utc};
use mesh::{Money, MoneyError};

use super::beta::vouched_for;
use crate::logistics::{
    map::{self, Origin, Place},
    network::{Network, Service, Zone},
};

/// Cubic centimetres that are billed as a kilogram.
const CM3_PER_KG: i64 = 5000;
const GRAMS_PER_KG: i64 = 1000;

/// A parcel to be sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where it leaves from.
    pub origin: &'static Origin,
    /// Country of the destination, ISO 3166-1 alpha-2 in upper case.
    pub country: String,
    /// The destination on the map.
    pub place: Place,
    /// Weight with packaging, in grams.
    pub weight_grams: i64,
    /// Volume in cubic centimetres; 0 when unknown.
    pub volume_cm3: i64,
    /// When it can be collected.
    pub ready: DateTime<Utc>,
}

/// What a service would do with a parcel.
#[derive(Clone, Debug)]
pub struct Quote<'a> {
    /// The service.
    pub service: &'a Service,
    /// What the shop pays.
    pub cost: Money,
    /// When the parcel should arrive, by the service's calendar.
    pub estimated_delivery: DateTime<Utc>,
    /// Working days in transit.
    pub transit_days: u32,
    /// Lower bound of the probability to be on time.
    pub on_time: f64,
    /// Grams of CO2e.
    pub co2e_grams: i64,
}

impl Parcel {
    /// The weight that is billed, in grams: the actual or the dimensional one, whichever is more.
    pub fn billable_grams(&self) -> i64 {
        let dimensional = self.volume_cm3.saturating_mul(GRAMS_PER_KG) / CM3_PER_KG;
        self.weight_grams.max(dimensional).max(1)
    }
}

/// Quotes of all services that can take the parcel, and for the others the reason, for people.
pub fn quotes<'a>(network: &'a Network, parcel: &Parcel) -> (Vec<Quote<'a>>, Vec<String>) {
    let mut rejected = network.unusable.clone();
    let mut quotes: Vec<Quote<'a>> = Vec::new();
    for service in &network.services {
        let quote = quote(service, parcel).and_then(|quote| match quotes.first() {
            // Costs in two currencies cannot be compared.
            Some(first) if first.cost.currency != quote.cost.currency => {
                Err(format!("it is priced in {}", quote.cost.currency))
            }
            _ => Ok(quote),
        });
        match quote {
            Ok(quote) => quotes.push(quote),
            Err(reason) => rejected.push(format!(
                "{} {}: {reason}",
                service.carrier_id, service.level
            )),
        }
    }
    (quotes, rejected)
}

/// What a service would do with a parcel.
///
/// # Errors
/// Why it cannot take it, for people.
pub fn quote<'a>(service: &'a Service, parcel: &Parcel) -> Result<Quote<'a>, String> {
    if !service.countries.contains(&parcel.country) {
        return Err(format!("it does not go to {}", parcel.country));
    }
    let grams = parcel.billable_grams();
    if grams > service.max_weight_grams {
        return Err(format!(
            "it takes at most {} g, and {grams} g are billed",
            service.max_weight_grams
        ));
    }
    let mut limits = [0_i32; 9];
    for rate in &service.zones {
        if let Some(limit) = usize::from(rate.zone)
            .checked_sub(1)
            .and_then(|index| limits.get_mut(index))
        {
            *limit = rate.distance_km;
        }
    }
    let zone = map::zone(parcel.origin, parcel.place, &limits);
    let rate = service
        .rate(zone)
        .ok_or_else(|| format!("it has no rate for zone {zone}"))?;
    Ok(Quote {
        service,
        cost: cost(service, rate, grams).map_err(|_| "its price cannot be computed".to_owned())?,
        estimated_delivery: service
            .calendar
            .promise(parcel.ready, rate.transit_days)
            .ok_or("its calendar has no working days ahead")?,
        transit_days: rate.transit_days,
        on_time: vouched_for(service.on_time, service.delivered),
        co2e_grams: co2e_grams(
            parcel.weight_grams,
            rate.distance_km,
            service.co2e_grams_per_tonne_km,
        ),
    })
}

/// Freight by zone and kilograms begun, fuel on the freight, and the surcharge for home addresses.
fn cost(service: &Service, rate: &Zone, grams: i64) -> Result<Money, MoneyError> {
    let kilograms = grams.saturating_add(GRAMS_PER_KG - 1) / GRAMS_PER_KG;
    let freight = rate.base.checked_add(rate.per_kg.times(kilograms - 1)?)?;
    let fuel = freight.at(service.fuel)?;
    freight.checked_add(fuel)?.checked_add(service.residential)
}

/// Weight by distance by the service's factor (the form of the GLEC Framework, Smart Freight Centre),
/// in grams, rounded up.
fn co2e_grams(grams: i64, km: i32, grams_per_tonne_km: i64) -> i64 {
    const GRAMS_PER_TONNE: i128 = 1_000_000;
    let product = i128::from(grams) * i128::from(km) * i128::from(grams_per_tonne_km);
    i64::try_from((product + GRAMS_PER_TONNE - 1) / GRAMS_PER_TONNE).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::fixture;

    fn parcel(country: &str, zip: &str, grams: i64) -> Parcel {
        let place = Place::of(country, "", zip);
        Parcel {
            origin: map::nearest(place),
            country: country.to_owned(),
            place,
            weight_grams: grams,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn golden_quotes() {
        let network = Network::of(&fixture::carriers());
        let alpha = network.find("alpha", "ground").unwrap();
        // Zone 2: 10.00, 10 % fuel, 2.00.
        let light = quote(alpha, &parcel("US", "10001", 800)).unwrap();
        assert_eq!(
            (light.cost.to_string(), light.transit_days),
            ("13.00 USD".to_owned(), 2)
        );
        assert_eq!(
            light.estimated_delivery.to_rfc3339(),
            "2026-11-26T03:00:00+00:00"
        );
        // 0.8 kg by 240 km at 90 g per tonne and km: 17.28 g, rounded up.
        assert_eq!(light.co2e_grams, 18);
        // Two more kilograms begun at 0.70: 11.40, fuel 1.14.
        let heavier = quote(alpha, &parcel("US", "10001", 2001)).unwrap();
        assert_eq!(heavier.cost.to_string(), "14.54 USD");
        // The volume is billed when it stands for more.
        let bulky = Parcel {
            volume_cm3: 10_005,
            ..parcel("US", "10001", 800)
        };
        assert_eq!(bulky.billable_grams(), 2001);
        assert_eq!(quote(alpha, &bulky).unwrap().cost, heavier.cost);
        assert_eq!(
            quote(alpha, &parcel("CA", "M5V 2T6", 800))
                .unwrap()
                .transit_days,
            9
        );
    }

    #[test]
    fn reasons() {
        let network = Network::of(&fixture::carriers());
        let (taking, rejected) = quotes(&network, &parcel("CA", "M5V 2T6", 70_000));
        assert!(taking.is_empty());
        assert!(
            rejected.contains(&"alpha express: it does not go to CA".to_owned()),
            "{rejected:?}"
        );
        assert!(rejected.contains(
            &"alpha ground: it takes at most 60000 g, and 70000 g are billed".to_owned()
        ));
        let (taking, rejected) = quotes(&network, &parcel("US", "60601", 70_000));
        assert_eq!(
            (taking.len(), rejected.len()),
            (1, network.services.len() - 1)
        );
    }
}
