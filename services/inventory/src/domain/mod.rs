//! The rules of stock, free of storage and transport: what may become of a hold, where units come from,
//! and how a new variant's units are spread.

pub mod hold;
pub mod opening;
pub mod sourcing;
