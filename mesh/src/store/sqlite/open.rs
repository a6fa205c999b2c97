//! Files, locks and connections.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    super::{StoreConfig, StoreError, Synchronous},
    session::Session,
};
use crate::private;

/// How often a lock held by another process is tried again.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// Distinct statements that a connection keeps prepared.
const STATEMENT_CACHE: usize = 256;
/// The write-ahead log is cut back to this size after a checkpoint, in bytes.
const JOURNAL_SIZE_LIMIT: i64 = 64 * 1024 * 1024;
/// Pages in the write-ahead log after which a commit also runs a checkpoint: 16 MiB, so that the cost of
/// syncing the database file is spread over many commits.
const WAL_AUTOCHECKPOINT: i64 = 4_000;

/// Where a database is.
#[derive(Debug)]
pub(super) struct Location {
    name: String,
    directory: PathBuf,
    file: PathBuf,
    lifetime: Lifetime,
}

#[derive(Debug, PartialEq, Eq)]
enum Lifetime {
    Permanent,
    Temporary,
}

impl Location {
    pub(super) fn permanent(name: &str, config: &StoreConfig) -> Self {
        Self::new(name, config.directory.clone(), Lifetime::Permanent)
    }

    pub(super) fn temporary(name: &str) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let directory = std::env::temp_dir().join(format!(
            "hub-store-{}-{}",
            std::process::id(),
            SERIAL.fetch_add(1, Ordering::Relaxed)
        ));
        Self::new(name, directory, Lifetime::Temporary)
    }

    fn new(name: &str, directory: PathBuf, lifetime: Lifetime) -> Self {
        Self {
            name: name.to_owned(),
            file: directory.join(format!("{name}.db")),
            directory,
            lifetime,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Removes a temporary folder; a permanent one stays. What cannot be removed is left to whoever cleans
    /// the temporary folder of the system.
    pub(super) fn discard(&self) {
        if self.lifetime == Lifetime::Temporary {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// An open and locked database.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Session,
    /// Held as long as the database is open. Two processes on one file would both relay its outbox.
    pub(super) lock: File,
}

pub(super) fn open_location(
    location: &Location,
    config: &StoreConfig,
) -> Result<Opened, StoreError> {
    // A process that was killed may have left its temporary folder to a successor with the same id.
    location.discard();
    private::create_dir(&location.directory)
        .map_err(|error| cannot_open(&location.directory, &error))?;
    let lock = lock(
        &location.directory.join(format!("{}.lock", location.name)),
        Duration::from_millis(config.busy_timeout_ms.into()),
    )?;
    // Created here for its permissions, which SQLite gives to the write-ahead log as well. Only under the
    // lock: closing a file lets go of SQLite's own locks on it.
    private::options()
        .open(&location.file)
        .map_err(|error| cannot_open(&location.file, &error))?;
    let connection = connect_writer(&location.file, config)
        .map_err(|error| cannot_open(&location.file, &error))?;
    Ok(Opened {
        session: Session::new(connection),
        lock,
    })
}

/// Takes the lock, waiting for a predecessor that is about to end.
fn lock(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let file = private::options()
        .open(path)
        .map_err(|error| cannot_open(path, &error))?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if waited < patience => {
                std::thread::sleep(LOCK_POLL);
                waited += LOCK_POLL;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(cannot_open(path, &"another process uses this store"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot_open(path, &error)),
        }
    }
}

fn cannot_open(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Open {
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}

fn connect_writer(path: &Path, config: &StoreConfig) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    set_up(&connection, config, config.cache_kib)?;
    // The answer is the mode in force: a file system without shared memory keeps another one.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!(
                "write-ahead logging is not possible here (mode {mode})"
            )),
        ));
    }
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(
        None,
        "synchronous",
        match config.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
            Synchronous::Off => "OFF",
        },
    )?;
    Ok(connection)
}

/// Opens one more connection for reading a database that the writer has open.
pub(super) fn connect_reader(path: &Path, config: &StoreConfig) -> Result<Session, StoreError> {
    let open = || {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        set_up(&connection, config, config.cache_kib / 4)?;
        Ok(connection)
    };
    open()
        .map(Session::new)
        .map_err(|error: rusqlite::Error| cannot_open(path, &error))
}

fn set_up(
    connection: &Connection,
    config: &StoreConfig,
    cache_kib: u32,
) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Without this the planner looks at the values of a LIMIT and of some comparisons, and compiles the
    // statement anew each time that others are bound: a prepared page query would be prepared per page.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // SQLite counts in a signed 32-bit number.
    let patience = i32::try_from(config.busy_timeout_ms).unwrap_or(i32::MAX);
    connection.busy_timeout(Duration::from_millis(patience.unsigned_abs().into()))?;
    // Negative means KiB instead of pages.
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "mmap_size", i64::from(config.mmap_mib) * 1024 * 1024)?;
    // Savepoints journal into temporary storage: keep it off the disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_page_query_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::in_directory(folder.path());
        let connection = connect_writer(&folder.path().join("test.db"), &config).unwrap();
        connection
            .execute_batch("CREATE TABLE things (id INTEGER PRIMARY KEY)")
            .unwrap();
        let mut pages = connection
            .prepare("SELECT id FROM things WHERE id > $1 ORDER BY id LIMIT $2")
            .unwrap();
        for limit in 1..10 {
            assert!(!pages.exists((0, limit)).unwrap());
        }
        assert_eq!(pages.get_status(StatementStatus::RePrepare), 0);
    }
}
