//! How firmly the choice stands: the smallest change of one weight that would make another option win.

use super::{
    choice::Choice,
    criteria::{Criterion, PerCriterion},
    topsis::Field,
};

/// Steps in which a weight is moved over its range before the exact place is sought.
const STEPS: u32 = 50;
const HALVINGS: u32 = 20;

/// A change of one weight that changes the winner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flip {
    /// Whose weight.
    pub criterion: Criterion,
    /// Its weight now.
    pub from: f64,
    /// The weight at which the winner changes; all others keep their proportions.
    pub to: f64,
    /// The option that wins beyond, as an index into the choice's options.
    pub winner: usize,
}

/// The smallest change; `None` when no single weight changes the winner.
pub fn nearest_flip(choice: &Choice<'_>) -> Option<Flip> {
    if choice.options.len() < 2 {
        return None;
    }
    let field = choice.field();
    let by_change = |a: &Flip, b: &Flip| (a.to - a.from).abs().total_cmp(&(b.to - b.from).abs());
    Criterion::ALL
        .into_iter()
        .enumerate()
        .flat_map(|(index, criterion)| {
            [0.0, 1.0].map(|end| flip(&field, &choice.weights, index, criterion, end))
        })
        .flatten()
        .min_by(by_change)
}

/// Moves the weight from where it is towards `end` until another option wins.
fn flip(
    field: &Field,
    weights: &PerCriterion,
    index: usize,
    criterion: Criterion,
    end: f64,
) -> Option<Flip> {
    let from = weights[index];
    let winner_at = |share: f64| {
        let moved = from + (end - from) * share;
        field.best(&with_weight(weights, index, moved)).unwrap_or(0)
    };
    let first = (1..=STEPS).find(|step| winner_at(f64::from(*step) / f64::from(STEPS)) != 0)?;
    let mut same = f64::from(first - 1) / f64::from(STEPS);
    let mut other = f64::from(first) / f64::from(STEPS);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(same, other);
        if winner_at(middle) == 0 {
            same = middle;
        } else {
            other = middle;
        }
    }
    Some(Flip {
        criterion,
        from,
        to: from + (end - from) * other,
        winner: winner_at(other),
    })
}

/// The weights with one of them set, the others in their proportions, in sum 1.
fn with_weight(weights: &PerCriterion, index: usize, weight: f64) -> PerCriterion {
    let rest = 1.0 - weights[index];
    let factor = if rest > 0.0 {
        (1.0 - weight) / rest
    } else {
        0.0
    };
    std::array::from_fn(|other| {
        if other == index {
            weight
        } else {
            weights[other] * factor
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::{
        carrier_selection::{choice::choose, criteria::Method, quote::Parcel},
        fixture,
        map::{self, Place},
        network::Network,
    };

    #[test]
    fn the_winner_changes_there_and_not_before() {
        let network = Network::of(&fixture::carriers());
        let place = Place::of("US", "", "60601");
        let parcel = Parcel {
            origin: map::nearest(place),
            country: "US".to_owned(),
            place,
            weight_grams: 2000,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        };
        for method in [Method::Standard, Method::Express, Method::Overnight] {
            let choice = choose(&network, &parcel, method, None);
            let flip = nearest_flip(&choice).unwrap();
            let index = Criterion::ALL
                .iter()
                .position(|known| *known == flip.criterion)
                .unwrap();
            assert!((flip.from - choice.weights[index]).abs() < 1e-12);
            let beyond = with_weight(&choice.weights, index, flip.to);
            assert_eq!(choice.field().best(&beyond), Some(flip.winner));
            assert_ne!(flip.winner, 0);
            let before = with_weight(
                &choice.weights,
                index,
                flip.to + (flip.from - flip.to) * 1e-3,
            );
            assert_eq!(choice.field().best(&before), Some(0));
            assert!((beyond.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn one_option_stands_for_ever() {
        let network = Network::of(&fixture::carriers()[2..3]);
        let place = Place::of("US", "", "60601");
        let parcel = Parcel {
            origin: map::nearest(place),
            country: "US".to_owned(),
            place,
            weight_grams: 2000,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        };
        assert_eq!(
            nearest_flip(&choose(&network, &parcel, Method::Standard, None)),
            None
        );
    }
}
