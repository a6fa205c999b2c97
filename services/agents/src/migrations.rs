//! The tables of the agents' read models.

use mesh::store::Migration;

use crate::logistics;

/// All of them, oldest first.
pub const ALL: &[Migration] = &[
    Migration::new(
        1,
        "init",
        include_str!("../migrations/sqlite/0001_init.sql"),
        include_str!("../migrations/postgres/0001_init.sql"),
    ),
    logistics::MIGRATION,
];
