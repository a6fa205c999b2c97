//! Each service's own database, behind one facade.
//!
//! A service writes through [`Store::write`], a closure that gets a [`Tx`] and runs as one transaction,
//! and reads through [`Store::one`], [`Store::all`] and [`Store::scan`]. The SQL is written once, in the
//! dialect that SQLite and PostgreSQL share (`$1` parameters, `RETURNING`, `ON CONFLICT`, CTEs), and the
//! facade hides which engine answers: [`Store`] and [`Tx`] dispatch on it in one place each.
//!
//! On SQLite a file has exactly one writer, a thread that *groups commits*: all closures that wait when
//! it is free run in one transaction, each in its own savepoint, and share one fsync. So throughput does
//! not fall with the number of callers, no caller ever sees `SQLITE_BUSY`, and a closure that fails
//! undoes only itself.
//!
//! On PostgreSQL every store is a schema, which any number of processes share. A closure runs as a
//! SERIALIZABLE transaction, and again when it lost against another one: hence it must be `Clone`, and
//! everything it does must be in its statements. A statement that fails ends the transaction there, so
//! closures that run on both engines say `ON CONFLICT` instead of catching a violation.

mod after_commit;
mod config;
mod dialect;
mod engine;
mod error;
mod lease;
mod migration;
mod postgres;
mod row;
mod schema;
mod scratch;
mod sqlite;
#[cfg(test)]
mod tests;
mod tx;
mod value;

pub use config::{Database, Pooling, StoreConfig, Synchronous};
pub use dialect::{Dialect, Sql};
pub use engine::{Isolation, Store};
pub use error::StoreError;
pub use lease::Lease;
pub use migration::Migration;
pub use row::{ColumnRef, FromValue, Row, ValueRef};
pub use scratch::ScratchDatabase;
pub use sqlite::{Access, Disk};
pub(crate) use sqlite::{Snapshot, check_file, panic_message};
pub use tx::Tx;
pub use value::{IntoValue, Value};

pub use crate::args;
