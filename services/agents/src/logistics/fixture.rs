//! Carriers for tests: few, round, and each best in something.

use contracts::hub::shipping::v1::{Carrier, CarrierService, RateZone};
use mesh::{Currency, Money};

fn dollars(minor: i64) -> Option<contracts::hub::r#type::v1::Money> {
    Some(Money::new(minor, Currency::USD).to_wire())
}

/// What sets a service apart.
struct Offer {
    level: &'static str,
    name: &'static str,
    weekdays: &'static [i32],
    base: i64,
    days: [i32; 8],
    co2e: i64,
    claims: i32,
    late_per_1000: i64,
    most_grams: i64,
    countries: &'static [&'static str],
}

fn service(offer: &Offer) -> CarrierService {
    let limits = [80, 240, 480, 965, 1610, 2250, 2900, 4500];
    let mut zones: Vec<RateZone> = (1..)
        .zip(offer.days)
        .zip(limits)
        .map(|((zone, transit_days), distance_km)| RateZone {
            zone,
            transit_days,
            base: dollars(offer.base + 100 * i64::from(zone - 1)),
            per_kg: dollars(50 + 10 * i64::from(zone)),
            distance_km,
        })
        .collect();
    if offer.countries.len() > 1 {
        let (base, per_kg) = (dollars(4 * offer.base), dollars(400));
        zones.push(RateZone {
            zone: 9,
            transit_days: 9,
            base,
            per_kg,
            distance_km: 8000,
        });
    }
    CarrierService {
        service_level: offer.level.to_owned(),
        name: offer.name.to_owned(),
        cutoff_hour: 16,
        delivery_weekdays: offer.weekdays.to_vec(),
        max_weight_grams: offer.most_grams,
        countries: offer
            .countries
            .iter()
            .map(|&country| country.to_owned())
            .collect(),
        zones,
        fuel_surcharge_bp: 1000,
        residential_surcharge: dollars(200),
        co2e_grams_per_tonne_km: offer.co2e,
        claims_per_10k: offer.claims,
        on_time_count: 10 * (1000 - offer.late_per_1000),
        delivered_count: 10_000,
    }
}

fn carrier(id: &str, name: &str, time_zone: &str, offers: &[Offer]) -> Carrier {
    let holidays = [
        "2026-11-26",
        "2026-12-25",
        "2027-01-01",
        "2027-11-25",
        "2027-12-25",
    ];
    Carrier {
        carrier_id: id.to_owned(),
        name: name.to_owned(),
        services: offers.iter().map(service).collect(),
        holidays: holidays.map(str::to_owned).to_vec(),
        time_zone: time_zone.to_owned(),
    }
}

const GROUND: [i32; 8] = [1, 2, 2, 3, 4, 4, 5, 6];
const EXPRESS: [i32; 8] = [1, 1, 2, 2, 2, 3, 3, 3];
const OVERNIGHT: [i32; 8] = [1, 1, 1, 1, 1, 1, 1, 2];

/// The carriers.
pub fn carriers() -> Vec<Carrier> {
    let ground = Offer {
        level: "ground",
        name: "Alpha Ground",
        weekdays: &[1, 2, 3, 4, 5, 6],
        base: 900,
        days: GROUND,
        co2e: 90,
        claims: 14,
        late_per_1000: 40,
        most_grams: 60_000,
        countries: &["US", "CA"],
    };
    let alpha = [
        Offer { ..ground },
        Offer {
            level: "express",
            name: "Alpha Express",
            base: 1800,
            days: EXPRESS,
            co2e: 400,
            claims: 9,
            late_per_1000: 20,
            countries: &["US"],
            ..ground
        },
        Offer {
            level: "overnight",
            name: "Alpha Overnight",
            weekdays: &[1, 2, 3, 4, 5],
            base: 3500,
            days: OVERNIGHT,
            co2e: 800,
            claims: 5,
            late_per_1000: 10,
            countries: &["US"],
            ..ground
        },
    ];
    let beta = [Offer {
        name: "Beta Mail",
        base: 600,
        late_per_1000: 110,
        claims: 40,
        co2e: 80,
        ..ground
    }];
    let gamma = [Offer {
        name: "Gamma Freight",
        weekdays: &[1, 2, 3, 4, 5],
        base: 3000,
        most_grams: 1_000_000,
        co2e: 60,
        claims: 20,
        late_per_1000: 80,
        countries: &["US"],
        ..ground
    }];
    let delta = [Offer {
        level: "overnight",
        name: "Delta Night",
        weekdays: &[1, 2, 3, 4, 5, 6, 7],
        base: 3200,
        days: OVERNIGHT,
        co2e: 850,
        claims: 6,
        late_per_1000: 30,
        countries: &["US"],
        ..ground
    }];
    vec![
        carrier("alpha", "Alpha", "America/Denver", &alpha),
        carrier("beta", "Beta", "America/New_York", &beta),
        carrier("gamma", "Gamma", "America/Chicago", &gamma),
        carrier("delta", "Delta", "America/Chicago", &delta),
    ]
}
