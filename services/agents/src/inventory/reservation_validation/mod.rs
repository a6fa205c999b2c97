//! Reservation validation: can these quantities be promised, and from where.
//!
//! The answer is live stock, never cached, and it is advice: only inventory's own transaction holds units,
//! so between advice and order somebody else may be quicker.

mod decision;
mod service;

pub use service::{ReservationValidationAgent, ReservationValidationHandler};
