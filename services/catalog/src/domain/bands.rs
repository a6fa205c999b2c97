//! Price bands: a handful of ranges with round bounds and about equally many products each.
//!
//! Quantiles of the prices would be fair but ugly ("12.37 to 18.94"), and they need all prices in order.
//! So prices are counted in fixed buckets whose bounds are round numbers, and bands are made by joining
//! neighbouring buckets where the running count is nearest to a quantile. Bounds are round, counts are
//! exact, and the cost depends on the number of buckets only.

/// Bounds within a power of ten, in quarters of it: 1, 1.5, 2, 2.5, 3, 4, 5, 7.5.
const STEPS: [i64; 8] = [4, 6, 8, 10, 12, 16, 20, 30];
/// How many bands a list of them has at most.
pub const WANTED: usize = 6;

/// Lower bound of the bucket of a price key: the largest round number that is not above it.
pub fn bucket(price_key: i64) -> i64 {
    // Below 100 (a cent in price keys) nothing is sold; one bucket is enough.
    const LEAST: i64 = 100;
    if price_key < LEAST {
        return 0;
    }
    let mut magnitude = LEAST;
    while magnitude <= price_key / 10 {
        magnitude *= 10;
    }
    STEPS
        .iter()
        .map(|step| step * magnitude / 4)
        .take_while(|bound| *bound <= price_key)
        .last()
        .unwrap_or(magnitude)
}

/// A range of price keys: `min` included, `max` excluded, open above when absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Lower bound.
    pub min: i64,
    /// Upper bound.
    pub max: Option<i64>,
    /// Products in the range.
    pub count: i64,
}

/// Joins buckets (lower bound and count, ascending) to at most `wanted` bands. Only bounds that `allowed`
/// accepts are used: a currency without decimals cannot say 1.5.
pub fn bands(buckets: &[(i64, i64)], wanted: usize, allowed: impl Fn(i64) -> bool) -> Vec<Band> {
    let total: i64 = buckets.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return Vec::new();
    }
    // Each possible cut with the number of products below it; a cut leaves products on both sides.
    let mut below = 0;
    let cuts: Vec<(i64, i64)> = buckets
        .iter()
        .filter_map(|(bound, count)| {
            let cut = (*bound, below);
            below += count;
            (cut.1 > 0 && *count > 0 && allowed(cut.0)).then_some(cut)
        })
        .collect();
    let parts = i64::try_from(wanted.max(1)).unwrap_or(i64::MAX);
    let mut chosen: Vec<(i64, i64)> = (1..parts)
        .filter_map(|part| {
            let quantile = total * part / parts;
            cuts.iter()
                .min_by_key(|(_, below)| (below - quantile).abs())
                .copied()
        })
        .collect();
    chosen.dedup();
    let mut bands = Vec::with_capacity(chosen.len() + 1);
    let mut start = (0, 0);
    for cut in chosen {
        bands.push(Band {
            min: start.0,
            max: Some(cut.0),
            count: cut.1 - start.1,
        });
        start = cut;
    }
    bands.push(Band {
        min: start.0,
        max: None,
        count: total - start.1,
    });
    bands
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn buckets(prices: &[i64]) -> Vec<(i64, i64)> {
        let mut counts = BTreeMap::new();
        for price in prices {
            *counts.entry(bucket(*price)).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    #[test]
    fn bounds_are_round() {
        assert_eq!(bucket(34_900), 30_000);
        assert_eq!(bucket(10_000), 10_000);
        assert_eq!(bucket(9_999), 7_500);
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(99), 0);
        assert_eq!(bucket(150), 150);
    }

    #[test]
    fn one_price_is_one_band() {
        let bands = bands(&buckets(&[50_000; 7]), WANTED, |_| true);
        assert_eq!(bands.len(), 1);
        assert_eq!((bands[0].min, bands[0].max, bands[0].count), (0, None, 7));
    }

    proptest! {
        #[test]
        fn a_price_is_in_its_bucket(price in 0_i64..1_000_000_000_000_000) {
            let low = bucket(price);
            prop_assert!(low <= price);
            prop_assert_eq!(bucket(low), low);
            // No bucket is wider than half of its lower bound (plus the first one).
            prop_assert!(price < 100 || price - low <= low / 2);
        }

        #[test]
        fn bands_cover_every_price_once(prices in prop::collection::vec(0_i64..10_000_000, 0..200)) {
            let bands = bands(&buckets(&prices), WANTED, |_| true);
            prop_assert!(bands.len() <= WANTED);
            prop_assert_eq!(bands.iter().map(|band| band.count).sum::<i64>(), prices.len() as i64);
            for band in &bands {
                let inside = prices
                    .iter()
                    .filter(|price| **price >= band.min && band.max.is_none_or(|max| **price < max))
                    .count() as i64;
                prop_assert_eq!(inside, band.count);
                prop_assert!(band.count > 0);
            }
            for pair in bands.windows(2) {
                prop_assert_eq!(pair[0].max, Some(pair[1].min));
            }
        }
    }
}
