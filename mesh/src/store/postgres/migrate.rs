//! Applies migrations. Each runs in a transaction that holds the schema's advisory lock and contains its
//! record, so any number of processes may start at once, and one that dies goes on where it stopped. The
//! lock belongs to the transaction and not to the session, so it also works through a pooler that gives
//! every transaction another session.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};

use super::{
    super::{
        Dialect, Migration, StoreError,
        migration::{Refusal, pending},
        schema::{RUNTIME_MIGRATIONS, RUNTIME_SERIES, SERVICE_SERIES},
    },
    fault::Fault,
    pool::{Sessions, quoted},
    session::{Session, Take},
};
use crate::args;

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    series     TEXT        NOT NULL,
    version    BIGINT      NOT NULL,
    name       TEXT        NOT NULL,
    checksum   TEXT        NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (series, version)
)";
/// How long to wait for another process that migrates the same schema.
const PATIENCE: &str = "10min";

/// Creates the schema where it does not exist, then applies the runtime's migrations and the service's.
pub(super) async fn run(
    sessions: &Sessions,
    store: &str,
    schema: &str,
    service: &'static [Migration],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let session = sessions.take().await?;
    let migrator = Migrator {
        begin: begin(sessions, schema),
        session,
        store,
        now,
    };
    let done = migrator.run(schema, service).await;
    if done.is_err() {
        // It may be in the middle of a transaction.
        migrator.session.discard();
    }
    done
}

/// Begins a transaction that holds the lock. Its limits are those of a migration, not of a request.
fn begin(sessions: &Sessions, schema: &str) -> String {
    let key = digest::digest(
        &digest::SHA256,
        format!("hub.migrations.{schema}").as_bytes(),
    );
    let key = key.as_ref()[..8]
        .iter()
        .fold(0_i64, |key, byte| key << 8 | i64::from(*byte));
    format!(
        "{} SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO '{PATIENCE}'; \
         SET LOCAL enable_seqscan TO on; SELECT pg_advisory_xact_lock({key})",
        sessions.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    )
}

struct Migrator<'a> {
    session: Session,
    begin: String,
    store: &'a str,
    now: DateTime<Utc>,
}

impl Migrator<'_> {
    async fn run(&self, schema: &str, service: &'static [Migration]) -> Result<(), StoreError> {
        self.session.control(&self.begin).await?;
        // Asked first, because creating one that exists needs a right that the role may lack.
        let exists = self
            .session
            .query(
                "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1",
                &args![schema],
                Take::First,
            )
            .await?;
        if exists.rows.is_empty() {
            self.session
                .control(&format!("CREATE SCHEMA {}", quoted(schema)))
                .await?;
        }
        self.session.control(CREATE_RECORD).await?;
        self.session.control("COMMIT").await?;
        self.apply(RUNTIME_SERIES, RUNTIME_MIGRATIONS).await?;
        self.apply(SERVICE_SERIES, service).await
    }

    async fn apply(
        &self,
        series: &str,
        migrations: &'static [Migration],
    ) -> Result<(), StoreError> {
        let refuse = |refusal: Refusal| refusal.of(self.store);
        loop {
            self.session.control(&self.begin).await?;
            let applied = self.applied(series).await?;
            let newest = applied.keys().next_back().copied().unwrap_or(0);
            let missing = pending(migrations, &applied, Dialect::Postgres).map_err(refuse)?;
            let Some(migration) = missing.first() else {
                let known = migrations.last().map_or(0, |migration| migration.version);
                if newest > known {
                    tracing::warn!(
                        store = self.store,
                        series,
                        newest,
                        known,
                        "the database is newer than this program"
                    );
                }
                self.session.control("COMMIT").await?;
                return Ok(());
            };
            self.apply_one(series, migration)
                .await
                .map_err(|fault| Refusal::new(migration, fault.error.to_string()))
                .map_err(refuse)?;
            tracing::info!(
                store = self.store,
                series,
                version = migration.version,
                name = migration.name,
                "migration applied"
            );
        }
    }

    async fn applied(&self, series: &str) -> Result<BTreeMap<u32, String>, StoreError> {
        let answer = self
            .session
            .query(
                "SELECT version, checksum FROM schema_migrations WHERE series = $1",
                &args![series],
                Take::All,
            )
            .await?;
        answer
            .rows
            .iter()
            .map(|row| Ok((row.get("version")?, row.get("checksum")?)))
            .collect()
    }

    async fn apply_one(&self, series: &str, migration: &Migration) -> Result<(), Fault> {
        self.session.control(migration.postgres).await?;
        self.session
            .query(
                "INSERT INTO schema_migrations (series, version, name, checksum, applied_at) \
                 VALUES ($1, $2, $3, $4, $5)",
                &args![
                    series,
                    migration.version,
                    migration.name,
                    migration.checksum(Dialect::Postgres),
                    self.now
                ],
                Take::None,
            )
            .await?;
        self.session.control("COMMIT").await?;
        Ok(())
    }
}
