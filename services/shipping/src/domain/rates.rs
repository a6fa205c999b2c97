//! What a parcel weighs and what its way costs.

use mesh::{Currency, Money, MoneyError, Rate};

use super::carriers::{CarrierService, RateZone};

/// What a unit weighs, in grams. Products carry no weight, so every parcel is estimated with this one
/// figure: a typical weight of what the shop sells.
pub const UNIT_GRAMS: i64 = 600;
/// What packaging weighs, in grams.
pub const PACKAGING_GRAMS: i64 = 200;
/// Cubic centimetres that are billed as a kilogram.
const CM3_PER_KG: i64 = 5000;
const GRAMS_PER_KG: i64 = 1000;
/// Currency of the rate cards.
pub const CURRENCY: Currency = Currency::USD;

/// The estimated weight of a parcel with `units` units, in grams.
pub fn estimated_weight(units: i64) -> i64 {
    units
        .max(1)
        .saturating_mul(UNIT_GRAMS)
        .saturating_add(PACKAGING_GRAMS)
}

/// The weight that is billed, in grams: what a parcel weighs, or what its volume stands for if that is
/// more.
pub fn billable_weight(weight_grams: i64, volume_cm3: i64) -> i64 {
    let dimensional = volume_cm3.saturating_mul(GRAMS_PER_KG) / CM3_PER_KG;
    weight_grams.max(dimensional)
}

/// The price of a parcel: freight by zone and kilograms begun, fuel on the freight, and the surcharge for
/// home addresses.
///
/// # Errors
/// The amount is too large.
pub fn price(
    service: &CarrierService,
    rate: &RateZone,
    billable_grams: i64,
) -> Result<Money, MoneyError> {
    let kilograms = billable_grams.max(1).saturating_add(GRAMS_PER_KG - 1) / GRAMS_PER_KG;
    let further = Money::new(rate.per_kg_minor, CURRENCY).times(kilograms - 1)?;
    let freight = Money::new(rate.base_minor, CURRENCY).checked_add(further)?;
    let fuel = freight.at(Rate::basis_points(service.fuel_surcharge_bp))?;
    freight
        .checked_add(fuel)?
        .checked_add(Money::new(service.residential_surcharge_minor, CURRENCY))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::domain::carriers::Carriers;

    fn priced(carrier: &str, service: &str, zone: u8, grams: i64) -> String {
        let carriers = Carriers::load().unwrap();
        let (_, service) = carriers.find(carrier, service).unwrap();
        price(service, service.rate(zone).unwrap(), grams)
            .unwrap()
            .to_string()
    }

    #[test]
    fn golden_prices() {
        // 8.45 + 12.5 % fuel (1.05625, to the even cent 1.06) + 4.95.
        assert_eq!(priced("summit-express", "ground", 1, 800), "14.46 USD");
        // 10.77 + 2 further kilograms at 0.85 = 12.47, fuel 1.55875 -> 1.56, 4.95.
        assert_eq!(priced("summit-express", "ground", 4, 2001), "18.98 USD");
        // Polar Post has no surcharges.
        assert_eq!(priced("polar-post", "ground", 2, 1000), "8.48 USD");
        assert_eq!(priced("polar-post", "ground", 2, 1001), "9.36 USD");
        // 20.76 + 99 further kilograms at 0.60 = 80.16, 18 % fuel 14.4288 -> 14.43, 12.50.
        assert_eq!(
            priced("northline-freight", "ground", 5, 100_000),
            "107.09 USD"
        );
    }

    #[test]
    fn weights() {
        assert_eq!(estimated_weight(1), 800);
        assert_eq!(estimated_weight(3), 2000);
        assert_eq!(estimated_weight(0), 800);
        assert_eq!(billable_weight(800, 0), 800);
        assert_eq!(billable_weight(800, 10_000), 2000);
    }

    proptest! {
        #[test]
        fn dearer_with_weight_and_zone(grams in 1_i64..60_000, more in 1_i64..10_000) {
            for carrier in Carriers::load().unwrap().all() {
                for service in &carrier.services {
                    let mut last = None;
                    for rate in &service.zones {
                        let here = price(service, rate, grams).unwrap();
                        prop_assert!(here.is_positive());
                        prop_assert!(price(service, rate, grams + more).unwrap().minor >= here.minor);
                        prop_assert!(last.is_none_or(|last| last < here.minor));
                        last = Some(here.minor);
                    }
                }
            }
        }

        #[test]
        fn no_weight_breaks_it(grams in any::<i64>(), volume in 0_i64..) {
            let carriers = Carriers::load().unwrap();
            let (_, service) = carriers.find("northline-freight", "ground").unwrap();
            let _ = price(service, service.rate(8).unwrap(), billable_weight(grams, volume));
        }
    }
}
