//! Why an estimate is what it is, in hours and sentences.

use chrono::{DateTime, Utc};
use contracts::hub::agents::v1::{EtaStage, Factor};

use super::estimate::{Estimate, Leg, LegKind};

/// The factors: mean open hours of each leg, and what the calendar adds. They sum to the hours from now to
/// the median.
pub fn factors(estimate: &Estimate, service: &str, now: DateTime<Utc>) -> Vec<Factor> {
    let mut factors: Vec<Factor> = estimate
        .legs
        .iter()
        .map(|leg| factor(leg, service))
        .collect();
    let open: f64 = factors.iter().map(|factor| factor.contribution).sum();
    let closed = (estimate.median - now).num_minutes() as f64 / 60.0 - open;
    factors.push(Factor {
        name: "calendar".to_owned(),
        value: format!("{closed:.0} h"),
        weight: 1.0,
        contribution: closed,
        sentence: format!(
            "Closed days and the hours at which vans deliver move the arrival by {closed:.0} hours."
        ),
    });
    factors
}

/// How far the estimate is from what the carrier planned. It is told, not reckoned with.
pub fn against_plan(estimate: &Estimate, planned: DateTime<Utc>) -> Factor {
    let hours = (estimate.promise - planned).num_minutes() as f64 / 60.0;
    let told = if hours.abs() < 1.0 {
        "is".to_owned()
    } else {
        let way = if hours > 0.0 { "later" } else { "earlier" };
        format!("is {:.0} hours {way} than", hours.abs())
    };
    let sentence = format!("What can be promised now {told} what the carrier planned.");
    Factor {
        name: "carrier_plan".to_owned(),
        value: planned.format("%Y-%m-%d %H:%M UTC").to_string(),
        weight: 0.0,
        contribution: 0.0,
        sentence,
    }
}

fn factor(leg: &Leg, service: &str) -> Factor {
    let mean = leg.hours.mean();
    let told = match leg.kind {
        LegKind::Hold => format!(
            "An exception holds the parcel up, for a working day at most: {mean:.0} hours are reckoned."
        ),
        LegKind::Overdue(stage) => format!(
            "{} has lasted longer than expected; {mean:.0} hours more are reckoned.",
            stage.told()
        ),
        LegKind::Stage(stage) => format!(
            "{} takes {mean:.0} hours on working days: {} observations of {service}, {} of its carrier, \
             {:.0} % by the carrier's plan.",
            stage.told(),
            leg.of_service,
            leg.of_carrier,
            leg.plan_share * 100.0
        ),
    };
    Factor {
        name: name(leg.kind).to_owned(),
        value: format!(
            "{} h (90 %: {} h)",
            leg.hours.quantile(0.5),
            leg.hours.quantile(0.9)
        ),
        weight: 1.0 - leg.plan_share,
        contribution: mean,
        sentence: told,
    }
}

/// The legs as stages of the answer, in hours of the carrier's working days.
pub fn stages(estimate: &Estimate) -> Vec<EtaStage> {
    estimate
        .legs
        .iter()
        .map(|leg| EtaStage {
            name: name(leg.kind).to_owned(),
            median_hours: leg.hours.quantile(0.5) as f64,
            p90_hours: leg.hours.quantile(0.9) as f64,
            samples: i64::try_from(leg.of_carrier).unwrap_or(i64::MAX),
        })
        .collect()
}

/// How much of the estimate was observed rather than planned, 0 to 1: by legs, weighed by their hours.
pub fn observed_share(estimate: &Estimate) -> f64 {
    let hours: f64 = estimate.legs.iter().map(|leg| leg.hours.mean()).sum();
    if hours <= 0.0 {
        return 0.0;
    }
    estimate
        .legs
        .iter()
        .map(|leg| leg.hours.mean() * (1.0 - leg.plan_share))
        .sum::<f64>()
        / hours
}

const fn name(kind: LegKind) -> &'static str {
    match kind {
        LegKind::Hold => "exception",
        LegKind::Stage(stage) | LegKind::Overdue(stage) => stage.as_str(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::{
        eta::{
            estimate::estimate,
            journey::{Journey, Progress},
            plan::Plan,
            stage::Stage,
        },
        fixture,
        network::Network,
    };

    #[test]
    fn hours_sum_to_the_median() {
        let network = Network::of(&fixture::carriers());
        let service = network.find("beta", "ground").unwrap();
        let now = "2026-11-25T15:00:00Z".parse().unwrap();
        let plan = Plan::of(service, now, 4).unwrap();
        let journey = Journey {
            stage: Stage::LabelCreated,
            since: now,
            ready: now,
            progress: Progress::HeldUp,
        };
        let estimate =
            estimate(&network, service, &plan, &journey, &Default::default(), now).unwrap();
        let factors = factors(&estimate, "Beta Mail", now);
        let sum: f64 = factors.iter().map(|factor| factor.contribution).sum();
        assert!((sum - (estimate.median - now).num_minutes() as f64 / 60.0).abs() < 1e-6);
        assert_eq!(factors.len(), 6);
        // Thanksgiving and a Sunday.
        assert!(factors[5].contribution > 40.0, "{factors:?}");
        assert_eq!(observed_share(&estimate), 0.0);
        let names: Vec<String> = stages(&estimate)
            .into_iter()
            .map(|stage| stage.name)
            .collect();
        assert_eq!(
            names,
            [
                "exception",
                "label_created",
                "picked_up",
                "in_transit",
                "out_for_delivery"
            ]
        );
        let told =
            against_plan(&estimate, estimate.promise - chrono::TimeDelta::hours(24)).sentence;
        assert_eq!(
            told,
            "What can be promised now is 24 hours later than what the carrier planned."
        );
    }
}
