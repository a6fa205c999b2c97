//! The runtime that every service of the hub stands on.

pub mod cache;
pub mod clock;
pub mod config;
pub mod error;
pub mod events;
pub mod hub;
pub mod ids;
pub mod money;
pub mod page;
pub mod policy;
pub mod principal;
pub mod rpc;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod validation;
