//! The schema, step by step.

use mesh::store::Migration;

/// All migrations, oldest first.
pub const ALL: &[Migration] = &[Migration::new(
    1,
    "init",
    include_str!("../migrations/sqlite/0001_init.sql"),
    include_str!("../migrations/postgres/0001_init.sql"),
)];
