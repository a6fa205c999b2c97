#![allow(clippy::unwrap_used)]
//! Estimates under drawn journeys: order, calendars, and what scans are worth.

use chrono::Timelike;
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::logistics::{eta::evidence::StageTime, fixture};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn nothing() -> [Observed; 4] {
    Default::default()
}

fn waiting(ready: DateTime<Utc>) -> Journey {
    Journey {
        stage: Stage::LabelCreated,
        since: ready,
        ready,
        progress: Progress::Moving,
    }
}

fn estimated(service: &str, journey: &Journey, days: u32, now: DateTime<Utc>) -> Estimate {
    let network = Network::of(&fixture::carriers());
    let service = network.find("alpha", service).unwrap();
    let plan = Plan::of(service, journey.ready, days).unwrap();
    estimate(&network, service, &plan, journey, &nothing(), now).unwrap()
}

#[test]
fn golden_estimates() {
    // Monday 10:00 in Denver, three working days, over Thanksgiving: Friday around 14:00.
    let ready = at("2026-11-23T17:00:00Z");
    let friday = estimated("ground", &waiting(ready), 3, ready);
    assert_eq!(friday.median.to_rfc3339(), "2026-11-27T21:00:00+00:00");
    assert_eq!(friday.promise, at("2026-11-28T03:00:00Z"));
    // Held up on the way, a working day more at most; the day is Saturday.
    let held = Journey {
        stage: Stage::InTransit,
        since: ready,
        ready,
        progress: Progress::HeldUp,
    };
    let later = estimated(
        "ground",
        &Journey {
            progress: Progress::Moving,
            ..held
        },
        3,
        ready,
    );
    assert!(estimated("ground", &held, 3, ready).median > later.median);
    // On the van since eight, and it is nine at night: tomorrow.
    let van = Journey {
        stage: Stage::OutForDelivery,
        since: at("2026-11-24T15:00:00Z"),
        ready,
        progress: Progress::Moving,
    };
    let overdue = estimated("ground", &van, 1, at("2026-11-25T04:00:00Z"));
    assert_eq!(
        overdue.legs[0].kind,
        LegKind::Overdue(Stage::OutForDelivery)
    );
    assert_eq!(overdue.median.date_naive().to_string(), "2026-11-25");
    // Nobody came to collect it on Monday: it goes on Tuesday.
    let missed = estimated("ground", &waiting(ready), 3, at("2026-11-24T13:00:00Z"));
    assert_eq!(missed.legs[0].kind, LegKind::Overdue(Stage::LabelCreated));
    assert_eq!(missed.median.date_naive().to_string(), "2026-11-28");
}

#[test]
fn clocks_and_leap_days() {
    // Over the night of 8 March 2026 the clocks go forward; the parcel still comes around 14:00 local.
    for (ready, days, expected) in [
        ("2026-03-06T18:00:00Z", 2, "2026-03-09T20:00:00+00:00"),
        ("2026-10-30T17:00:00Z", 2, "2026-11-02T21:00:00+00:00"),
        ("2028-02-28T18:00:00Z", 2, "2028-03-01T21:00:00+00:00"),
    ] {
        let ready = at(ready);
        let estimate = estimated("ground", &waiting(ready), days, ready);
        assert_eq!(estimate.median.to_rfc3339(), expected);
    }
}

/// A number that follows from the seed, 0 up to `below`.
fn draw(seed: &mut u64, below: u64) -> u64 {
    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % below
}

