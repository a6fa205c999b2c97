//! Carrier selection: who carries a parcel, and why.
//!
//! Every service is quoted or set aside with a reason ([`quote`]), the quotes are ranked by closeness to
//! the ideal ([`topsis`]) under weights that follow from what the customer paid for ([`criteria`]), and the
//! answer says which change of a weight would change the winner ([`sensitivity`]).

mod agent;
mod beta;
mod choice;
mod criteria;
mod explain;
mod quote;
mod sensitivity;
mod service;
mod topsis;

pub use agent::CarrierSelectionAgent;
pub use choice::choose;
pub use criteria::Method;
pub use quote::Parcel;
pub use service::CarrierSelectionHandler;
