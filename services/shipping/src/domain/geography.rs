//! Distances.
//!
//! A parcel's price depends on how far it goes, in nine classes. Inside the United States the first
//! three digits of the ZIP code (the sectional centre) place an address well enough for that; one
//! representative point stands for each region. Where the ZIP code says nothing, the state does.
//! Everything abroad is one class.

use super::carriers::ABROAD;

/// A point on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Latitude.
    pub latitude: f64,
    /// Longitude.
    pub longitude: f64,
}

/// A location that goods leave from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Origin {
    /// Id of the location.
    pub location_id: &'static str,
    /// For people.
    pub place: &'static str,
    /// Where it is.
    pub point: Point,
}

/// The locations that goods leave from.
pub const ORIGINS: [Origin; 3] = [
    Origin {
        location_id: "dc-east",
        place: "Allentown, PA",
        point: Point {
            latitude: 40.60,
            longitude: -75.47,
        },
    },
    Origin {
        location_id: "dc-central",
        place: "Kansas City, MO",
        point: Point {
            latitude: 39.10,
            longitude: -94.58,
        },
    },
    Origin {
        location_id: "dc-west",
        place: "Reno, NV",
        point: Point {
            latitude: 39.53,
            longitude: -119.81,
        },
    },
];

/// Largest distance of each zone, in kilometres, zone 1 first. The last one is abroad and stands for a
/// typical distance, as none is computed.
pub const ZONE_KM: [i32; 9] = [80, 240, 480, 965, 1610, 2250, 2900, 4500, 8000];
/// The farthest zone inside the country.
pub const FARTHEST: u8 = 8;
/// Mean radius of the earth (IUGG), in kilometres.
const EARTH_KM: f64 = 6371.0;

/// First and last sectional centre, state, and a point for the region.
type Region = (u16, u16, &'static str, f64, f64);

/// Regions of the contiguous United States. Large states are split.
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

/// States and territories that lie off the mainland, and the posts of the armed forces.
const OFF_THE_MAINLAND: [&str; 10] = ["AK", "HI", "PR", "VI", "GU", "AS", "MP", "AA", "AE", "AP"];
/// Sectional centres of the same.
const OFF_CENTRES: [(u16, u16); 6] = [
    (6, 9),
    (90, 98),
    (340, 340),
    (962, 966),
    (967, 969),
    (995, 999),
];

/// Where a parcel goes, as far as its price needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Destination {
    /// A region of the mainland.
    Mainland(Point),
    /// In the country, but off the mainland, or not to be placed.
    Remote,
    /// Another country.
    Abroad,
}

impl Destination {
    /// From the parts of an address.
    pub fn of(country: &str, state: &str, postal_code: &str) -> Self {
        if country != "US" {
            return Self::Abroad;
        }
        let centre = sectional_centre(postal_code);
        if let Some(centre) = centre {
            if OFF_CENTRES
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&centre))
            {
                return Self::Remote;
            }
            if let Some(region) = REGIONS
                .iter()
                .find(|(first, last, ..)| (*first..=*last).contains(&centre))
            {
                return Self::Mainland(point(region));
            }
        }
        let state = state.trim();
        if OFF_THE_MAINLAND
            .iter()
            .any(|code| code.eq_ignore_ascii_case(state))
        {
            return Self::Remote;
        }
        REGIONS
            .iter()
            .find(|(_, _, code, ..)| code.eq_ignore_ascii_case(state))
            .map_or(Self::Remote, |region| Self::Mainland(point(region)))
    }
}

fn point((_, _, _, latitude, longitude): &Region) -> Point {
    Point {
        latitude: *latitude,
        longitude: *longitude,
    }
}

/// The first three digits of a ZIP code.
fn sectional_centre(postal_code: &str) -> Option<u16> {
    let code = postal_code.trim();
    let five = code.get(..5)?;
    let rest = &code[5..];
    let is_zip =
        five.bytes().all(|b| b.is_ascii_digit()) && (rest.is_empty() || rest.starts_with('-'));
    if is_zip { five[..3].parse().ok() } else { None }
}

