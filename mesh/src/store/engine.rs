//! The facade: which engine answers is decided here and nowhere else.

use std::{future::Future, path::Path, sync::Arc};

use tokio::sync::Notify;

use super::{
    Dialect, Lease, Migration, Row, StoreConfig, StoreError, Tx, Value,
    after_commit::AfterCommit,
    postgres::Postgres,
    sqlite::{Hold, Simulated, Sqlite},
};
use crate::{
    clock::Clock,
    fault::{INJECTED, Kind, Site},
    ids::Ids,
    simulation::Surroundings,
    telemetry::{conventions, surrounded},
};

/// A service's database. Cheap to clone; clones share connections.
///
/// ```ignore
/// let left: i64 = store.write(move |tx: Tx| async move {
///     let row = tx.one(
///         "UPDATE stock SET available = available - $1 WHERE sku = $2 RETURNING available",
///         args![quantity, sku],
///     ).await?;
///     row.ok_or_else(|| Failure::not_found("stock", "sku"))?.get::<i64>("available").map_err(Failure::from)
/// }).await?;
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    /// What is made to go wrong in accesses.
    faults: Site,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(Arc<Sqlite>),
    Simulated(Arc<Simulated>),
    Postgres(Arc<Postgres>),
}

/// How far a write is kept apart from others on PostgreSQL. On SQLite writes never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// As if writes ran one after the other; one that does not fit in is run again.
    Serializable,
    /// Each statement sees what is committed when it begins, and waits for rows that others change. For
    /// single statements on rows that many touch and whose effect does not depend on other rows.
    ReadCommitted,
}

impl Store {
    /// Opens the store `name` (a service's name; also the source of its events), creating folder and
    /// file, or the schema of that name, where they do not exist, and applies the migrations that are
    /// missing.
    ///
    /// # Errors
    /// [`StoreError::Open`] naming the path, [`StoreError::Connect`] naming the server,
    /// [`StoreError::Migration`] naming the migration.
    pub async fn open(
        name: &str,
        config: &StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let engine = match &config.database {
            Some(database) => {
                let opened =
                    Postgres::open(name, name, database, config, migrations, clock, ids).await?;
                Engine::Postgres(Arc::new(opened))
            }
            None => {
                let opened = Sqlite::open(name, config, migrations, clock, ids).await?;
                Engine::Sqlite(Arc::new(opened))
            }
        };
        Ok(Self::of(engine))
    }

