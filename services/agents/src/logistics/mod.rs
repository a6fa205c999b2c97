//! Logistics: who carries a parcel, and when it arrives.
//!
//! Both agents reckon with the carriers as shipping tells them ([`network`]), with the days on which those
//! work ([`calendar`]) and with the places where parcels come from and go to ([`map`]).

pub mod carrier_selection;
pub mod eta;

mod calendar;
#[cfg(test)]
mod fixture;
mod map;
mod network;
#[cfg(test)]
mod tests;

use mesh::store::Migration;

/// The tables of the delivery estimate.
pub const MIGRATION: Migration = Migration::new(
    10,
    "eta",
    include_str!("../../migrations/sqlite/0010_eta.sql"),
    include_str!("../../migrations/postgres/0010_eta.sql"),
);
