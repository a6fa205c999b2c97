//! Applies migrations. Each runs in a transaction with its record, so a migration is applied whole or
//! not at all, and a process that dies between two goes on where it stopped.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    super::{
        Dialect, Migration, StoreError,
        migration::{Refusal, pending},
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
    let refuse = |refusal: Refusal| refusal.of(store);
    let mut applied = BTreeMap::new();
    for row in session.all(
        "SELECT version, checksum FROM schema_migrations WHERE series = $1",
        &args![series],
    )? {
        applied.insert(row.get::<u32>("version")?, row.get::<String>("checksum")?);
    }
    for migration in pending(migrations, &applied, Dialect::Sqlite).map_err(refuse)? {
        if defers_checks(migration.sqlite) {
            return Err(refuse(Refusal::new(
                migration,
                "defers foreign keys to the commit, where one violation would undo the writes of others",
            )));
        }
        session.batch("BEGIN IMMEDIATE")?;
        let checksum = migration.checksum(Dialect::Sqlite);
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
            return Err(refuse(Refusal::new(migration, error.to_string())));
        }
        tracing::info!(
            store,
            series,
            version = migration.version,
            name = migration.name,
            "migration applied"
        );
    }
    let newest = applied.keys().next_back().copied().unwrap_or(0);
    let known = migrations.last().map_or(0, |migration| migration.version);
    if newest > known {
        tracing::warn!(
            store,
            series,
            newest,
            known,
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
