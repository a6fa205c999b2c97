//! Tables that every store has: they carry the events between services (see [`crate::events`]).

use super::Migration;

/// Series under which the runtime's own migrations are recorded.
pub(super) const RUNTIME_SERIES: &str = "runtime";
/// Series under which a service's migrations are recorded.
pub(super) const SERVICE_SERIES: &str = "service";

/// The runtime's own tables.
pub(super) const RUNTIME_MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "events",
        include_str!("schema/sqlite.sql"),
        include_str!("schema/postgres.sql"),
    ),
    Migration::new(
        2,
        "leases",
        "-- A file belongs to one process, which needs no leases.",
        include_str!("schema/leases.sql"),
    ),
];