/// Kilometres along the great circle (haversine).
pub fn distance_km(a: Point, b: Point) -> f64 {
    let (lat_a, lat_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let d_lat = lat_b - lat_a;
    let d_lon = (b.longitude - a.longitude).to_radians();
    let h = (d_lat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (d_lon / 2.0).sin().powi(2);
    2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
}

/// The zone of a parcel: 1 is next door, 8 the farthest in the country, 9 abroad.
pub fn zone(origin: &Origin, destination: Destination) -> u8 {
    match destination {
        Destination::Abroad => ABROAD,
        Destination::Remote => FARTHEST,
        Destination::Mainland(point) => {
            let km = distance_km(origin.point, point);
            ZONE_KM
                .iter()
                .zip(1..FARTHEST)
                .find(|(limit, _)| km <= f64::from(**limit))
                .map_or(FARTHEST, |(_, zone)| zone)
        }
    }
}

/// The location with this id.
pub fn origin(location_id: &str) -> Option<&'static Origin> {
    ORIGINS
        .iter()
        .find(|origin| origin.location_id == location_id)
}

/// The location nearest to a destination. For those that have no place on our map it is the first.
pub fn nearest(destination: Destination) -> &'static Origin {
    let Destination::Mainland(to) = destination else {
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

    fn zone_from(location: &str, state: &str, zip: &str) -> u8 {
        zone(origin(location).unwrap(), Destination::of("US", state, zip))
    }

    #[test]
    fn distances_are_those_of_the_map() {
        let km = distance_km(ORIGINS[0].point, ORIGINS[2].point);
        // Allentown to Reno is about 3,720 km.
        assert!((3650.0..3790.0).contains(&km), "{km}");
    }

    #[test]
    fn golden_zones() {
        for (location, state, zip, expected) in [
            ("dc-east", "PA", "18101", 1),
            ("dc-east", "NY", "10001", 2),
            ("dc-east", "MA", "02139", 3),
            ("dc-east", "IL", "60601", 5),
            ("dc-east", "CA", "94103", 8),
            ("dc-central", "MO", "64106", 1),
            ("dc-central", "MO", "63101", 3),
            ("dc-central", "TX", "75201", 4),
            ("dc-central", "NY", "10001", 6),
            ("dc-west", "NV", "89501", 1),
            ("dc-west", "CA", "94103-1234", 3),
            ("dc-west", "WA", "98101", 4),
            ("dc-west", "HI", "96813", 8),
            ("dc-west", "AK", "99501", 8),
            ("dc-east", "PR", "00901", 8),
            ("dc-east", "AE", "09012", 8),
            // Without a usable ZIP code the state decides, and without either it is far.
            ("dc-east", "ny", "n/a", 2),
            ("dc-east", "", "", 8),
        ] {
            assert_eq!(
                zone_from(location, state, zip),
                expected,
                "{location} {state} {zip}"
            );
        }
        assert_eq!(
            zone(&ORIGINS[0], Destination::of("CA", "ON", "M5V 2T6")),
            ABROAD
        );
    }

    #[test]
    fn the_nearest_location_is_taken() {
        for (zip, expected) in [
            ("10001", "dc-east"),
            ("60601", "dc-central"),
            ("98101", "dc-west"),
        ] {
            assert_eq!(
                nearest(Destination::of("US", "", zip)).location_id,
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn every_address_has_a_zone(country in "[A-Z]{2}", state in "\\PC{0,6}", zip in "\\PC{0,10}") {
            let destination = Destination::of(&country, &state, &zip);
            let nearest = zone(nearest(destination), destination);
            prop_assert!((1..=9).contains(&nearest));
            prop_assert_eq!(nearest == ABROAD, country != "US");
            for origin in &ORIGINS {
                prop_assert!(zone(origin, destination) >= nearest);
            }
        }
    }
}
