//! Shipments in SQL.

mod list;
mod rows;
mod tell;
mod write;

pub use list::{Filter, list};
pub use rows::{Scan, Shipment, by_id, of_order, scans_of, was_decided};
pub use tell::retell;
pub use write::{Moment, NewShipment, ScanRefused, Scanned, close, fail, scan, schedule};
