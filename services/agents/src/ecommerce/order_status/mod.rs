//! Order status: where an order is, whether that is usual, and what comes next.
//!
//! Events are kept as facts ([`facts`]); an answer folds an order's facts into one timeline ([`fold`]) and
//! compares the time in the present stage with how long other orders stayed in it ([`sojourns`]).

mod events;
mod facts;
mod fold;
mod service;
mod sojourns;

pub use events::Recorder;
pub use service::{OrderStatusAgent, OrderStatusHandler};
pub use sojourns::Counter;
