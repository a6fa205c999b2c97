//! What counts in the choice of a carrier, and how much.

use contracts::hub::r#type::v1 as wire;
use mesh::Money;

use super::quote::{Parcel, Quote};

/// How fast the customer paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whenever it comes.
    Standard,
    /// A few days.
    Express,
    /// The next working day.
    Overnight,
}

impl Method {
    /// By its name; what is no name is standard.
    pub fn named(name: &str) -> Self {
        match name {
            "overnight" => Self::Overnight,
            "express" => Self::Express,
            _ => Self::Standard,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Express => "express",
            Self::Overnight => "overnight",
        }
    }

    /// Most working days in transit that keep what was paid for.
    pub const fn most_transit_days(self) -> u32 {
        match self {
            Self::Standard => u32::MAX,
            Self::Express => 3,
            Self::Overnight => 1,
        }
    }
}

/// A criterion. Of each, less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// What the shop pays.
    Cost,
    /// Upper bound of the probability to be late. Not the one to be on time: 98 and 92 in a hundred look
    /// alike, 2 and 8 late ones do not.
    Lateness,
    /// Hours until the parcel should arrive.
    Time,
    /// Claims per 10,000 parcels.
    Claims,
    /// Grams of CO2e.
    Co2e,
}

/// How many criteria there are.
pub const COUNT: usize = 5;

/// A number for each criterion, in the order of [`Criterion::ALL`].
pub type PerCriterion = [f64; COUNT];

impl Criterion {
    /// All of them.
    pub const ALL: [Self; COUNT] = [
        Self::Cost,
        Self::Lateness,
        Self::Time,
        Self::Claims,
        Self::Co2e,
    ];

    /// Name in explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Lateness => "lateness",
            Self::Time => "delivery_time",
            Self::Claims => "claims",
            Self::Co2e => "co2e",
        }
    }
}

/// A quote's values.
pub fn values(quote: &Quote<'_>, parcel: &Parcel) -> PerCriterion {
    let hours = (quote.estimated_delivery - parcel.ready).num_minutes() as f64 / 60.0;
    [
        quote.cost.minor as f64,
        1.0 - quote.on_time,
        hours,
        f64::from(quote.service.claims_per_10k),
        quote.co2e_grams as f64,
    ]
}

/// Goods from this value on, in minor units of the rate cards' currency, make claims count twice.
const VALUABLE_MINOR: i64 = 50_000;

/// The weights, which sum to 1. They are the shop's policy, not estimates: who pays for standard shipping
/// wants it cheap; who pays for speed wants it kept, though for the next day only fast services are weighed
/// anyway; claims matter more the dearer the goods.
pub fn weights(
    method: Method,
    value: Option<&wire::Money>,
    parcel_costs: Option<Money>,
) -> PerCriterion {
    let mut weights: PerCriterion = match method {
        Method::Standard => [0.55, 0.15, 0.10, 0.05, 0.15],
        Method::Express => [0.30, 0.30, 0.20, 0.10, 0.10],
        Method::Overnight => [0.45, 0.30, 0.10, 0.10, 0.05],
    };
    let value = value.and_then(|value| Money::try_from(value).ok());
    let valuable = value.zip(parcel_costs).is_some_and(|(value, cost)| {
        value.currency == cost.currency && value.minor >= VALUABLE_MINOR
    });
    if valuable {
        for (weight, criterion) in weights.iter_mut().zip(Criterion::ALL) {
            if criterion == Criterion::Claims {
                *weight *= 2.0;
            }
        }
        let sum: f64 = weights.iter().sum();
        weights = weights.map(|weight| weight / sum);
    }
    weights
}

#[cfg(test)]
mod tests {
    use mesh::Currency;

    use super::*;

    #[test]
    fn weights_sum_to_one() {
        let dear = Money::new(50_000, Currency::USD).to_wire();
        let costs = Some(Money::new(1000, Currency::USD));
        for method in [Method::Standard, Method::Express, Method::Overnight] {
            assert_eq!(Method::named(method.as_str()), method);
            let plain = weights(method, None, costs);
            let valuable = weights(method, Some(&dear), costs);
            for sum in [plain, valuable].map(|weights| weights.iter().sum::<f64>()) {
                assert!((sum - 1.0).abs() < 1e-12, "{sum}");
            }
            assert!(valuable[3] > plain[3]);
            // What is worth something in another currency is not compared.
            let euros = Money::new(50_000, Currency::EUR).to_wire();
            assert_eq!(weights(method, Some(&euros), costs), plain);
        }
    }
}
