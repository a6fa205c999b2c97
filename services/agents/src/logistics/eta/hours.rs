//! Distributions of durations on a grid of whole hours.
//!
//! Stages are combined by convolving their distributions, which takes them as independent: that is exact
//! on the grid and gives the same answer every time, unlike sampling.

/// Longest duration of the grid, in hours: sixty days. What lasts longer counts as that.
const LONGEST: usize = 24 * 60;
/// Probability below which nothing is left to reckon with.
const NEGLIGIBLE: f64 = 1e-9;

/// Probabilities by whole hours, in sum 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours(Vec<f64>);

impl Hours {
    /// Each hour from `from` to `to`, both included, alike.
    pub fn uniform(from: usize, to: usize) -> Self {
        let from = from.min(LONGEST);
        let to = to.clamp(from, LONGEST);
        let share = 1.0 / (to - from + 1) as f64;
        let mut grid = vec![0.0; from];
        grid.resize(to + 1, share);
        Self(grid)
    }

    /// The empirical distribution of durations in hours; `None` without any.
    pub fn observed(durations: &[f64]) -> Option<Self> {
        if durations.is_empty() {
            return None;
        }
        let mut grid = Vec::new();
        for hours in durations {
            let hour = (hours.round().max(0.0) as usize).min(LONGEST);
            if grid.len() <= hour {
                grid.resize(hour + 1, 0.0);
            }
            grid[hour] += 1.0 / durations.len() as f64;
        }
        Some(Self(grid))
    }

    /// A mixture. Weights must not be negative nor all zero; they need not sum to 1.
    pub fn mixture(parts: &[(f64, &Self)]) -> Self {
        let longest = parts
            .iter()
            .map(|(_, part)| part.0.len())
            .max()
            .unwrap_or(1);
        let mut grid = vec![0.0; longest];
        for (weight, part) in parts {
            for (hour, probability) in part.0.iter().enumerate() {
                grid[hour] += weight * probability;
            }
        }
        Self(grid).normalised()
    }

    /// The same, this many hours later.
    pub fn later_by(&self, hours: usize) -> Self {
        let mut grid = vec![0.0; hours.min(LONGEST)];
        grid.extend_from_slice(&self.0);
        Self(grid).cut()
    }

    /// The distribution of the sum of two independent durations.
    pub fn then(&self, next: &Self) -> Self {
        let mut grid = vec![0.0; self.0.len() + next.0.len() - 1];
        for (a, first) in self.0.iter().enumerate().filter(|(_, first)| **first > 0.0) {
            for (b, second) in next.0.iter().enumerate() {
                grid[a + b] += first * second;
            }
        }
        Self(grid).cut()
    }

    /// What is left of a duration that has lasted `elapsed` hours. `None` when none lasts that long.
    pub fn left_after(&self, elapsed: f64) -> Option<Self> {
        let mut grid = Vec::new();
        for (hour, probability) in self
            .0
            .iter()
            .enumerate()
            .filter(|(hour, _)| *hour as f64 > elapsed)
        {
            let left = (hour as f64 - elapsed).round() as usize;
            if grid.len() <= left {
                grid.resize(left + 1, 0.0);
            }
            grid[left] += probability;
        }
        let mass: f64 = grid.iter().sum();
        (mass > NEGLIGIBLE).then(|| Self(grid).normalised())
    }

    /// The least number of hours that is not exceeded with probability `p`.
    pub fn quantile(&self, p: f64) -> usize {
        let mut sum = 0.0;
        for (hour, probability) in self.0.iter().enumerate() {
            sum += probability;
            if sum >= p - NEGLIGIBLE {
                return hour;
            }
        }
        self.0.len().saturating_sub(1)
    }

    /// The mean, in hours.
    pub fn mean(&self) -> f64 {
        self.0
            .iter()
            .enumerate()
            .map(|(hour, probability)| hour as f64 * probability)
            .sum()
    }

    /// Puts what lasts longer than the grid at its end, and drops what is negligible there.
    fn cut(mut self) -> Self {
        if self.0.len() > LONGEST + 1 {
            let beyond: f64 = self.0.drain(LONGEST + 1..).sum();
            self.0[LONGEST] += beyond;
        }
        let mut tail = 0.0;
        while self.0.len() > 1 {
            tail += self.0.last().copied().unwrap_or(0.0);
            if tail > NEGLIGIBLE {
                break;
            }
            self.0.pop();
        }
        self.normalised()
    }

    fn normalised(mut self) -> Self {
        let sum: f64 = self.0.iter().sum();
        if sum > 0.0 {
            for probability in &mut self.0 {
                *probability /= sum;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_distributions() {
        let die = Hours::uniform(1, 6);
        assert_eq!(
            (die.quantile(0.1), die.quantile(0.5), die.quantile(1.0)),
            (1, 3, 6)
        );
        let two = die.then(&die);
        assert!((two.mean() - 7.0).abs() < 1e-9);
        assert!((two.0[7] - 6.0 / 36.0).abs() < 1e-9);
        assert_eq!(
            (two.quantile(0.1), two.quantile(0.5), two.quantile(0.9)),
            (4, 7, 10)
        );
        // A die that shows more than two shows 3 to 6.
        let left = die.left_after(2.0).unwrap();
        assert_eq!((left.quantile(0.01), left.quantile(1.0)), (1, 4));
        assert!(die.left_after(6.0).is_none());
        assert_eq!(die.later_by(4).quantile(0.5), 7);
        let half = Hours::mixture(&[(1.0, &Hours::uniform(0, 0)), (1.0, &Hours::uniform(10, 10))]);
        assert!((half.mean() - 5.0).abs() < 1e-9);
        assert_eq!(Hours::observed(&[]), None);
        assert_eq!(
            Hours::observed(&[3.4, 2.6, -1.0, 1e12])
                .unwrap()
                .quantile(0.75),
            3
        );
        assert_eq!(
            Hours::uniform(LONGEST, LONGEST).then(&die).quantile(0.5),
            LONGEST
        );
    }

    fn hours() -> impl Strategy<Value = Hours> {
        prop::collection::vec(0.0_f64..400.0, 1..40)
            .prop_map(|durations| Hours::observed(&durations).unwrap())
    }

    proptest! {
        #[test]
        fn probabilities_stay_so(a in hours(), b in hours(), elapsed in 0.0_f64..400.0, weight in 0.01_f64..0.99) {
            let mixed = Hours::mixture(&[(weight, &a), (1.0 - weight, &b)]);
            let sum = a.then(&b);
            prop_assert!((sum.mean() - a.mean() - b.mean()).abs() < 1e-3);
            for one in [&mixed, &sum].into_iter().chain(a.left_after(elapsed).as_ref()) {
                prop_assert!((one.0.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(one.0.iter().all(|probability| *probability >= 0.0));
                let quantiles = [0.0, 0.1, 0.5, 0.9, 1.0].map(|p| one.quantile(p));
                prop_assert!(quantiles.is_sorted());
            }
        }
    }
}
