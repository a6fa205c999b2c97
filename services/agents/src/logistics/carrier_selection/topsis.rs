//! TOPSIS: options by their closeness to the ideal (Hwang and Yoon, *Multiple Attribute Decision Making*,
//! 1981), with vector normalisation, and Pareto dominance beside it.
//!
//! An option that another one dominates cannot win: in no criterion is it nearer to the ideal or farther
//! from its opposite, and each step below rises or falls with those distances, in floating point too,
//! because correct rounding keeps the order of results. Rounding can only make the two equal; ties go to
//! the option that is not dominated.

use super::criteria::PerCriterion;

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

/// The options, measured against the ideal before any weight is put on a criterion: weights only scale
/// these distances, so many weightings of the same options cost little.
#[derive(Clone, Debug)]
pub struct Field {
    /// Squared distances from the best value, by option and criterion.
    near: Vec<PerCriterion>,
    /// Squared distances from the worst value.
    far: Vec<PerCriterion>,
    pareto_optimal: Vec<bool>,
}

impl Field {
    /// Measures options by their values, of which less is better and none is negative.
    pub fn of(options: &[PerCriterion]) -> Self {
        let norms: PerCriterion = std::array::from_fn(|index| {
            let squares = options.iter().map(|option| option[index].powi(2));
            squares.sum::<f64>().sqrt()
        });
        let normalised: Vec<PerCriterion> = options
            .iter()
            .map(|option| {
                std::array::from_fn(|index| {
                    if norms[index] > 0.0 {
                        option[index] / norms[index]
                    } else {
                        0.0
                    }
                })
            })
            .collect();
        let extreme = |start: f64, pick: fn(f64, f64) -> f64| -> PerCriterion {
            std::array::from_fn(|index| {
                normalised
                    .iter()
                    .map(|option| option[index])
                    .fold(start, pick)
            })
        };
        let (best, worst) = (extreme(f64::INFINITY, f64::min), extreme(0.0, f64::max));
        let from = |extreme: &PerCriterion| -> Vec<PerCriterion> {
            let squares = |option: &PerCriterion| {
                std::array::from_fn(|index| (option[index] - extreme[index]).powi(2))
            };
            normalised.iter().map(squares).collect()
        };
        let dominated = |option| options.iter().any(|other| dominates(other, option));
        Self {
            near: from(&best),
            far: from(&worst),
            pareto_optimal: options.iter().map(|option| !dominated(option)).collect(),
        }
    }

    /// The standing of each option under weights.
    pub fn standings(&self, weights: &PerCriterion) -> Vec<Standing> {
        (0..self.near.len())
            .map(|option| self.standing(option, weights))
            .collect()
    }

    /// The best option under weights.
    pub fn best(&self, weights: &PerCriterion) -> Option<usize> {
        let standings = self.standings(weights);
        (0..standings.len()).min_by(|a, b| better_first(&standings[*a], &standings[*b]))
    }

    fn standing(&self, option: usize, weights: &PerCriterion) -> Standing {
        let weighted = |squares: &PerCriterion| -> PerCriterion {
            std::array::from_fn(|index| weights[index].powi(2) * squares[index])
        };
        let far = weighted(&self.far[option]);
        let near: f64 = weighted(&self.near[option]).iter().sum();
        let whole: f64 = far.iter().sum();
        let score = closeness(near.sqrt(), whole.sqrt());
        let parts = std::array::from_fn(|index| {
            score
                * if whole > 0.0 {
                    far[index] / whole
                } else {
                    weights[index]
                }
        });
        Standing {
            score,
            parts,
            pareto_optimal: self.pareto_optimal[option],
        }
    }
}

/// The order of two standings, the better first.
pub fn better_first(a: &Standing, b: &Standing) -> std::cmp::Ordering {
    b.score
        .total_cmp(&a.score)
        .then(b.pareto_optimal.cmp(&a.pareto_optimal))
}

/// Whether `a` is at least as good as `b` in everything and better in something.
pub fn dominates(a: &PerCriterion, b: &PerCriterion) -> bool {
    let mut pairs = a.iter().zip(b);
    pairs.clone().all(|(a, b)| a <= b) && pairs.any(|(a, b)| a < b)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::logistics::carrier_selection::criteria::COUNT;

    const EVEN: PerCriterion = [0.2; COUNT];

    #[test]
    fn a_worked_example() {
        // Two criteria that differ, and the third option halfway in both.
        let options = [
            [3.0, 0.6, 1.0, 0.0, 0.0],
            [4.0, 0.8, 1.0, 0.0, 0.0],
            [3.5, 0.7, 1.0, 0.0, 0.0],
        ];
        let standings = Field::of(&options).standings(&EVEN);
        let expected = [(1.0, true), (0.0, false), (0.5, false)];
        for (standing, (score, pareto_optimal)) in standings.iter().zip(expected) {
            assert!((standing.score - score).abs() < 1e-12);
            assert_eq!(standing.pareto_optimal, pareto_optimal);
        }
    }

    #[test]
    fn the_only_option_is_ideal() {
        let only = Field::of(&[[1.0, 0.5, 2.0, 3.0, 4.0]]).standings(&EVEN);
        assert_eq!((only[0].score, only[0].pareto_optimal), (1.0, true));
        assert_eq!(Field::of(&[]).best(&EVEN), None);
        // Nothing but zeros is nothing to be nearer to.
        let alike = Field::of(&[[0.0; COUNT]; 3]).standings(&EVEN);
        assert!(alike.iter().all(|standing| standing.score == 1.0));
    }

    fn option() -> impl Strategy<Value = PerCriterion> {
        // Few different values, so that options often tie in some criteria.
        (1_u32..2000, 0_u32..100, 1_u32..9, 0_u32..6, 0_u32..4000).prop_map(
            |(cost, late, days, claims, co2e)| {
                [
                    f64::from(cost),
                    f64::from(late) / 100.0,
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
                shadow[index] *= 1.0 + by;
            }
            options.insert(0, shadow);
            let sum: f64 = raw.iter().sum();
            let weights = raw.map(|weight| weight / sum);
            let field = Field::of(&options);
            let best = field.best(&weights).unwrap();
            let standings = field.standings(&weights);
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
            let standings = |options: &[PerCriterion]| Field::of(options).standings(&EVEN);
            for (a, b) in standings(&options).iter().zip(standings(&scaled)) {
                prop_assert!((a.score - b.score).abs() < 1e-9);
            }
        }
    }
}
