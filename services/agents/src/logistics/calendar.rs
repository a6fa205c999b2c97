//! The days on which a carrier's service works, and time that passes only on those days.
//!
//! A service collects on the first working day whose cut-off has not passed; each day in transit is one
//! more working day (the rule of the shipping service). All days are those of the carrier's time zone.
//!
//! *Open time* is the time that passes on working days, midnight to midnight. A parcel that takes 20 open
//! hours takes 44 hours on the clock over a closed Sunday; durations measured in open time compare across
//! weekends, holidays and changes of the clocks.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// Hour of the day, local time, from which vans deliver.
pub const FIRST_HOUR: u32 = 8;
/// Hour of the day, local time, by which they have.
pub const LAST_HOUR: u32 = 20;
/// Days that a search may take: more than any run of closed days, less than for ever.
const MOST_DAYS: usize = 400;

/// When a service works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    time_zone: Tz,
    holidays: BTreeSet<NaiveDate>,
    /// Monday first.
    weekdays: [bool; 7],
    cutoff_hour: u32,
}

impl Calendar {
    /// With weekdays counted 1 Monday to 7 Sunday. `None` when none is a day of the week.
    pub fn new(
        time_zone: Tz,
        holidays: BTreeSet<NaiveDate>,
        weekdays: &[i32],
        cutoff_hour: u32,
    ) -> Option<Self> {
        let mut works = [false; 7];
        for (day, number) in works.iter_mut().zip(1..) {
            *day = weekdays.contains(&number);
        }
        works.contains(&true).then_some(Self {
            time_zone,
            holidays,
            weekdays: works,
            cutoff_hour,
        })
    }

    /// Hour of the day, local time, up to which it collects on the same day.
    pub const fn cutoff_hour(&self) -> u32 {
        self.cutoff_hour
    }

