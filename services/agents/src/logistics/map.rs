//! Where addresses are, as far as choosing a carrier needs to know.
//!
//! Rate cards speak of zones: distance classes between the origin and the destination. The classes come
//! with shipping's answer; the places are here. Inside the United States the first three digits of the ZIP
//! code (the sectional centre) place an address; one point stands for each region, and the state decides
//! where the ZIP code says nothing. The regions and points are those of the shipping service, because a
//! parcel must be in the same zone for both.

/// Zone of destinations abroad.
pub const ABROAD: u8 = 9;
/// Zone of destinations in the country that are off the mainland or cannot be placed.
pub const FARTHEST: u8 = 8;
/// Largest distance of the zones 1 to 7, in kilometres, where the rate card does not say.
const USUAL_KM: [i32; 7] = [80, 240, 480, 965, 1610, 2250, 2900];
/// Mean radius of the earth (IUGG), in kilometres.
const EARTH_KM: f64 = 6371.0;

/// A point on the earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
}

/// A location that goods leave from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Origin {
    /// Id of the location.
    pub location_id: &'static str,
    point: Point,
}

/// The locations that goods leave from: Allentown, Kansas City and Reno.
pub const ORIGINS: [Origin; 3] = [
    Origin {
        location_id: "dc-east",
        point: Point {
            latitude: 40.60,
            longitude: -75.47,
        },
    },
    Origin {
        location_id: "dc-central",
        point: Point {
            latitude: 39.10,
            longitude: -94.58,
        },
    },
    Origin {
        location_id: "dc-west",
        point: Point {
            latitude: 39.53,
            longitude: -119.81,
        },
    },
];

/// First and last sectional centre, state, latitude, longitude.
type Region = (u16, u16, &'static str, f64, f64);

/// Regions of the mainland.
const REGIONS: [Region; 68] = [
    (5, 5, "NY", 40.8, -73.0),
    (10, 27, "MA", 42.3, -71.6),
    (28, 29, "RI", 41.7, -71.5),
    (30, 38, "NH", 43.1, -71.5),
    (39, 49, "ME", 44.0, -70.0),
    (50, 59, "VT", 44.2, -72.7),
    (60, 69, "CT", 41.5, -72.8),
    (70, 89, "NJ", 40.4, -74.4),
    (100, 119, "NY", 40.8, -73.8),
    (120, 149, "NY", 42.9, -76.2),
    (150, 168, "PA", 40.6, -79.5),
    (169, 196, "PA", 40.2, -75.9),
    (197, 199, "DE", 39.5, -75.6),
    (200, 205, "DC", 38.9, -77.0),
    (206, 219, "MD", 39.2, -76.7),
    (220, 246, "VA", 37.7, -77.9),
    (247, 268, "WV", 38.6, -81.0),
    (270, 289, "NC", 35.6, -79.5),
    (290, 299, "SC", 34.0, -81.0),
    (300, 319, "GA", 33.4, -84.0),
    (320, 326, "FL", 30.2, -83.0),
    (327, 329, "FL", 28.4, -81.2),
    (330, 334, "FL", 26.2, -80.3),
    (335, 339, "FL", 27.6, -82.2),
    (341, 349, "FL", 27.3, -81.8),
    (350, 369, "AL", 33.0, -86.8),
    (370, 385, "TN", 35.9, -86.4),
    (386, 397, "MS", 32.6, -89.7),
    (398, 399, "GA", 31.6, -84.2),
    (400, 427, "KY", 37.8, -85.3),
    (430, 458, "OH", 40.2, -82.7),
    (460, 479, "IN", 39.9, -86.2),
    (480, 499, "MI", 42.9, -84.2),
    (500, 528, "IA", 41.9, -93.4),
    (530, 549, "WI", 43.6, -89.0),
    (550, 567, "MN", 45.1, -93.6),
    (570, 577, "SD", 43.9, -98.5),
    (580, 588, "ND", 47.2, -98.5),
    (590, 599, "MT", 46.4, -110.8),
    (600, 629, "IL", 41.2, -88.6),
    (630, 639, "MO", 38.6, -90.5),
    (640, 649, "MO", 39.1, -94.5),
    (650, 658, "MO", 37.7, -92.7),
    (660, 679, "KS", 38.5, -96.9),
    (680, 693, "NE", 41.1, -97.3),
    (700, 714, "LA", 30.7, -91.3),
    (716, 729, "AR", 34.9, -92.4),
    (730, 732, "OK", 35.4, -97.5),
    (733, 733, "TX", 30.3, -97.7),
    (734, 749, "OK", 35.8, -96.2),
    (750, 769, "TX", 32.6, -97.1),
    (770, 778, "TX", 29.8, -95.4),
    (779, 789, "TX", 29.4, -98.3),
    (790, 799, "TX", 32.6, -102.8),
    (800, 816, "CO", 39.5, -104.9),
    (820, 831, "WY", 42.5, -106.5),
    (832, 838, "ID", 43.8, -115.5),
    (840, 847, "UT", 40.5, -111.9),
    (850, 865, "AZ", 33.4, -111.9),
    (870, 884, "NM", 34.9, -106.4),
    (885, 885, "TX", 31.8, -106.4),
    (889, 891, "NV", 36.2, -115.2),
    (893, 898, "NV", 39.6, -119.2),
    (900, 925, "CA", 33.9, -117.9),
    (926, 935, "CA", 34.2, -118.6),
    (936, 961, "CA", 37.8, -121.6),
    (970, 979, "OR", 45.2, -122.8),
    (980, 994, "WA", 47.5, -121.8),
];

/// States, territories and military posts off the mainland.
const OFF_STATES: [&str; 10] = ["AK", "HI", "PR", "VI", "GU", "AS", "MP", "AA", "AE", "AP"];
/// First and last sectional centres of the same.
const OFF_CENTRES: [(u16, u16); 6] = [
    (6, 9),
    (90, 98),
    (340, 340),
    (962, 966),
    (967, 969),
    (995, 999),
];

/// Where a parcel goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// A region of the mainland.
    Mainland(Point),
    /// In the country, off the mainland or not to be placed.
    Remote,
    /// Another country.
    Abroad,
}

