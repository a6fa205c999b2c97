//! Which SQL an engine speaks.

/// The dialect of a store, for the few statements that cannot be the same on both engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}
