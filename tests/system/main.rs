//! Black-box tests of the whole hub, from outside.

#![allow(clippy::unwrap_used, missing_docs)]

mod account;
mod agents;
mod backup;
mod catalog;
mod chaos;
mod checkout;
mod commands;
mod crash;
mod edge;
mod faces;
mod faults;
mod fulfilment;
mod gateways;
mod grpc;
mod operations;
mod partition;
mod payments;
mod promotions;
mod races;
mod refusals;
mod roles;
mod sessions;
mod shared;
mod shop;
mod telemetry;
