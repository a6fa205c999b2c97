//! Moments between chrono and the contracts.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

/// A moment as the contracts carry it.
pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}

/// The moment of a timestamp; the epoch when there is none or it is out of range.
pub fn instant(at: Option<&Timestamp>) -> DateTime<Utc> {
    at.and_then(|at| DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?))
        .unwrap_or_default()
}