    /// Opens a store in a new folder below the system's temporary one; the folder goes away with the
    /// last handle. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn temporary(
        name: &str,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let engine = Sqlite::temporary(name, migrations, clock, ids).await?;
        Ok(Self::of(Engine::Sqlite(Arc::new(engine))))
    }

    /// Opens a store on a disk of a simulation.
    pub(crate) fn simulated(
        name: &str,
        surroundings: Arc<dyn Surroundings>,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let engine = Simulated::open(name, surroundings, migrations, clock, ids)?;
        Ok(Self::of(Engine::Simulated(Arc::new(engine))))
    }

    /// Opens a store where `config` says, in a new schema when that is PostgreSQL; the schema goes away
    /// with the last handle. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn temporary_with(
        name: &str,
        config: &StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let Some(database) = &config.database else {
            return Self::temporary(name, migrations, clock, ids).await;
        };
        let opened = Postgres::temporary(name, database, config, migrations, clock, ids).await?;
        Ok(Self::of(Engine::Postgres(Arc::new(opened))))
    }

    fn of(engine: Engine) -> Self {
        Self {
            engine,
            faults: Site::default(),
        }
    }

    /// The same store, in whose accesses `faults` happen.
    #[must_use]
    pub(crate) fn rigged(self, faults: Site) -> Self {
        Self { faults, ..self }
    }

    /// The name that the store was opened with.
    pub fn name(&self) -> &str {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.name(),
            Engine::Simulated(store) => store.name(),
            Engine::Postgres(postgres) => postgres.name(),
        }
    }

    /// Which SQL the engine speaks.
    pub fn dialect(&self) -> Dialect {
        match &self.engine {
            Engine::Sqlite(_) | Engine::Simulated(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Asks for the lease `name`, which one process at a time holds.
    pub fn lease(&self, name: &str) -> Lease {
        match &self.engine {
            Engine::Sqlite(_) | Engine::Simulated(_) => Lease::undisputed(),
            Engine::Postgres(postgres) => postgres.lease(name),
        }
    }

    /// The database file, if the engine has one.
    pub fn path(&self) -> Option<&Path> {
        match &self.engine {
            Engine::Sqlite(sqlite) => Some(sqlite.path()),
            Engine::Simulated(_) | Engine::Postgres(_) => None,
        }
    }

    /// Runs `job` as one transaction and returns what it returned. `Ok` commits; the answer comes after
    /// the commit is durable. `Err` undoes what this closure did, and nothing else.
    ///
    /// The closure may await its own statements only: on SQLite it is polled once. It runs to its end
    /// even when the caller goes away. On PostgreSQL it may run several times, of which one counts: what
    /// it does beside its statements must be harmless when repeated.
    ///
    /// # Errors
    /// The closure's own error, or a [`StoreError`] when it awaited elsewhere, panicked, or the commit
    /// failed. Only [`StoreError::OutcomeUnknown`] leaves open whether the write happened.
    pub async fn write<F, Fut, T, E>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_at(Isolation::Serializable, job).await
    }

    /// As [`Store::write`], with the isolation to be named.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_at<F, Fut, T, E>(&self, isolation: Isolation, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (mut span, running) = conventions::transaction(self.dialect().system(), self.name());
        let after = AfterCommit::default();
        let notes = after.clone();
        let job = move |tx: Tx| {
            notes.restart();
            surrounded(running, job(tx.noting(notes)))
        };
        let blow = match self.before().await {
            Ok(blow) => blow,
            Err(error) => {
                span.fail("undone");
                return Err(error.into());
            }
        };
        let answer = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.write(job).await,
            Engine::Simulated(store) => store.write(job).await,
            Engine::Postgres(postgres) => postgres.write(isolation, job).await,
        };
        let answer = match blow {
            Some(Kind::Cut) if answer.is_ok() => Err(StoreError::OutcomeUnknown.into()),
            _ => answer,
        };
        match &answer {
            Ok(_) => after.carry_out(),
            Err(_) => span.fail("undone"),
        }
        answer
    }

    /// The first row of a query that is quick by construction: by key, or a page by an index. On SQLite it
    /// runs on the calling thread.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn one(&self, sql: &str, args: Vec<Value>) -> Result<Option<Row>, StoreError> {
        let span = conventions::query(self.dialect().system(), self.name(), sql);
        self.before_reading().await?;
        let found = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.one(sql, &args).await,
            Engine::Simulated(store) => store.one(sql, &args).await,
            Engine::Postgres(postgres) => postgres.one(sql, &args).await,
        };
        span.stored(found)
    }

    /// All rows of a query that is quick by construction. On SQLite it runs on the calling thread.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn all(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let span = conventions::query(self.dialect().system(), self.name(), sql);
        self.before_reading().await?;
        let found = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.all(sql, &args).await,
            Engine::Simulated(store) => store.all(sql, &args).await,
            Engine::Postgres(postgres) => postgres.all(sql, &args).await,
        };
        span.stored(found)
    }

    /// All rows of a query that may take long; it runs away from the async threads. On PostgreSQL a replica
    /// answers when there is one, so the answer may be older than a write that was answered: ask
    /// [`Store::all`] where that matters.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn scan(
        &self,
        sql: impl Into<String>,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        let span = conventions::query(self.dialect().system(), self.name(), &sql);
        self.before_reading().await?;
        let found = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.scan(sql, args).await,
            Engine::Simulated(store) => store.all(&sql, &args).await,
            Engine::Postgres(postgres) => postgres.scan(&sql, &args).await,
        };
        span.stored(found)
    }

    /// What is made to go wrong before an access; a fault that strikes later is returned.
    async fn before(&self) -> Result<Option<Kind>, StoreError> {
        let Some(rigged) = self.faults.rigged() else {
            return Ok(None);
        };
        match Box::pin(rigged.strike()).await {
            Some(Kind::Fail) => Err(StoreError::Unavailable {
                message: INJECTED.to_owned(),
            }),
            blow => Ok(blow),
        }
    }

    /// As [`Store::before`]; what was read and is not heard was not read.
    async fn before_reading(&self) -> Result<(), StoreError> {
        match self.before().await? {
            None => Ok(()),
            Some(_) => Err(StoreError::Unavailable {
                message: INJECTED.to_owned(),
            }),
        }
    }

    /// Succeeds when the store can read and can take writes.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.ping().await,
            Engine::Simulated(store) => store.ping(),
            Engine::Postgres(postgres) => postgres.ping().await,
        }
    }

    /// Moves what is in the write-ahead log into the database file, as far as readers allow. PostgreSQL
    /// does this by itself.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.checkpoint().await,
            Engine::Simulated(_) | Engine::Postgres(_) => Ok(()),
        }
    }

    /// Keeps the store from changing until the [`Hold`] is let go of; writes wait meanwhile. None on an engine that
    /// has its own tools for copies.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn hold(&self) -> Result<Option<Hold>, StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.hold().await.map(Some),
            _ => Ok(None),
        }
    }

    /// Finishes the writes that are queued, refuses new ones, and closes the file. Closing twice is
    /// harmless.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Simulated(store) => {
                store.close();
                Ok(())
            }
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Whether both handles are of one store.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.engine, &other.engine) {
            (Engine::Sqlite(one), Engine::Sqlite(two)) => Arc::ptr_eq(one, two),
            (Engine::Simulated(one), Engine::Simulated(two)) => Arc::ptr_eq(one, two),
            (Engine::Postgres(one), Engine::Postgres(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// The clock that the store stamps events with.
    pub(crate) fn clock(&self) -> &Clock {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.clock(),
            Engine::Simulated(store) => store.clock(),
            Engine::Postgres(postgres) => postgres.clock(),
        }
    }

    /// The source of the ids of events.
    pub(crate) fn ids(&self) -> &Ids {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.ids(),
            Engine::Simulated(store) => store.ids(),
            Engine::Postgres(postgres) => postgres.ids(),
        }
    }

    /// Notified after a commit that put events into the outbox.
    pub(crate) fn outbox_signal(&self) -> Arc<Notify> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.outbox_signal(),
            Engine::Simulated(store) => store.outbox_signal(),
            Engine::Postgres(postgres) => postgres.outbox_signal(),
        }
    }
}
