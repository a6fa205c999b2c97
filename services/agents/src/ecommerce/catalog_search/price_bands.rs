//! Price bands that suit what was found.
//!
//! Prices are counted in fine buckets between round numbers (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5 times a
//! power of ten); neighbours are then joined until there are a handful of bands of about equal size.
//! So the edges are round, the counts exact, and one pass with constant memory suffices.

use super::{document::PRICE_SCALE, interpret::show_price};

/// Edges within a power of ten, in quarters.
const STEPS: [i64; 9] = [4, 6, 8, 10, 12, 16, 20, 24, 30];
/// From 1 cent's worth (0.01) to ten million.
const DECADES: u32 = 9;
/// Most bands.
const BANDS: u64 = 6;

/// Counts of prices in fine buckets.
#[derive(Clone, Debug)]
pub struct PriceCounts {
    edges: Vec<i64>,
    counts: Vec<u64>,
}

impl PriceCounts {
    /// No prices yet.
    pub fn new() -> Self {
        let mut edges = Vec::with_capacity(STEPS.len() * DECADES as usize);
        for decade in 0..DECADES {
            let unit = PRICE_SCALE / 100 * 10_i64.pow(decade);
            edges.extend(STEPS.map(|step| unit * step / 4));
        }
        let counts = vec![0; edges.len() + 1];
        Self { edges, counts }
    }

    /// Counts a price in ten-thousandths of a major unit.
    pub fn add(&mut self, price: i64) {
        let bucket = self.edges.partition_point(|edge| *edge <= price);
        self.counts[bucket] += 1;
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The bands from cheap to dear, each as `low-high` (low included, high not; the first and the last
    /// open), with their counts. The counts add up to the prices counted.
    pub fn bands(&self) -> Vec<(String, u64)> {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return Vec::new();
        }
        let target = total.div_ceil(BANDS);
        let mut bands: Vec<(Option<i64>, Option<i64>, u64)> = Vec::new();
        let mut low = None;
        let mut held = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            held += count;
            let edge = self.edges.get(bucket).copied();
            if held >= target && edge.is_some() {
                bands.push((low, edge, held));
                low = edge;
                held = 0;
            }
        }
        match bands.last_mut() {
            Some(last) if held == 0 => last.1 = None,
            _ => bands.push((low, None, held)),
        }
        let show = |edge: Option<i64>| edge.map(show_price).unwrap_or_default();
        bands
            .into_iter()
            .map(|(low, high, count)| (format!("{}-{}", show(low), show(high)), count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bands_have_round_edges() {
        let mut counts = PriceCounts::new();
        for dollars in 1..=120 {
            counts.add(dollars * PRICE_SCALE);
        }
        let bands = counts.bands();
        assert_eq!(bands.first().unwrap().0, "-25");
        assert!(bands.len() >= 4, "{bands:?}");
        assert!(bands.last().unwrap().0.ends_with('-'));
    }

    proptest! {
        #[test]
        fn every_price_is_in_one_band(prices in proptest::collection::vec(0_i64..5_000_000_000, 0..200)) {
            let mut counts = PriceCounts::new();
            prices.iter().for_each(|price| counts.add(*price));
            let bands = counts.bands();
            prop_assert_eq!(bands.iter().map(|(_, count)| *count).sum::<u64>(), prices.len() as u64);
            prop_assert!(bands.len() <= BANDS as usize + 1);
        }
    }
}
