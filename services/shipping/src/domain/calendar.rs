//! When a parcel arrives.
//!
//! A service moves parcels on its weekdays, except on the carrier's holidays. It collects on the first
//! such day whose cut-off has not passed, and each day in transit is one more such day; the last of
//! them is the day of delivery. All days are those of the carrier's time zone.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};

use super::carriers::{Carrier, CarrierService};

/// Parcels are promised by this hour of the day, local time.
pub const DELIVERED_BY_HOUR: u32 = 20;
/// Days that a search for a working day may take: more than any run of holidays.
const LONGEST_PAUSE: u32 = 60;

/// Whether the service works on a day.
pub fn works_on(carrier: &Carrier, service: &CarrierService, day: NaiveDate) -> bool {
    service
        .delivery_weekdays
        .contains(&day.weekday().number_from_monday())
        && carrier.holidays.binary_search(&day).is_err()
}

/// The first working day from `day` on, itself included. `None` when the calendar ends before.
fn working_day(carrier: &Carrier, service: &CarrierService, day: NaiveDate) -> Option<NaiveDate> {
    day.iter_days()
        .take(LONGEST_PAUSE as usize)
        .find(|day| works_on(carrier, service, *day))
}

/// The day on which a parcel that is ready at `ready` is collected.
pub fn collection_day(
    carrier: &Carrier,
    service: &CarrierService,
    ready: DateTime<Utc>,
) -> Option<NaiveDate> {
    let local = ready.with_timezone(&carrier.time_zone);
    let today = local.date_naive();
    let first = if local.hour() < service.cutoff_hour {
        today
    } else {
        today.checked_add_days(Days::new(1))?
    };
    working_day(carrier, service, first)
}

/// The day on which a parcel arrives after `transit_days` working days.
pub fn delivery_day(
    carrier: &Carrier,
    service: &CarrierService,
    ready: DateTime<Utc>,
    transit_days: u32,
) -> Option<NaiveDate> {
    let mut day = collection_day(carrier, service, ready)?;
    for _ in 0..transit_days {
        day = working_day(carrier, service, day.checked_add_days(Days::new(1))?)?;
    }
    Some(day)
}

/// The time by which a parcel is promised.
pub fn promise(
    carrier: &Carrier,
    service: &CarrierService,
    ready: DateTime<Utc>,
    transit_days: u32,
) -> Option<DateTime<Utc>> {
    let day = delivery_day(carrier, service, ready, transit_days)?;
    let time = NaiveTime::from_hms_opt(DELIVERED_BY_HOUR, 0, 0)?;
    // An hour that the clocks skip does not fall into the evening; were it so, an hour later is right.
    let local = carrier.time_zone.from_local_datetime(&day.and_time(time));
    local
        .earliest()
        .or_else(|| {
            let later = day.and_time(time) + TimeDelta::hours(1);
            carrier.time_zone.from_local_datetime(&later).earliest()
        })
        .map(|local| local.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::domain::carriers::Carriers;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn promised(carrier: &str, service: &str, ready: &str, days: u32) -> String {
        let carriers = Carriers::load().unwrap();
        let (carrier, service) = carriers.find(carrier, service).unwrap();
        promise(carrier, service, at(ready), days)
            .unwrap()
            .to_rfc3339()
    }

    #[test]
    fn golden_promises() {
        // Friday 20 November 2026, noon in Denver: collected at once, Saturday counts, Sunday does not.
        assert_eq!(
            promised("summit-express", "ground", "2026-11-20T19:00:00Z", 2),
            "2026-11-24T03:00:00+00:00"
        );
        // An hour after the cut-off it is collected on Saturday.
        assert_eq!(
            promised("summit-express", "ground", "2026-11-21T00:00:00Z", 2),
            "2026-11-25T03:00:00+00:00"
        );
        // Overnight does not work on weekends: collected on Monday.
        assert_eq!(
            promised("summit-express", "overnight", "2026-11-21T18:00:00Z", 1),
            "2026-11-25T03:00:00+00:00"
        );
        // The day before Thanksgiving: nobody delivers on Thursday.
        assert_eq!(
            promised("summit-express", "overnight", "2026-11-25T18:00:00Z", 1),
            "2026-11-28T03:00:00+00:00"
        );
        // The sleighs drive on Sundays and on Christmas Day, and rest the day after.
        assert_eq!(
            promised("sleigh-courier", "overnight", "2026-12-25T18:00:00Z", 1),
            "2026-12-28T04:00:00+00:00"
        );
        // In summer the clocks are an hour ahead.
        assert_eq!(
            promised("polar-post", "ground", "2026-07-06T14:00:00Z", 3),
            "2026-07-10T00:00:00+00:00"
        );
    }

    proptest! {
        #[test]
        fn delivery_is_on_a_working_day_and_grows_with_transit(
            seconds in 1_767_225_600_i64..1_830_297_600, // 2026 and 2027
            days in 1_u32..12,
        ) {
            let ready = DateTime::from_timestamp(seconds, 0).unwrap();
            for carrier in Carriers::load().unwrap().all() {
                for service in &carrier.services {
                    let collected = collection_day(carrier, service, ready).unwrap();
                    let day = delivery_day(carrier, service, ready, days).unwrap();
                    prop_assert!(works_on(carrier, service, collected));
                    prop_assert!(works_on(carrier, service, day));
                    prop_assert!(!carrier.holidays.contains(&day));
                    prop_assert!(collected >= ready.with_timezone(&carrier.time_zone).date_naive());
                    let longer = delivery_day(carrier, service, ready, days + 1).unwrap();
                    prop_assert!(longer > day);
                    prop_assert!((day - collected).num_days() >= i64::from(days));
                    let later = ready + TimeDelta::hours(7);
                    prop_assert!(delivery_day(carrier, service, later, days).unwrap() >= day);
                    prop_assert!(promise(carrier, service, ready, days).unwrap() > ready);
                }
            }
        }
    }
}
