//! The estimate: what is left of the present stage, then the stages after it, then the calendar.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    evidence::{Expectation, Observed, expect},
    hours::Hours,
    journey::{Journey, Progress},
    plan::{Plan, open_hours},
    stage::Stage,
};
use crate::logistics::{
    calendar::{Calendar, LAST_HOUR},
    network::{Network, Service},
};

/// Open hours within which what is overdue or held up goes on: a working day, by assumption.
const WITHIN_A_DAY: (usize, usize) = (1, 24);

/// When a parcel arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// One in ten arrives earlier.
    pub earliest: DateTime<Utc>,
    /// As likely earlier as later.
    pub median: DateTime<Utc>,
    /// One in ten arrives later.
    pub latest: DateTime<Utc>,
    /// The end of the day of the latest.
    pub promise: DateTime<Utc>,
    /// What lies ahead, in order.
    pub legs: Vec<Leg>,
}

/// Something that lies ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// What it is.
    pub kind: LegKind,
    /// How long it takes still, in open hours.
    pub hours: Hours,
    /// What that was learnt from: observations of the service, of the carrier, and the plan's weight.
    pub of_service: usize,
    /// Observations of the carrier, the service's included.
    pub of_carrier: usize,
    /// Weight of the plan, 0 to 1.
    pub plan_share: f64,
}

/// What lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegKind {
    /// Until the parcel goes on after an exception.
    Hold,
    /// What is left of a stage, or all of it.
    Stage(Stage),
    /// What is left of a stage that has lasted longer than it ever did.
    Overdue(Stage),
}

/// Estimates when a parcel arrives. `observed` has what is known of each stage, in the order of
/// [`Stage::ALL`]. `None` when the service has no working days in sight.
pub fn estimate(
    network: &Network,
    service: &Service,
    plan: &Plan,
    journey: &Journey,
    observed: &[Observed; 4],
    now: DateTime<Utc>,
) -> Option<Estimate> {
    let mut legs = Vec::new();
    if journey.progress == Progress::HeldUp {
        let hours = Hours::uniform(WITHIN_A_DAY.0, WITHIN_A_DAY.1);
        legs.push(Leg {
            kind: LegKind::Hold,
            hours,
            of_service: 0,
            of_carrier: 0,
            plan_share: 1.0,
        });
    }
    for stage in journey.stage.onwards() {
        let expected = expect(network, service, plan, stage, &observed[stage as usize]);
        legs.push(if stage == journey.stage {
            present(network, service, journey, expected, now)
        } else {
            leg(LegKind::Stage(stage), expected)
        });
    }
    let whole = legs
        .iter()
        .map(|leg| &leg.hours)
        .fold(Hours::uniform(0, 0), |whole, next| whole.then(next));
    let at = |p: f64| arrival(&service.calendar, now, whole.quantile(p));
    let latest = at(0.9)?;
    Some(Estimate {
        earliest: at(0.1)?,
        median: at(0.5)?,
        latest,
        promise: service
            .calendar
            .at_hour(service.calendar.day_of(latest), LAST_HOUR),
        legs,
    })
}

fn leg(kind: LegKind, expected: Expectation) -> Leg {
    let Expectation {
        hours,
        of_service,
        of_carrier,
        plan_share,
    } = expected;
    Leg {
        kind,
        hours,
        of_service,
        of_carrier,
        plan_share,
    }
}

/// What is left of the stage that the parcel is in.
fn present(
    network: &Network,
    service: &Service,
    journey: &Journey,
    expected: Expectation,
    now: DateTime<Utc>,
) -> Leg {
    let stage = journey.stage;
    let lasted = open_hours(service, journey.since, now);
    // While nothing has passed, nothing is known to be over: a stage of no hours is one, too.
    if lasted <= 0.0 {
        return leg(LegKind::Stage(stage), expected);
    }
    if let Some(left) = expected.hours.left_after(lasted) {
        return leg(
            LegKind::Stage(stage),
            Expectation {
                hours: left,
                ..expected
            },
        );
    }
    // Who missed a collection waits for the next; everything else should go on within a day.
    let next_collection = Plan::of(service, now, 1)
        .filter(|_| stage == Stage::LabelCreated)
        .map(|plan| expect(network, service, &plan, stage, &Observed::default()).hours);
    let hours = next_collection.unwrap_or_else(|| Hours::uniform(WITHIN_A_DAY.0, WITHIN_A_DAY.1));
    leg(
        LegKind::Overdue(stage),
        Expectation {
            hours,
            plan_share: 1.0,
            ..expected
        },
    )
}

/// When a parcel arrives that is at the door after this many open hours, at an hour at which vans deliver.
fn arrival(calendar: &Calendar, now: DateTime<Utc>, hours: usize) -> Option<DateTime<Utc>> {
    let open = TimeDelta::hours(i64::try_from(hours).ok()?);
    calendar.delivery_instant(calendar.after_open_time(now, open)?)
}

#[cfg(test)]
mod tests;