    /// The local date of an instant.
    pub fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.time_zone).date_naive()
    }

    /// Whether it works on a day.
    pub fn works_on(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_monday() as usize;
        self.weekdays[weekday] && !self.holidays.contains(&day)
    }

    /// The first working day from `day` on, itself included. `None` when there is none in sight.
    pub fn working_day(&self, day: NaiveDate) -> Option<NaiveDate> {
        day.iter_days()
            .take(MOST_DAYS)
            .find(|day| self.works_on(*day))
    }

    /// The day on which a parcel that is ready at `ready` is collected.
    pub fn collection_day(&self, ready: DateTime<Utc>) -> Option<NaiveDate> {
        let local = ready.with_timezone(&self.time_zone);
        let missed = u64::from(local.hour() >= self.cutoff_hour);
        self.working_day(local.date_naive().checked_add_days(Days::new(missed))?)
    }

    /// The working day that lies `days` working days after a working day.
    pub fn working_days_after(&self, from: NaiveDate, days: u32) -> Option<NaiveDate> {
        (0..days).try_fold(from, |day, _| self.working_day(day.succ_opt()?))
    }

    /// How many working days lie after `from`, up to and including `to`.
    pub fn working_days_between(&self, from: NaiveDate, to: NaiveDate) -> u32 {
        let days = from
            .iter_days()
            .skip(1)
            .take(MOST_DAYS)
            .take_while(|day| *day <= to);
        days.map(|day| u32::from(self.works_on(day))).sum()
    }

    /// The time by which a parcel is promised that is ready at `ready` and travels `transit_days`.
    pub fn promise(&self, ready: DateTime<Utc>, transit_days: u32) -> Option<DateTime<Utc>> {
        let day = self.working_days_after(self.collection_day(ready)?, transit_days)?;
        Some(self.at_hour(day, LAST_HOUR))
    }

    /// An hour of a local day. One that the clocks skip is the next that they show.
    pub fn at_hour(&self, day: NaiveDate, hour: u32) -> DateTime<Utc> {
        let naive = day.and_time(chrono::NaiveTime::MIN) + TimeDelta::hours(hour.into());
        (0..4)
            .find_map(|skipped| {
                let local = naive + TimeDelta::minutes(30 * skipped);
                self.time_zone.from_local_datetime(&local).earliest()
            })
            .map_or_else(|| naive.and_utc(), |local| local.with_timezone(&Utc))
    }

    /// Open time between two instants; none when `to` is not later. Counts at most 400 days.
    pub fn open_time(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> TimeDelta {
        let mut open = TimeDelta::zero();
        let mut day = self.day_of(from);
        for _ in 0..MOST_DAYS {
            let (starts, ends) = self.bounds(day);
            if starts >= to {
                break;
            }
            if self.works_on(day) {
                open += (ends.min(to) - starts.max(from)).max(TimeDelta::zero());
            }
            let Some(next) = day.succ_opt() else { break };
            day = next;
        }
        open
    }

    /// The instant at which `open` has passed since `from`. `None` when it is out of sight.
    pub fn after_open_time(&self, from: DateTime<Utc>, open: TimeDelta) -> Option<DateTime<Utc>> {
        let mut left = open.max(TimeDelta::zero());
        let mut day = self.day_of(from);
        for _ in 0..MOST_DAYS {
            if self.works_on(day) {
                let (starts, ends) = self.bounds(day);
                let begin = starts.max(from);
                let here = (ends - begin).max(TimeDelta::zero());
                if left <= here {
                    return Some(begin + left);
                }
                left -= here;
            }
            day = day.succ_opt()?;
        }
        None
    }

    /// The first instant from `at` on at which a parcel can arrive: a working day, between
    /// [`FIRST_HOUR`] and [`LAST_HOUR`].
    pub fn delivery_instant(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = self.day_of(at);
        if self.works_on(today) && at <= self.at_hour(today, LAST_HOUR) {
            return Some(at.max(self.at_hour(today, FIRST_HOUR)));
        }
        let day = self.working_day(today.succ_opt()?)?;
        Some(self.at_hour(day, FIRST_HOUR))
    }

    /// Midnight to midnight.
    fn bounds(&self, day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.at_hour(day, 0), self.at_hour(day, 24))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn denver() -> Calendar {
        let holidays = ["2026-11-26", "2026-12-25", "2028-02-29"].map(|day| day.parse().unwrap());
        Calendar::new(
            Tz::America__Denver,
            holidays.into(),
            &[1, 2, 3, 4, 5, 6],
            16,
        )
        .unwrap()
    }

    #[test]
    fn promises_are_those_of_the_shipping_service() {
        let calendar = denver();
        for (ready, days, expected) in [
            // Friday noon: collected at once, Saturday counts, Sunday does not.
            ("2026-11-20T19:00:00Z", 2, "2026-11-24T03:00:00Z"),
            // An hour after the cut-off.
            ("2026-11-21T00:00:00Z", 2, "2026-11-25T03:00:00Z"),
            // Over Thanksgiving.
            ("2026-11-25T18:00:00Z", 1, "2026-11-28T03:00:00Z"),
            // In summer the clocks are an hour ahead.
            ("2026-07-06T14:00:00Z", 3, "2026-07-10T02:00:00Z"),
        ] {
            assert_eq!(
                calendar.promise(at(ready), days),
                Some(at(expected)),
                "{ready}"
            );
        }
    }

    #[test]
    fn days_of_23_and_25_hours_and_leap_days() {
        let every_day = Calendar::new(
            Tz::America__Denver,
            BTreeSet::new(),
            &[1, 2, 3, 4, 5, 6, 7],
            16,
        )
        .unwrap();
        let day = |date: &str| {
            let date: NaiveDate = date.parse().unwrap();
            let midnight = |date| every_day.at_hour(date, 0);
            every_day
                .open_time(midnight(date), midnight(date.succ_opt().unwrap()))
                .num_hours()
        };
        assert_eq!(
            (day("2026-03-08"), day("2026-11-01"), day("2028-02-29")),
            (23, 25, 24)
        );
        // 02:30 does not exist on that Sunday; the clocks show 03:00 next.
        assert_eq!(
            every_day.at_hour("2026-03-08".parse().unwrap(), 2),
            at("2026-03-08T09:00:00Z")
        );
        // The leap day is a Tuesday, and a holiday here.
        let ready = at("2028-02-28T18:00:00Z");
        assert_eq!(denver().promise(ready, 1), Some(at("2028-03-02T03:00:00Z")));
        assert_eq!(
            every_day.promise(ready, 1),
            Some(at("2028-03-01T03:00:00Z"))
        );
    }

    #[test]
    fn no_working_day_is_no_calendar_and_no_end_of_holidays_no_answer() {
        assert!(Calendar::new(Tz::UTC, BTreeSet::new(), &[0, 8], 16).is_none());
        let first: NaiveDate = "2026-01-01".parse().unwrap();
        let closed =
            Calendar::new(Tz::UTC, first.iter_days().take(900).collect(), &[1], 16).unwrap();
        assert_eq!(closed.promise(at("2026-01-01T00:00:00Z"), 1), None);
        assert_eq!(
            closed.after_open_time(at("2026-01-01T00:00:00Z"), TimeDelta::hours(1)),
            None
        );
    }

    proptest! {
        #[test]
        fn open_time_is_measured_as_it_passes(start in 1_767_225_600_i64..1_860_000_000, minutes in 1_i64..60_000) {
            let calendar = denver();
            let from = DateTime::from_timestamp(start, 0).unwrap();
            let open = TimeDelta::minutes(minutes);
            let to = calendar.after_open_time(from, open).unwrap();
            prop_assert_eq!(calendar.open_time(from, to), open);
            prop_assert!(to - from >= open);
            let later = calendar.after_open_time(from, open + TimeDelta::minutes(7)).unwrap();
            prop_assert!(later > to);
        }

        #[test]
        fn parcels_arrive_on_working_days_by_day(start in 1_767_225_600_i64..1_860_000_000, gap in 0_i64..200_000) {
            let calendar = denver();
            let at = DateTime::from_timestamp(start, 0).unwrap();
            let arrival = calendar.delivery_instant(at).unwrap();
            prop_assert!(arrival >= at);
            let local = arrival.with_timezone(&Tz::America__Denver);
            prop_assert!(calendar.works_on(local.date_naive()));
            prop_assert!((8..=20).contains(&local.hour()));
            let later = calendar.delivery_instant(at + TimeDelta::seconds(gap)).unwrap();
            prop_assert!(later >= arrival);
        }

        #[test]
        fn working_days_are_counted_as_they_are_gone(start in 20_454_i64..21_500, days in 0_u32..30) {
            let calendar = denver();
            let day = DateTime::from_timestamp(start * 86_400, 0).unwrap().date_naive();
            let from = calendar.working_day(day).unwrap();
            let to = calendar.working_days_after(from, days).unwrap();
            prop_assert_eq!(calendar.working_days_between(from, to), days);
        }
    }
}
