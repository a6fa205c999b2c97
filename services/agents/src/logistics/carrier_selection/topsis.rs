//! TOPSIS: options by their closeness to the ideal (Hwang and Yoon, *Multiple Attribute Decision Making*,
//! 1981), with vector normalisation, and Pareto dominance beside it.
//!
//! An option that another one dominates cannot win: in no criterion is it nearer to the ideal or farther
//! from its opposite, and each step below rises or falls with those distances, in floating point too,
//! because correct rounding keeps the order of results. Rounding can only make the two equal; ties go to
//! the option that is not dominated.

use super::criteria::{COUNT, Criterion, PerCriterion};

/// How an option does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Closeness to the ideal, 0 to 1.
    pub score: f64,
    /// The score by criterion: its share of the distance from the worst. Sums to the score.
    pub parts: PerCriterion,
    /// Whether no other option dominates it.
    pub pareto_optimal: bool,
}

/// The standing of each option.
pub fn standings(options: &[PerCriterion], weights: &PerCriterion) -> Vec<Standing> {
    let norms: PerCriterion = std::array::from_fn(|index| {
        options
            .iter()
            .map(|option| option[index].powi(2))
            .sum::<f64>()
            .sqrt()
    });
    let weighted: Vec<PerCriterion> = options
        .iter()
        .map(|option| {
            std::array::from_fn(|index| {
                if norms[index] > 0.0 {
                    weights[index] * (option[index] / norms[index])
                } else {
                    0.0
                }
            })
        })
        .collect();
    let (best, worst) = extremes(&weighted);
    weighted
        .iter()
        .zip(options)
        .map(|(option, raw)| {
            let to_best = squares(option, &best);
            let to_worst = squares(option, &worst);
            let (near, far) = (length(&to_best), length(&to_worst));
            let score = closeness(near, far);
            let whole: f64 = to_worst.iter().sum();
            let parts = std::array::from_fn(|index| {
                score
                    * if whole > 0.0 {
                        to_worst[index] / whole
                    } else {
                        weights[index]
                    }
            });
            let pareto_optimal = !options.iter().any(|other| dominates(other, raw));
            Standing {
                score,
                parts,
                pareto_optimal,
            }
        })
        .collect()
}

/// The order of two standings, the better first.
pub fn better_first(a: &Standing, b: &Standing) -> std::cmp::Ordering {
    b.score
        .total_cmp(&a.score)
        .then(b.pareto_optimal.cmp(&a.pareto_optimal))
}

