//! `google.protobuf.Timestamp` as RFC 3339.
//!
//! The calendar arithmetic is Howard Hinnant's, "chrono-compatible low-level date algorithms"
//! (<https://howardhinnant.github.io/date_algorithms.html>): days since 1970-01-01 to and from the
//! proleptic Gregorian calendar, with years that begin in March.

use super::{parse_fraction, put_fraction};

/// 0001-01-01T00:00:00Z.
const MIN_SECONDS: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const MAX_SECONDS: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// Why a text is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    Syntax,
    Range,
}

/// Appends the timestamp without quotes; `false` when it is outside of the years 1 to 9999.
pub(crate) fn put(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    let Ok(nanos @ 0..=999_999_999) = u32::try_from(nanos) else {
        return false;
    };
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
        return false;
    }
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let mut text = *b"0000-00-00T00:00:00";
    let mut place = |at: usize, width: usize, mut value: i64| {
        for slot in text[at..at + width].iter_mut().rev() {
            *slot = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    place(0, 4, year);
    place(5, 2, month);
    place(8, 2, day);
    place(11, 2, second / 3600);
    place(14, 2, second / 60 % 60);
    place(17, 2, second % 60);
    out.extend_from_slice(&text);
    put_fraction(nanos, out);
    out.push(b'Z');
    true
}

/// Seconds and nanoseconds since 1970 of an RFC 3339 text with any offset.
pub(crate) fn parse(text: &[u8]) -> Result<(i64, i32), Invalid> {
    let (date_time, rest) = text.split_first_chunk::<19>().ok_or(Invalid::Syntax)?;
    for (at, expected) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if date_time[at] != expected {
            return Err(Invalid::Syntax);
        }
    }
    let number = |from: usize, to: usize| digits(&date_time[from..to]);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(Invalid::Range);
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Invalid::Range);
    }
    let zone = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'+' | b'-'))
        .ok_or(Invalid::Syntax)?;
    let (fraction, zone) = rest.split_at(zone);
    let nanos = match fraction.split_first() {
        None => 0,
        Some((b'.', fraction)) => parse_fraction(fraction).ok_or(Invalid::Syntax)?,
        Some(_) => return Err(Invalid::Syntax),
    };
    let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second
        - offset(zone)?;
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
        return Err(Invalid::Range);
    }
    Ok((seconds, nanos as i32))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Result<i64, Invalid> {
    match *zone {
        [b'Z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return Err(Invalid::Range);
            }
            let seconds = hours * 3600 + minutes * 60;
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(Invalid::Syntax),
    }
}

fn digits(text: &[u8]) -> Result<i64, Invalid> {
    text.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'9' => Ok(value * 10 + i64::from(byte - b'0')),
        _ => Err(Invalid::Syntax),
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn text(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        put(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn prints_known_instants() {
        for (seconds, nanos, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 999_000_000, "1969-12-31T23:59:59.999Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (1_795_132_800, 1, "2026-11-20T00:00:00.000000001Z"),
            (MIN_SECONDS, 0, "0001-01-01T00:00:00Z"),
            (MAX_SECONDS, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(text(seconds, nanos).unwrap(), expected);
            assert_eq!(parse(expected.as_bytes()), Ok((seconds, nanos)));
        }
        for (seconds, nanos) in [
            (MIN_SECONDS - 1, 0),
            (MAX_SECONDS + 1, 0),
            (0, -1),
            (0, 1_000_000_000),
        ] {
            assert_eq!(text(seconds, nanos), None);
        }
    }

    #[test]
    fn reads_offsets_and_refuses_the_rest() {
        assert_eq!(parse(b"1970-01-01T01:00:00+01:00"), Ok((0, 0)));
        assert_eq!(parse(b"1969-12-31T18:30:00.5-05:30"), Ok((0, 500_000_000)));
        for wrong in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.0000000001Z",
            "1970-1-01T00:00:00Z",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00Zx",
        ] {
            assert_eq!(parse(wrong.as_bytes()), Err(Invalid::Syntax), "{wrong}");
        }
        for wrong in [
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00+24:00",
        ] {
            assert_eq!(parse(wrong.as_bytes()), Err(Invalid::Range), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(seconds in MIN_SECONDS..=MAX_SECONDS, nanos in 0..1_000_000_000) {
            let text = text(seconds, nanos).unwrap();
            prop_assert_eq!(parse(text.as_bytes()), Ok((seconds, nanos)));
        }

        #[test]
        fn consecutive_days_are_consecutive(day in MIN_SECONDS / DAY..MAX_SECONDS / DAY) {
            let (year, month, date) = civil_from_days(day);
            prop_assert_eq!(days_from_civil(year, month, date), day);
            prop_assert!(date >= 1 && date <= days_in_month(year, month));
            prop_assert!(civil_from_days(day + 1) > (year, month, date));
        }
    }
}