impl Place {
    /// From the parts of an address; the country in upper case.
    pub fn of(country: &str, state: &str, postal_code: &str) -> Self {
        if country != "US" {
            return Self::Abroad;
        }
        if let Some(centre) = sectional_centre(postal_code) {
            let within = |first: u16, last: u16| (first..=last).contains(&centre);
            if OFF_CENTRES
                .iter()
                .any(|(first, last)| within(*first, *last))
            {
                return Self::Remote;
            }
            if let Some(region) = REGIONS.iter().find(|region| within(region.0, region.1)) {
                return Self::Mainland(point(region));
            }
        }
        let state = state.trim();
        if OFF_STATES
            .iter()
            .any(|code| code.eq_ignore_ascii_case(state))
        {
            return Self::Remote;
        }
        let region = REGIONS
            .iter()
            .find(|region| region.2.eq_ignore_ascii_case(state));
        region.map_or(Self::Remote, |region| Self::Mainland(point(region)))
    }
}

const fn point(region: &Region) -> Point {
    Point {
        latitude: region.3,
        longitude: region.4,
    }
}

/// The first three digits of a ZIP code, with or without its extension.
fn sectional_centre(postal_code: &str) -> Option<u16> {
    let (five, extension) = postal_code.trim().split_at_checked(5)?;
    let is_zip = five.bytes().all(|byte| byte.is_ascii_digit())
        && (extension.is_empty() || extension.starts_with('-'));
    if is_zip {
        five.get(..3)?.parse().ok()
    } else {
        None
    }
}

/// Kilometres along the great circle, by the haversine formula (Sinnott, Sky and Telescope 68, 1984).
fn distance_km(a: Point, b: Point) -> f64 {
    let (from, to) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let h = half(b.latitude - a.latitude) + from.cos() * to.cos() * half(b.longitude - a.longitude);
    2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
}

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
            .unwrap_or(USUAL_KM[index])
    };
    (1..FARTHEST)
        .find(|zone| km <= f64::from(limit(usize::from(zone - 1))))
        .unwrap_or(FARTHEST)
}

/// The location with this id.
pub fn origin(location_id: &str) -> Option<&'static Origin> {
    ORIGINS
        .iter()
        .find(|origin| origin.location_id == location_id)
}

/// The location nearest to a place; the first for those that are not on the map.
pub fn nearest(place: Place) -> &'static Origin {
    let Place::Mainland(to) = place else {
        return &ORIGINS[0];
    };
    ORIGINS
        .iter()
        .min_by(|a, b| distance_km(a.point, to).total_cmp(&distance_km(b.point, to)))
        .unwrap_or(&ORIGINS[0])
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
