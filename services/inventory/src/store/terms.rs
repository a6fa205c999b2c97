//! The terms in which holds are asked for and answered.

use chrono::{DateTime, TimeDelta, Utc};
use mesh::Ids;
use serde::{Deserialize, Serialize};

use super::views::Reservation;
use crate::cause::Cause;

/// When, by whom and how something is done to a hold.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub now: DateTime<Utc>,
    /// Source of the ids of reservations and movements.
    pub ids: Ids,
    /// How long a new hold lasts.
    pub hold_for: TimeDelta,
    /// What brought it about.
    pub cause: Cause,
}

/// A line to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Id of the variant.
    pub variant_id: String,
    /// Units, at least 1.
    pub quantity: i64,
}

/// A line that could not be held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit; empty when the variant is not known.
    pub sku: String,
    /// Units asked for.
    pub requested: i64,
    /// Units that were available.
    pub available: i64,
}

/// How a reservation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is held.
    Held {
        /// What is held where.
        reservations: Vec<Reservation>,
    },
    /// Nothing is held.
    Refused {
        /// The lines that fell short; empty when the order was given up before.
        shortages: Vec<Shortage>,
    },
}
