//! Why a service was chosen, in numbers and sentences.

use contracts::hub::agents::v1::Factor;

use super::{
    choice::{Choice, Ranked, Speed},
    criteria::{Criterion, Method, PerCriterion},
    sensitivity::{Flip, nearest_flip},
};

/// The factors of a choice, strongest first; none when there is no choice.
pub fn factors(choice: &Choice<'_>, method: Method) -> Vec<Factor> {
    let Some(best) = choice.options.first() else {
        return Vec::new();
    };
    let mut factors: Vec<Factor> = Criterion::ALL
        .into_iter()
        .enumerate()
        .map(|(index, criterion)| Factor {
            name: criterion.as_str().to_owned(),
            value: value(criterion, best),
            weight: choice.weights[index],
            contribution: best.standing.parts[index],
            sentence: sentence(criterion, index, best, &choice.options),
        })
        .collect();
    // A stable sort: of equal ones the order of the criteria decides.
    factors.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    if choice.speed == Speed::Fastest {
        factors.push(Factor {
            name: "speed".to_owned(),
            value: format!("{} working days", best.quote.transit_days),
            weight: 0.0,
            contribution: 0.0,
            sentence: format!(
                "No service keeps {} shipping to this address; the fastest were weighed.",
                method.as_str()
            ),
        });
    }
    let flip = nearest_flip(choice);
    factors.push(Factor {
        name: "stability".to_owned(),
        value: stability(flip.as_ref()),
        weight: 0.0,
        contribution: 0.0,
        sentence: stability_sentence(flip.as_ref(), choice, best),
    });
    factors
}

fn value(criterion: Criterion, option: &Ranked<'_>) -> String {
    let quote = &option.quote;
    match criterion {
        Criterion::Cost => quote.cost.to_string(),
        Criterion::Lateness => format!("{:.1} %", (1.0 - quote.on_time) * 100.0),
        Criterion::Time => quote
            .estimated_delivery
            .format("%Y-%m-%d %H:%M UTC")
            .to_string(),
        Criterion::Claims => format!("{} per 10,000", quote.service.claims_per_10k),
        Criterion::Co2e => format!("{} g", quote.co2e_grams),
    }
}

fn sentence(
    criterion: Criterion,
    index: usize,
    best: &Ranked<'_>,
    options: &[Ranked<'_>],
) -> String {
    let name = &best.quote.service.name;
    let what = value(criterion, best);
    let told = match criterion {
        Criterion::Cost => format!("{name} costs {what}"),
        Criterion::Lateness => format!("{name} is late with at most {what} of its parcels"),
        Criterion::Time => format!("{name} should arrive by {what}"),
        Criterion::Claims => format!("{name} has claims for {what} parcels"),
        Criterion::Co2e => format!("{name} emits {what} of CO2e"),
    };
    format!("{told}, {}.", standing(index, &best.values, options))
}

/// Where the best option stands among all in one criterion.
fn standing(index: usize, best: &PerCriterion, options: &[Ranked<'_>]) -> String {
    let count = options.len();
    if count == 1 {
        return "the only option".to_owned();
    }
    let better = options
        .iter()
        .filter(|option| option.values[index] < best[index])
        .count();
    if better == 0 {
        format!("the best of {count} options")
    } else {
        format!("place {} of {count} options", better + 1)
    }
}

fn stability(flip: Option<&Flip>) -> String {
    flip.map_or_else(
        || "no single weight".to_owned(),
        |flip| {
            let (from, to) = percentages(flip);
            format!("{} {from} -> {to}", flip.criterion.as_str())
        },
    )
}

fn stability_sentence(flip: Option<&Flip>, choice: &Choice<'_>, best: &Ranked<'_>) -> String {
    let name = &best.quote.service.name;
    let Some(flip) = flip else {
        return format!("No change of a single weight makes another option win over {name}.");
    };
    let way = if flip.to > flip.from {
        "rises"
    } else {
        "falls"
    };
    let winner = choice.options.get(flip.winner);
    let winner = winner.map_or("another", |option| option.quote.service.name.as_str());
    let (from, to) = percentages(flip);
    let criterion = flip.criterion.as_str().replace('_', " ");
    format!(
        "{name} stays the choice until the weight of {criterion} {way} from {from} to {to}; then {winner} wins."
    )
}

/// The weights of a flip, with as many digits as it takes to tell them apart.
fn percentages(flip: &Flip) -> (String, String) {
    let digits = if (flip.to - flip.from).abs() < 0.002 {
        4
    } else {
        1
    };
    let told = |weight: f64| format!("{:.digits$} %", weight * 100.0);
    (told(flip.from), told(flip.to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::{
        carrier_selection::{choice::choose, quote::Parcel},
        fixture,
        map::{self, Place},
        network::Network,
    };

    fn explained(zip: &str, method: Method) -> (f64, Vec<Factor>) {
        let network = Network::of(&fixture::carriers());
        let place = Place::of("US", "", zip);
        let parcel = Parcel {
            origin: map::nearest(place),
            country: "US".to_owned(),
            place,
            weight_grams: 800,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        };
        let choice = choose(&network, &parcel, method, None);
        (choice.options[0].standing.score, factors(&choice, method))
    }

    #[test]
    fn contributions_sum_to_the_score() {
        let (score, factors) = explained("10001", Method::Standard);
        let sum: f64 = factors.iter().map(|factor| factor.contribution).sum();
        assert!((sum - score).abs() < 1e-9);
        assert!(
            factors
                .windows(2)
                .all(|pair| pair[0].contribution >= pair[1].contribution)
        );
        assert!(factors.iter().all(|factor| factor.sentence.ends_with('.')));
        let cost = factors.iter().find(|factor| factor.name == "cost").unwrap();
        assert_eq!(
            cost.sentence,
            "Alpha Ground costs 13.00 USD, place 2 of 6 options."
        );
        let stability = factors
            .iter()
            .find(|factor| factor.name == "stability")
            .unwrap();
        assert!(
            stability.sentence.contains("wins"),
            "{}",
            stability.sentence
        );
    }

    #[test]
    fn it_says_when_nobody_is_fast_enough() {
        let (_, factors) = explained("96813", Method::Overnight);
        assert!(factors.iter().any(|factor| factor.name == "speed"));
    }
}
