//! Where addresses are, as far as choosing a carrier needs to know.
//!
//! Places, locations and distances are those of the shipping service: a parcel must be in the same zone for
//! whoever chooses and for whoever pays. What differs is where the lines between zones come from: here from
//! the rate card that shipping's answer carries.

pub use shipping::domain::geography::{Destination as Place, ORIGINS, Origin, nearest, origin};
use shipping::domain::{
    carriers::ABROAD,
    geography::{FARTHEST, ZONE_KM, distance_km},
};

/// The zone of a parcel: 1 next door to 8 in the country, 9 abroad. `limits_km` has the largest distances
/// of a rate card's zones, zone 1 first; usual ones stand in for those that are missing.
pub fn zone(origin: &Origin, place: Place, limits_km: &[i32]) -> u8 {
    let to = match place {
        Place::Abroad => return ABROAD,
        Place::Remote => return FARTHEST,
        Place::Mainland(to) => to,
    };
    let km = distance_km(origin.point, to);
    let limit = |index: usize| {
        limits_km
            .get(index)
            .copied()
            .filter(|limit| *limit > 0)
            .unwrap_or(ZONE_KM[index])
    };
    (1..FARTHEST)
        .find(|zone| km <= f64::from(limit(usize::from(zone - 1))))
        .unwrap_or(FARTHEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zones_are_those_of_the_shipping_service() {
        for (location, state, zip, expected) in [
            ("dc-east", "PA", "18101", 1),
            ("dc-east", "NY", "10001", 2),
            ("dc-east", "IL", "60601", 5),
            ("dc-east", "CA", "94103", 8),
            ("dc-central", "MO", "63101", 3),
            ("dc-west", "CA", "94103-1234", 3),
            ("dc-west", "HI", "96813", 8),
            ("dc-east", "AE", "09012", 8),
            ("dc-east", "ny", "n/a", 2),
            ("dc-east", "", "", 8),
        ] {
            let zone = zone(origin(location).unwrap(), Place::of("US", state, zip), &[]);
            assert_eq!(zone, expected, "{location} {state} {zip}");
        }
        assert_eq!(
            zone(&ORIGINS[0], Place::of("CA", "ON", "M5V 2T6"), &[]),
            ABROAD
        );
    }

    #[test]
    fn the_rate_card_draws_the_lines() {
        let new_york = Place::of("US", "NY", "10001");
        assert_eq!(zone(&ORIGINS[0], new_york, &[500]), 1);
        assert_eq!(nearest(new_york).location_id, "dc-east");
        assert_eq!(nearest(Place::of("US", "", "98101")).location_id, "dc-west");
    }

    proptest! {
        #[test]
        fn every_address_has_a_zone(country in "[A-Z]{2}", state in "\\PC{0,6}", zip in "\\PC{0,10}") {
            let place = Place::of(&country, &state, &zip);
            let here = zone(nearest(place), place, &[]);
            prop_assert!((1..=ABROAD).contains(&here));
            for origin in &ORIGINS {
                prop_assert!(zone(origin, place, &[]) >= here);
            }
        }
    }
}
