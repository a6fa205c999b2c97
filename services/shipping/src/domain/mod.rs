//! How goods travel, without a database or a network: carriers and their rate cards, distances,
//! calendars, and the life of a shipment.

pub mod calendar;
pub mod carriers;
pub mod choice;
pub mod geography;
pub mod rates;
pub mod status;
pub mod tracking;
