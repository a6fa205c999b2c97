//! What a carrier's service would do with a parcel, and the plain rule for choosing one.
//!
//! The choice is the carrier-selection agent's, which weighs more than the price. This rule is what
//! remains when the agent cannot be asked: the cheapest service that keeps what the customer paid for.

use std::fmt;

use chrono::{DateTime, Utc};
use mesh::Money;

use super::{
    calendar::promise,
    carriers::{Carrier, CarrierService, Carriers},
    geography::{self, Destination, Origin},
    rates::{billable_weight, price},
};

/// How fast the customer paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whenever it comes.
    Standard,
    /// A few days.
    Express,
    /// The next working day.
    Overnight,
}

impl Method {
    /// Most working days in transit that keep what was paid for.
    pub const fn most_transit_days(self) -> u32 {
        match self {
            Self::Standard => u32::MAX,
            Self::Express => 3,
            Self::Overnight => 1,
        }
    }

    /// Name, as customers and agents know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Express => "express",
            Self::Overnight => "overnight",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A parcel to be sent.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    /// Where it leaves from.
    pub origin: &'static Origin,
    /// Country of the destination.
    pub country: &'a str,
    /// The destination on our map.
    pub destination: Destination,
    /// Weight with packaging, in grams.
    pub weight_grams: i64,
    /// Volume in cubic centimetres; 0 when unknown.
    pub volume_cm3: i64,
    /// When it is ready to be collected.
    pub ready: DateTime<Utc>,
}

/// What a service would do with a parcel.
#[derive(Clone, Debug)]
pub struct Quote<'a> {
    /// The carrier.
    pub carrier: &'a Carrier,
    /// The service.
    pub service: &'a CarrierService,
    /// What the shop pays.
    pub cost: Money,
    /// When the parcel should arrive.
    pub estimated_delivery: DateTime<Utc>,
    /// Working days in transit.
    pub transit_days: u32,
}

/// What a service would do with a parcel; `None` when it does not take it.
pub fn quote<'a>(
    carrier: &'a Carrier,
    service: &'a CarrierService,
    parcel: &Parcel<'_>,
) -> Option<Quote<'a>> {
    if !service
        .countries
        .iter()
        .any(|country| country == parcel.country)
    {
        return None;
    }
    let grams = billable_weight(parcel.weight_grams, parcel.volume_cm3);
    if grams > service.max_weight_grams {
        return None;
    }
    let rate = service.rate(geography::zone(parcel.origin, parcel.destination))?;
    Some(Quote {
        carrier,
        service,
        cost: price(service, rate, grams).ok()?,
        estimated_delivery: promise(carrier, service, parcel.ready, rate.transit_days)?,
        transit_days: rate.transit_days,
    })
}

/// The cheapest service that is fast enough. When none is (no overnight to an island), the fastest there
/// is: a late parcel is better than a cancelled order. `None` when nobody takes the parcel.
pub fn cheapest<'a>(
    carriers: &'a Carriers,
    parcel: &Parcel<'_>,
    method: Method,
) -> Option<Quote<'a>> {
    let quotes: Vec<Quote<'a>> = carriers
        .all()
        .iter()
        .flat_map(|carrier| {
            carrier
                .services
                .iter()
                .map(move |service| (carrier, service))
        })
        .filter_map(|(carrier, service)| quote(carrier, service, parcel))
        .collect();
    let in_time = quotes
        .iter()
        .filter(|quote| quote.transit_days <= method.most_transit_days())
        .min_by_key(|quote| (quote.cost.minor, quote.estimated_delivery));
    let fastest = || {
        quotes
            .iter()
            .min_by_key(|quote| (quote.estimated_delivery, quote.cost.minor))
    };
    in_time.or_else(fastest).cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::domain::geography::nearest;

    fn parcel(country: &'static str, state: &str, zip: &str, grams: i64) -> Parcel<'static> {
        let destination = Destination::of(country, state, zip);
        Parcel {
            origin: nearest(destination),
            country,
            destination,
            weight_grams: grams,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        }
    }

    fn chosen(parcel: &Parcel<'_>, method: Method) -> Option<(String, String, String)> {
        let carriers = Carriers::load().unwrap();
        let quote = cheapest(&carriers, parcel, method)?;
        Some((
            quote.carrier.carrier_id.clone(),
            quote.service.service_level.clone(),
            quote.cost.to_string(),
        ))
    }

    fn is(carrier: &str, service: &str, cost: &str) -> Option<(String, String, String)> {
        Some((carrier.into(), service.into(), cost.into()))
    }

    #[test]
    fn golden_choices() {
        let new_york = parcel("US", "NY", "10001", 800);
        assert_eq!(
            chosen(&new_york, Method::Standard),
            is("polar-post", "ground", "8.48 USD")
        );
        // Ground is fast enough next door.
        assert_eq!(
            chosen(&new_york, Method::Express),
            is("polar-post", "ground", "8.48 USD")
        );
        assert_eq!(
            chosen(&new_york, Method::Overnight),
            is("sleigh-courier", "express", "24.30 USD")
        );
        // Too heavy for all but freight.
        let heavy = parcel("US", "IL", "60601", 120_000);
        assert_eq!(
            chosen(&heavy, Method::Standard).unwrap().0,
            "northline-freight"
        );
        // Nobody goes overnight to Hawaii: the fastest does its best.
        let hawaii = parcel("US", "HI", "96813", 800);
        assert_eq!(chosen(&hawaii, Method::Overnight).unwrap().1, "overnight");
        assert_eq!(
            chosen(&parcel("BR", "", "01000", 800), Method::Standard),
            None
        );
        assert_eq!(
            chosen(&parcel("DE", "", "10115", 800), Method::Standard)
                .unwrap()
                .0,
            "polar-post"
        );
        assert_eq!(
            chosen(&parcel("US", "NY", "10001", 3_000_000), Method::Standard),
            None
        );
    }

    proptest! {
        #[test]
        fn the_choice_is_feasible_and_nothing_in_time_is_cheaper(
            zip in "[0-9]{5}", grams in 1_i64..80_000, hours in 0_i64..10_000,
        ) {
            let mut parcel = parcel("US", "", &zip, grams);
            parcel.ready += chrono::TimeDelta::hours(hours);
            let carriers = Carriers::load().unwrap();
            for method in [Method::Standard, Method::Express, Method::Overnight] {
                let best = cheapest(&carriers, &parcel, method).unwrap();
                prop_assert!(best.service.max_weight_grams >= grams);
                prop_assert!(best.estimated_delivery > parcel.ready);
                for carrier in carriers.all() {
                    for service in &carrier.services {
                        let Some(other) = quote(carrier, service, &parcel) else { continue };
                        if other.transit_days <= method.most_transit_days() {
                            prop_assert!(other.cost.minor >= best.cost.minor);
                        }
                    }
                }
            }
        }
    }
}