#[test]
fn scans_narrow_the_estimate_on_average_and_it_covers_what_it_says() {
    let network = Network::of(&fixture::carriers());
    let service = network.find("alpha", "ground").unwrap();
    let mut seed = 20_261_121;
    let (mut widths, mut covered, mut kept) = ([0.0_f64; 4], 0_u32, 0_u32);
    let parcels = 150;
    for _ in 0..parcels {
        let minutes = i64::try_from(draw(&mut seed, 400 * 1440)).unwrap();
        let ready = at("2026-01-05T00:00:00Z") + TimeDelta::minutes(minutes);
        let days = u32::try_from(1 + draw(&mut seed, 6)).unwrap();
        let plan = Plan::of(service, ready, days).unwrap();
        let mut now = ready;
        let mut first = None;
        for stage in Stage::ALL {
            let journey = Journey {
                stage,
                since: now,
                ready,
                progress: Progress::Moving,
            };
            let estimate = estimate(&network, service, &plan, &journey, &nothing(), now).unwrap();
            widths[stage as usize] +=
                (estimate.latest - estimate.earliest).num_minutes() as f64 / 60.0;
            first.get_or_insert((estimate.earliest, estimate.latest, estimate.promise));
            let share = (draw(&mut seed, 1_000_000) as f64 + 0.5) / 1e6;
            let took = plan.expectation(stage, service).quantile(share);
            now = service
                .calendar
                .after_open_time(now, TimeDelta::hours(i64::try_from(took).unwrap()))
                .unwrap();
        }
        let arrived = service.calendar.delivery_instant(now).unwrap();
        let (earliest, latest, promise) = first.unwrap();
        covered += u32::from((earliest..=latest).contains(&arrived));
        kept += u32::from(arrived <= promise);
    }
    // An hour is the grid.
    let widths = widths.map(|width| width / f64::from(parcels));
    assert!(
        widths.windows(2).all(|pair| pair[1] <= pair[0] + 1.0),
        "{widths:?}"
    );
    assert!(widths[3] < widths[0], "{widths:?}");
    assert!(
        f64::from(covered) >= 0.74 * f64::from(parcels),
        "{covered} of {parcels}"
    );
    assert!(
        f64::from(kept) >= 0.87 * f64::from(parcels),
        "{kept} of {parcels}"
    );
}

fn stage_times(level: &'static str) -> impl Strategy<Value = Vec<StageTime>> {
    let time =
        (0_i64..8000, 0_i64..90, 0_i64..90, 1_i64..9).prop_map(move |(start, wait, took, days)| {
            let scheduled_at = at("2026-01-05T15:00:00Z") + TimeDelta::hours(start);
            let entered_at = scheduled_at + TimeDelta::hours(wait);
            StageTime {
                service_level: level.to_owned(),
                scheduled_at,
                planned_delivery: scheduled_at + TimeDelta::days(days),
                entered_at,
                left_at: entered_at + TimeDelta::hours(took),
            }
        });
    prop::collection::vec(time, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn quantiles_are_in_order_on_open_days(
        start in 1_767_225_600_i64..1_860_000_000, days in 1_u32..9, lasted in 0_i64..400, stage in 0_usize..4,
        held in any::<bool>(), own in stage_times("ground"), other in stage_times("express"),
    ) {
        let network = Network::of(&fixture::carriers());
        let service = network.find("alpha", "ground").unwrap();
        let ready = DateTime::from_timestamp(start, 0).unwrap();
        let plan = Plan::of(service, ready, days).unwrap();
        let progress = if held { Progress::HeldUp } else { Progress::Moving };
        let journey = Journey { stage: Stage::ALL[stage], since: ready, ready, progress };
        let observed = Stage::ALL.map(|_| Observed {
            service: own.clone(),
            carrier: own.iter().chain(&other).cloned().collect(),
        });
        let now = ready + TimeDelta::hours(lasted);
        let estimate = estimate(&network, service, &plan, &journey, &observed, now).unwrap();
        prop_assert!(now <= estimate.earliest && estimate.earliest <= estimate.median);
        prop_assert!(estimate.median <= estimate.latest && estimate.latest <= estimate.promise);
        for instant in [estimate.earliest, estimate.median, estimate.latest, estimate.promise] {
            let local = instant.with_timezone(&Tz::America__Denver);
            prop_assert!(service.calendar.works_on(local.date_naive()), "{}", local);
            prop_assert!((8..=20).contains(&local.hour()));
        }
        prop_assert_eq!(estimate.legs.len(), 4 - stage + usize::from(held));
    }

    #[test]
    fn it_does_not_slide_backwards_in_time(start in 1_767_225_600_i64..1_860_000_000, days in 1_u32..6, lasted in 0_i64..200) {
        // While no scan comes, the estimate may only get later.
        let ready = DateTime::from_timestamp(start, 0).unwrap();
        let journey = Journey { stage: Stage::InTransit, ..waiting(ready) };
        let now = ready + TimeDelta::hours(lasted);
        let here = estimated("ground", &journey, days, now);
        let later = estimated("ground", &journey, days, now + TimeDelta::hours(5));
        // The grid's rounding of what has passed may take an hour back.
        prop_assert!(later.latest + TimeDelta::hours(1) >= here.earliest);
        prop_assert!(later.median >= now + TimeDelta::hours(5));
    }
}
