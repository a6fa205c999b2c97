//! How stores are opened; the `[store]` section of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::config::Secret;

/// How far SQLite waits for the disk before a commit is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// An answered commit survives a power cut.
    #[default]
    Full,
    /// An answered commit survives the process, but the last ones may be lost in a power cut.
    Normal,
    /// The operating system decides; for tests and throw-away data.
    Off,
}

/// What a connection to PostgreSQL is: all the way a session, or through a pooler that lends one for a
/// transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The server itself, or a pooler in session mode.
    #[default]
    Session,
    /// PgBouncer in transaction mode: nothing is prepared, settings are made in every transaction, and
    /// there is no LISTEN.
    Transaction,
}

/// Where the databases are when they are on PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// `postgres://user:password@host:port/database`; each store has a schema of its own in it.
    pub url: Secret<String>,
    /// A replica that answers [`Store::scan`](super::Store::scan), if there is one.
    pub read_url: Option<Secret<String>>,
}

impl Database {
    /// Whether the addresses can be used as they are written; nobody is asked.
    ///
    /// # Errors
    /// [`StoreError::Connect`] with what is wrong, without repeating the address: it holds a password.
    pub fn check(&self) -> Result<(), StoreError> {
        super::postgres::check(self)
    }
}

/// Settings that all stores of a process share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Folder of the database files; created when it does not exist.
    pub directory: PathBuf,
    /// Durability of a commit.
    pub synchronous: Synchronous,
    /// Reader connections per store, at least 1; all but the first are opened when needed.
    pub readers: usize,
    /// Page cache of the writer connection in KiB; each reader gets a quarter.
    pub cache_kib: u32,
    /// How much of a file is read through memory mapping, in MiB; 0 turns it off.
    pub mmap_mib: u32,
    /// Write closures that share a commit at most.
    pub group_limit: usize,
    /// Write closures that wait at most; more are refused as unavailable.
    pub queue_limit: usize,
    /// How long to wait for a lock that another process holds, in milliseconds.
    pub busy_timeout_ms: u32,
    /// PostgreSQL instead of files; from the `[hub]` section.
    #[serde(skip)]
    pub database: Option<Database>,
    /// PostgreSQL: what a connection is.
    pub pooling: Pooling,
    /// PostgreSQL: connections per store at most.
    pub connections: usize,
    /// PostgreSQL: how long to wait for a connection that is free, in milliseconds.
    pub pool_wait_ms: u32,
    /// PostgreSQL: how long a statement may take, in milliseconds; 0 means no limit.
    pub statement_timeout_ms: u32,
    /// PostgreSQL: how long a statement may wait for a lock, in milliseconds; 0 means no limit.
    pub lock_timeout_ms: u32,
    /// PostgreSQL: how long a transaction may wait for its next statement, in milliseconds; 0 means no
    /// limit.
    pub idle_in_transaction_timeout_ms: u32,
    /// PostgreSQL: for how long a [`Lease`](super::Lease) is granted, in milliseconds: as long as nobody
    /// does the work of a process that died.
    pub lease_ms: u32,
    /// PostgreSQL: attempts at a write that loses against others.
    pub retry_attempts: u32,
    /// PostgreSQL: no attempt begins after this time, in milliseconds.
    pub retry_time_ms: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("data"),
            synchronous: Synchronous::Full,
            readers: 4,
            cache_kib: 8 * 1024,
            mmap_mib: 256,
            group_limit: 256,
            queue_limit: 16 * 1024,
            busy_timeout_ms: 5_000,
            database: None,
            pooling: Pooling::Session,
            connections: 8,
            pool_wait_ms: 5_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 10_000,
            idle_in_transaction_timeout_ms: 60_000,
            lease_ms: 10_000,
            retry_attempts: 40,
            retry_time_ms: 10_000,
        }
    }
}

impl StoreConfig {
    /// The defaults with the database files in `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            ..Self::default()
        }
    }
}
