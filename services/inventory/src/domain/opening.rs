//! How the units of a variant that inventory sees for the first time are spread over the locations.
//!
//! The catalog knows one number; shelves need one each. The split depends on nothing but the variant and
//! the locations, so a replayed event and a rebuilt store put the same units on the same shelves.

/// Below this many units a variant is kept in one place: a shelf with two units of everything makes every
/// second order a split shipment.
const KEEP_TOGETHER_BELOW: i64 = 30;
/// Shares of the first, second and further locations, in tenths of what is left.
const FIRST_SHARE_TENTHS: i64 = 5;
const SECOND_SHARE_TENTHS: i64 = 6;

/// Units per location, parallel to `locations`; they add up to `units` exactly.
pub fn split(units: i64, variant_id: &str, locations: &[String]) -> Vec<i64> {
    let mut shares = vec![0; locations.len()];
    let units = units.max(0);
    if locations.is_empty() {
        return shares;
    }
    let home = (hash(variant_id) % locations.len() as u64) as usize;
    if units < KEEP_TOGETHER_BELOW || locations.len() == 1 {
        shares[home] = units;
        return shares;
    }
    let mut left = units;
    for step in 0..locations.len() {
        let place = (home + step) % locations.len();
        let share = match step {
            _ if step + 1 == locations.len() => left,
            0 => left / 10 * FIRST_SHARE_TENTHS,
            _ => left / 10 * SECOND_SHARE_TENTHS,
        };
        shares[place] = share;
        left -= share;
    }
    shares
}

/// FNV-1a: stable across processes and versions of the standard library.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_unit_is_lost(units in 0_i64..1_000_000, variant in "[a-z0-9]{1,20}", places in 1_usize..6) {
            let locations: Vec<String> = (0..places).map(|n| format!("dc-{n}")).collect();
            let shares = split(units, &variant, &locations);
            prop_assert_eq!(shares.iter().sum::<i64>(), units);
            prop_assert!(shares.iter().all(|share| *share >= 0));
            prop_assert_eq!(&shares, &split(units, &variant, &locations));
            if units < KEEP_TOGETHER_BELOW {
                prop_assert!(shares.iter().filter(|share| **share > 0).count() <= 1);
            }
        }
    }
}
