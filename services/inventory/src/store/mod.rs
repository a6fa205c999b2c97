//! Inventory's tables: shelves, holds and the ledger of reservations.

mod announce;
mod holds;
mod shelves;
mod terms;
mod units;
mod views;

use mesh::store::Migration;

pub use holds::{commit, due_holds, expire, perform, reserve};
pub use shelves::{NewVariant, SetStock, add_variants, set_stock};
pub use terms::{Line, Moment, Outcome, Shortage};
pub use views::{Reservation, VariantStock, product_stock, reservations_of, scarce, variant_stock};

/// The migrations of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "init",
    sqlite: include_str!("../../migrations/sqlite/0001_init.sql"),
    postgres: include_str!("../../migrations/postgres/0001_init.sql"),
}];