/// Whether `a` is at least as good as `b` in everything and better in something.
pub fn dominates(a: &PerCriterion, b: &PerCriterion) -> bool {
    let mut better = false;
    for (index, criterion) in Criterion::ALL.into_iter().enumerate() {
        let (a, b) = if criterion.more_is_better() {
            (b[index], a[index])
        } else {
            (a[index], b[index])
        };
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}

/// far / (near + far), in a form whose steps all rise with `far` and fall with `near`. An option that is
/// both best and worst is the only one, or all are alike: 1.
fn closeness(near: f64, far: f64) -> f64 {
    if near <= 0.0 {
        1.0
    } else if far <= 0.0 {
        0.0
    } else {
        1.0 / (1.0 + near / far)
    }
}

/// The best and the worst value of each criterion.
fn extremes(options: &[PerCriterion]) -> (PerCriterion, PerCriterion) {
    let least = |index: usize| {
        options
            .iter()
            .map(|option| option[index])
            .fold(f64::INFINITY, f64::min)
    };
    let most = |index: usize| {
        options
            .iter()
            .map(|option| option[index])
            .fold(0.0, f64::max)
    };
    let mut best = [0.0; COUNT];
    let mut worst = [0.0; COUNT];
    for (index, criterion) in Criterion::ALL.into_iter().enumerate() {
        let (low, high) = (least(index), most(index));
        (best[index], worst[index]) = if criterion.more_is_better() {
            (high, low)
        } else {
            (low, high)
        };
    }
    (best, worst)
}

fn squares(a: &PerCriterion, b: &PerCriterion) -> PerCriterion {
    std::array::from_fn(|index| (a[index] - b[index]).powi(2))
}

fn length(squares: &PerCriterion) -> f64 {
    squares.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const EVEN: PerCriterion = [0.2; COUNT];

    fn winner(options: &[PerCriterion], weights: &PerCriterion) -> usize {
        let standings = standings(options, weights);
        (0..options.len())
            .min_by(|a, b| better_first(&standings[*a], &standings[*b]))
            .unwrap()
    }

    #[test]
    fn a_worked_example() {
        // Two criteria that differ: cost 3 and 4, on time 0.8 and 0.6; both normalise to 0.6 and 0.8.
        let options = [
            [3.0, 0.8, 1.0, 0.0, 0.0],
            [4.0, 0.6, 1.0, 0.0, 0.0],
            [3.5, 0.7, 1.0, 0.0, 0.0],
        ];
        let standings = standings(&options, &EVEN);
        assert_eq!(standings[0].score, 1.0);
        assert_eq!(standings[1].score, 0.0);
        assert!((standings[2].score - 0.5).abs() < 1e-12);
        assert_eq!(
            standings.map(|standing| standing.pareto_optimal),
            [true, false, false]
        );
    }

    trait Map3 {
        fn map(&self, f: impl Fn(&Standing) -> bool) -> [bool; 3];
    }

    impl Map3 for Vec<Standing> {
        fn map(&self, f: impl Fn(&Standing) -> bool) -> [bool; 3] {
            [f(&self[0]), f(&self[1]), f(&self[2])]
        }
    }

    #[test]
    fn the_only_option_is_ideal() {
        let only = standings(&[[1.0, 0.5, 2.0, 3.0, 4.0]], &EVEN);
        assert_eq!((only[0].score, only[0].pareto_optimal), (1.0, true));
        assert!(standings(&[], &EVEN).is_empty());
        // Nothing but zeros is nothing to be nearer to.
        assert!(
            standings(&[[0.0; COUNT]; 3], &EVEN)
                .iter()
                .all(|standing| standing.score == 1.0)
        );
    }

    fn option() -> impl Strategy<Value = PerCriterion> {
        // Few different values, so that options often tie in some criteria.
        (1_u32..2000, 0_u32..100, 1_u32..9, 0_u32..6, 0_u32..4000).prop_map(
            |(cost, on_time, days, claims, co2e)| {
                [
                    f64::from(cost),
                    f64::from(on_time) / 100.0,
                    f64::from(days) * 24.0,
                    f64::from(claims),
                    f64::from(co2e),
                ]
            },
        )
    }

    proptest! {
        #[test]
        fn a_dominated_option_never_wins(
            options in prop::collection::vec(option(), 1..12), raw in prop::array::uniform5(0.01_f64..1.0),
            worse in prop::array::uniform5(0.0_f64..1e-9),
        ) {
            let mut options = options;
            // One that is worse by next to nothing.
            let mut shadow = options[0];
            for (index, by) in worse.iter().enumerate() {
                shadow[index] *= if index == 1 { 1.0 - by } else { 1.0 + by };
            }
            options.insert(0, shadow);
            let sum: f64 = raw.iter().sum();
            let weights = raw.map(|weight| weight / sum);
            let best = winner(&options, &weights);
            let standings = standings(&options, &weights);
            prop_assert!(standings[best].pareto_optimal);
            for other in &options {
                prop_assert!(!dominates(other, &options[best]));
            }
            for standing in &standings {
                prop_assert!((0.0..=1.0).contains(&standing.score));
                prop_assert!((standing.parts.iter().sum::<f64>() - standing.score).abs() < 1e-9);
            }
        }

        #[test]
        fn units_do_not_matter(options in prop::collection::vec(option(), 1..8), factor in 0.001_f64..1000.0) {
            let scaled: Vec<PerCriterion> = options.iter().map(|option| {
                let mut option = *option;
                option[0] *= factor;
                option[4] *= factor;
                option
            }).collect();
            for (a, b) in standings(&options, &EVEN).iter().zip(standings(&scaled, &EVEN)) {
                prop_assert!((a.score - b.score).abs() < 1e-9);
            }
        }
    }
}
