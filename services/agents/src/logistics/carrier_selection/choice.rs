//! The choice: hard conditions first, then the ranking.

use std::cmp::Ordering;

use contracts::hub::r#type::v1::Money;

use super::{
    criteria::{Method, PerCriterion, values, weights},
    quote::{Parcel, Quote, quotes},
    topsis::{Field, Standing, better_first},
};
use crate::logistics::network::Network;

/// Which service, and which others were weighed.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The options, best first.
    pub options: Vec<Ranked<'a>>,
    /// Why other services were not weighed, for people.
    pub rejected: Vec<String>,
    /// The weights of the criteria.
    pub weights: PerCriterion,
    /// Whether the options are as fast as the customer paid for.
    pub speed: Speed,
}

/// Whether what the customer paid for is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Every option is fast enough.
    Kept,
    /// Nobody is; the options are the fastest there are. A late parcel is better than a cancelled order.
    Fastest,
}

/// An option.
#[derive(Clone, Debug)]
pub struct Ranked<'a> {
    /// What the service would do.
    pub quote: Quote<'a>,
    /// Its values by criterion.
    pub values: PerCriterion,
    /// How it does.
    pub standing: Standing,
}

/// Chooses who carries a parcel. `value` is that of the goods.
pub fn choose<'a>(
    network: &'a Network,
    parcel: &Parcel,
    method: Method,
    value: Option<&Money>,
) -> Choice<'a> {
    let (all, mut rejected) = quotes(network, parcel);
    let fastest = all
        .iter()
        .map(|quote| quote.transit_days)
        .min()
        .unwrap_or(0);
    let speed = if fastest <= method.most_transit_days() {
        Speed::Kept
    } else {
        Speed::Fastest
    };
    let limit = method.most_transit_days().max(fastest);
    let (weighed, slow): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|quote| quote.transit_days <= limit);
    rejected.extend(slow.iter().map(|quote| {
        let (service, days) = (quote.service, quote.transit_days);
        format!(
            "{} {}: {days} working days are too many for {}",
            service.carrier_id,
            service.level,
            method.as_str()
        )
    }));
    let weights = weights(method, value, weighed.first().map(|quote| quote.cost));
    let mut options = rank(
        weighed
            .into_iter()
            .map(|quote| (values(&quote, parcel), quote))
            .collect(),
        &weights,
    );
    options.sort_by(in_order);
    Choice {
        options,
        rejected,
        weights,
        speed,
    }
}

fn rank<'a>(quotes: Vec<(PerCriterion, Quote<'a>)>, weights: &PerCriterion) -> Vec<Ranked<'a>> {
    let values: Vec<PerCriterion> = quotes.iter().map(|(values, _)| *values).collect();
    let standings = Field::of(&values).standings(weights);
    quotes
        .into_iter()
        .zip(standings)
        .map(|((values, quote), standing)| Ranked {
            quote,
            values,
            standing,
        })
        .collect()
}

/// Equal standings are ordered by cost, then by name, so that the same parcel always goes the same way.
fn in_order(a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    better_first(&a.standing, &b.standing)
        .then_with(|| a.quote.cost.minor.cmp(&b.quote.cost.minor))
        .then_with(|| a.quote.service.carrier_id.cmp(&b.quote.service.carrier_id))
        .then_with(|| a.quote.service.level.cmp(&b.quote.service.level))
}

impl Choice<'_> {
    /// The options against the ideal, for other weights.
    pub fn field(&self) -> Field {
        let values: Vec<PerCriterion> = self.options.iter().map(|option| option.values).collect();
        Field::of(&values)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::logistics::{
        carrier_selection::topsis::dominates,
        fixture,
        map::{self, Place},
    };

    fn parcel(country: &str, zip: &str, grams: i64) -> Parcel {
        let place = Place::of(country, "", zip);
        Parcel {
            origin: map::nearest(place),
            country: country.to_owned(),
            place,
            weight_grams: grams,
            volume_cm3: 0,
            ready: "2026-11-23T15:00:00Z".parse().unwrap(),
        }
    }

    fn chosen(parcel: &Parcel, method: Method) -> String {
        let network = Network::of(&fixture::carriers());
        let choice = choose(&network, parcel, method, None);
        let service = choice.options[0].quote.service;
        format!(
            "{} {} {:?}",
            service.carrier_id, service.level, choice.speed
        )
    }

    #[test]
    fn golden_choices() {
        let near = parcel("US", "10001", 800);
        assert_eq!(chosen(&near, Method::Standard), "alpha ground Kept");
        assert_eq!(chosen(&near, Method::Overnight), "alpha express Kept");
        let far = Parcel {
            origin: map::origin("dc-east").unwrap(),
            ..parcel("US", "94103", 800)
        };
        // Half the lateness is worth its price to those who cannot wait.
        assert_eq!(chosen(&far, Method::Standard), "alpha ground Kept");
        assert_eq!(chosen(&far, Method::Express), "alpha overnight Kept");
        // Nobody is overnight to Hawaii: the fastest do their best.
        let hawaii = chosen(&parcel("US", "96813", 800), Method::Overnight);
        assert!(hawaii.ends_with("overnight Fastest"), "{hawaii}");
    }

    #[test]
    fn nobody_takes_it() {
        let network = Network::of(&fixture::carriers());
        let choice = choose(
            &network,
            &parcel("BR", "01000", 800),
            Method::Standard,
            None,
        );
        assert!(choice.options.is_empty());
        assert_eq!(choice.rejected.len(), network.services.len());
    }

    proptest! {
        #[test]
        fn the_choice_keeps_what_was_paid_for_and_is_not_dominated(
            zip in "[0-9]{5}", grams in 1_i64..80_000, volume in 0_i64..300_000, hours in 0_i64..10_000,
            origin in 0_usize..3,
        ) {
            let network = Network::of(&fixture::carriers());
            let parcel = Parcel {
                origin: &map::ORIGINS[origin],
                volume_cm3: volume,
                ready: "2026-01-05T15:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()
                    + chrono::TimeDelta::hours(hours),
                ..parcel("US", &zip, grams)
            };
            for method in [Method::Standard, Method::Express, Method::Overnight] {
                let choice = choose(&network, &parcel, method, None);
                prop_assert_eq!(choice.options.len() + choice.rejected.len(), network.services.len());
                let Some(best) = choice.options.first() else { continue };
                prop_assert!(best.standing.pareto_optimal);
                prop_assert!(best.quote.service.max_weight_grams >= parcel.billable_grams());
                prop_assert!(best.quote.estimated_delivery > parcel.ready);
                for option in &choice.options {
                    prop_assert!(!dominates(&option.values, &best.values));
                    if choice.speed == Speed::Kept {
                        prop_assert!(option.quote.transit_days <= method.most_transit_days());
                    }
                }
                prop_assert_eq!(choice.field().best(&choice.weights), Some(0));
            }
        }
    }
}
