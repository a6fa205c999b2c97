//! Applies migrations. Each runs in a transaction with its record, so a migration is applied whole or
//! not at all, and a process that dies between two goes on where it stopped.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    super::{
        Migration, StoreError,
        schema::{RUNTIME_MIGRATIONS, RUNTIME_SERIES, SERVICE_SERIES},
    },
    session::Session,
};
use crate::args;

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    series     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (series, version)
) WITHOUT ROWID";

/// Applies the runtime's migrations, then the service's.
pub(super) fn run(
    session: &mut Session,
    store: &str,
    service: &'static [Migration],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    session.batch(CREATE_RECORD)?;
    apply(session, store, RUNTIME_SERIES, RUNTIME_MIGRATIONS, now)?;
    apply(session, store, SERVICE_SERIES, service, now)
}

fn apply(
    session: &mut Session,
    store: &str,
    series: &str,
    migrations: &'static [Migration],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let refuse = |migration: &Migration, message: String| StoreError::Migration {
        store: store.to_owned(),
        version: migration.version,
        name: migration.name.to_owned(),
        message,
    };
    let mut applied = BTreeMap::new();
    for row in session.all(
        "SELECT version, checksum FROM schema_migrations WHERE series = $1",
        &args![series],
    )? {
        applied.insert(row.get::<u32>("version")?, row.get::<String>("checksum")?);
    }
    let newest = applied.keys().next_back().copied().unwrap_or(0);
    let mut previous = 0;
    for migration in migrations {
        if migration.version <= previous {
            return Err(refuse(
                migration,
                format!("does not follow version {previous}"),
            ));
        }
        previous = migration.version;
        let checksum = migration.checksum();
        match applied.get(&migration.version) {
            Some(recorded) if *recorded == checksum => continue,
            Some(_) => {
                return Err(refuse(
                    migration,
                    "was changed after it had been applied; restore it and add a new one"
                        .to_owned(),
                ));
            }
            None if migration.version < newest => {
                return Err(refuse(
                    migration,
                    format!("is missing although version {newest} has been applied"),
                ));
            }
            None => {}
        }
        if defers_checks(migration.sqlite) {
            return Err(refuse(
                migration,
                "defers foreign keys to the commit, where one violation would undo the writes of others"
                    .to_owned(),
            ));
        }
        session.batch("BEGIN IMMEDIATE")?;
        let record = args![series, migration.version, migration.name, checksum, now];
        let outcome = session
            .batch(migration.sqlite)
            .and_then(|()| {
                session.execute(
                    "INSERT INTO schema_migrations (series, version, name, checksum, applied_at) \
                     VALUES ($1, $2, $3, $4, $5)",
                    &record,
                )
            })
            .and_then(|_| session.batch("COMMIT"));
        if let Err(error) = outcome {
            // Harmless when SQLite has rolled back by itself.
            let _ = session.batch("ROLLBACK");
            return Err(refuse(migration, error.to_string()));
        }
        tracing::info!(
            store,
            series,
            version = migration.version,
            name = migration.name,
            "migration applied"
        );
    }
    if newest > previous {
        tracing::warn!(
            store,
            series,
            newest,
            known = previous,
            "the database is newer than this program"
        );
    }
    Ok(())
}

/// Whether statements declare constraints that are checked at the commit only. Commits are shared.
fn defers_checks(sql: &str) -> bool {
    sql.to_ascii_uppercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .windows(2)
        .any(|words| words[0].ends_with("INITIALLY") && words[1].starts_with("DEFERRED"))
}
