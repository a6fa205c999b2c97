//! Shipments in SQL.

mod list;
mod rows;
mod write;

pub use list::{Filter, list};
pub use rows::{Scan, Shipment, by_id, of_order, scans_of, was_decided};
pub use write::{Moment, NewShipment, ScanRefused, Scanned, close, fail, retell, scan, schedule};
