//! Agents that face the shop's customers.

pub mod catalog_search;
pub mod order_status;
