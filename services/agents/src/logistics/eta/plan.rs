//! How long the stages of a parcel take by the carrier's calendar, before anything was observed.
//!
//! The plan is the carrier's own: collected at the cut-off of the day of collection, `transit_days`
//! working days to the day of delivery, on the van from 8:00, at the door around 14:00. Durations are
//! open hours: a working day has 24, a closed one none. The spread around the plan is an assumption,
//! wide enough to give way to observations; how often the plan fails by whole days is the carrier's
//! record.

use chrono::{DateTime, NaiveDate, Utc};

use super::{hours::Hours, stage::Stage};
use crate::logistics::{calendar::FIRST_HOUR, network::Service};

/// Usual hours from collection to the first hub.
const TO_FIRST_HUB: f64 = 6.0;
/// Usual hours on the last van.
const ON_THE_VAN: f64 = 6.0;
const DAY: f64 = 24.0;
/// Of parcels that are late, the share that is late by one more working day still.
const STILL_LATE: f64 = 0.4;
/// Working days that a parcel may be late at most, by assumption.
const MOST_LATE: usize = 5;

/// Planned open hours of each stage, in the order of [`Stage::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan([f64; 4]);

impl Plan {
    /// For a parcel that is ready at `ready` and travels `transit_days` working days. `None` when the
    /// service's calendar has no working days ahead.
    pub fn of(service: &Service, ready: DateTime<Utc>, transit_days: u32) -> Option<Self> {
        let calendar = &service.calendar;
        let collected = calendar.at_hour(calendar.collection_day(ready)?, calendar.cutoff_hour());
        let wait = open_hours(service, ready, collected);
        let rest_of_day = DAY - f64::from(calendar.cutoff_hour());
        let until_van = rest_of_day + DAY * (f64::from(transit_days) - 1.0) + f64::from(FIRST_HOUR);
        Some(Self([
            wait,
            TO_FIRST_HUB,
            (until_van - TO_FIRST_HUB).max(1.0),
            ON_THE_VAN,
        ]))
    }

    /// For a parcel that was planned to arrive on a day: the days in transit are those in between.
    pub fn until(service: &Service, ready: DateTime<Utc>, arrival: NaiveDate) -> Option<Self> {
        let collected = service.calendar.collection_day(ready)?;
        let days = service
            .calendar
            .working_days_between(collected, arrival)
            .max(1);
        Self::of(service, ready, days)
    }

    /// Planned open hours of a stage.
    pub const fn hours(&self, stage: Stage) -> f64 {
        self.0[stage as usize]
    }

    /// What to expect of a stage before anything was observed.
    pub fn expectation(&self, stage: Stage, service: &Service) -> Hours {
        let planned = self.hours(stage).round().max(0.0) as usize;
        let around =
            |spread: usize| Hours::uniform(planned.saturating_sub(spread), planned + spread);
        match stage {
            Stage::LabelCreated => around(2),
            Stage::PickedUp => around(3),
            Stage::OutForDelivery => around(4),
            Stage::InTransit => delayed(&around(2), service),
        }
    }
}

/// With the carrier's record of being late, in whole working days whose shares fall by a fixed ratio. The
/// probability to be on time is the mean of its posterior under Jeffreys' prior.
fn delayed(in_time: &Hours, service: &Service) -> Hours {
    let on_time = (service.on_time as f64 + 0.5) / (service.delivered as f64 + 1.0);
    let late: Vec<Hours> = (1..=MOST_LATE)
        .map(|days| in_time.later_by(24 * days))
        .collect();
    let shares: Vec<f64> = (0..MOST_LATE)
        .map(|days| STILL_LATE.powi(i32::try_from(days).unwrap_or(0)))
        .collect();
    let whole: f64 = shares.iter().sum();
    let mut parts = vec![(on_time, in_time)];
    parts.extend(
        late.iter()
            .zip(&shares)
            .map(|(late, share)| ((1.0 - on_time) * share / whole, late)),
    );
    Hours::mixture(&parts)
}

/// Open hours between two instants by a service's calendar.
pub fn open_hours(service: &Service, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    service.calendar.open_time(from, to).num_seconds() as f64 / 3600.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logistics::{fixture, network::Network};

    #[test]
    fn the_plan_meets_the_promise() {
        let network = Network::of(&fixture::carriers());
        let service = network.find("alpha", "ground").unwrap();
        // Monday 10:00 in Denver: collected at 16:00, three working days, at the door around 14:00.
        let ready = "2026-11-23T17:00:00Z".parse().unwrap();
        let plan = Plan::of(service, ready, 3).unwrap();
        assert_eq!(plan.0, [6.0, 6.0, 58.0, 6.0]);
        // Thursday is a holiday: Friday.
        assert_eq!(
            Plan::until(service, ready, "2026-11-27".parse().unwrap()),
            Some(plan)
        );
        let arrives = service
            .calendar
            .after_open_time(ready, chrono::TimeDelta::hours(76))
            .unwrap();
        assert_eq!(arrives.to_rfc3339(), "2026-11-27T21:00:00+00:00");
        assert!(arrives <= service.calendar.promise(ready, 3).unwrap());
    }

    #[test]
    fn a_poor_record_has_a_long_tail() {
        let network = Network::of(&fixture::carriers());
        let ready = "2026-11-23T17:00:00Z".parse().unwrap();
        let expected = |carrier: &str| {
            let service = network.find(carrier, "ground").unwrap();
            Plan::of(service, ready, 3)
                .unwrap()
                .expectation(Stage::InTransit, service)
        };
        // Alpha is late with 4 % of its parcels, Beta with 11 %.
        assert_eq!(expected("alpha").quantile(0.95), 60);
        assert!(expected("beta").quantile(0.95) > 76);
    }
}
