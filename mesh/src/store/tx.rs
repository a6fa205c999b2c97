//! The handle through which a write closure speaks to its transaction.

use uuid::Uuid;

use super::{
    Dialect, Row, StoreError, Value, after_commit::AfterCommit, postgres::PostgresTx,
    sqlite::SqliteTx,
};
use crate::{events::Emission, telemetry::conventions};

/// A running transaction. Cheap to clone; every clone is refused with
/// [`StoreError::TransactionOver`] once the closure that got it has ended.
///
/// The methods are async so that the same closure can run on an engine across the network. On SQLite
/// they complete at once.
#[derive(Clone, Debug)]
pub struct Tx {
    engine: TxEngine,
    after: AfterCommit,
}

#[derive(Clone, Debug)]
enum TxEngine {
    Sqlite(SqliteTx),
    Postgres(PostgresTx),
}

impl Tx {
    pub(super) fn sqlite(tx: SqliteTx) -> Self {
        Self {
            engine: TxEngine::Sqlite(tx),
            after: AfterCommit::default(),
        }
    }

    pub(super) fn postgres(tx: PostgresTx) -> Self {
        Self {
            engine: TxEngine::Postgres(tx),
            after: AfterCommit::default(),
        }
    }

    /// The same transaction, which leaves its notes in `after`.
    pub(super) fn noting(mut self, after: AfterCommit) -> Self {
        self.after = after;
        self
    }

    /// Does something in this process once the transaction is durable: wakes who waits for the change.
    /// Nothing happens when it is undone, nor when the caller of [`Store::write`](super::Store::write)
    /// goes away before its answer, so this only hastens what would happen anyway.
    pub fn after_commit(&self, note: impl FnOnce() + Send + 'static) {
        self.after.add(note);
    }

    /// Which SQL the engine speaks.
    pub fn dialect(&self) -> Dialect {
        match &self.engine {
            TxEngine::Sqlite(_) => Dialect::Sqlite,
            TxEngine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    /// What the engine refuses, see [`StoreError`]. On SQLite a closure may go on after a constraint was
    /// violated. On PostgreSQL the transaction is lost with its first error, which every later statement
    /// and the commit return: code for both uses `ON CONFLICT` instead.
    pub async fn execute(&self, sql: &str, args: Vec<Value>) -> Result<u64, StoreError> {
        let span = conventions::statement(sql);
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => tx.execute(sql, &args),
            TxEngine::Postgres(tx) => tx.execute(sql, &args).await,
        };
        span.stored(done)
    }

    /// Runs a query or a statement with RETURNING and returns its first row.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn one(&self, sql: &str, args: Vec<Value>) -> Result<Option<Row>, StoreError> {
        let span = conventions::statement(sql);
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => tx.one(sql, &args),
            TxEngine::Postgres(tx) => tx.one(sql, &args).await,
        };
        span.stored(done)
    }

    /// Runs a query or a statement with RETURNING and returns all its rows.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn all(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let span = conventions::statement(sql);
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => tx.all(sql, &args),
            TxEngine::Postgres(tx) => tx.all(sql, &args).await,
        };
        span.stored(done)
    }

    /// Runs statements in this order and returns how many rows each changed. Across a network they are sent
    /// together, so a batch waits for about one round trip, however long it is.
    ///
    /// # Errors
    /// As [`Tx::execute`], for the first that fails.
    pub async fn execute_batch(
        &self,
        statements: Vec<(&'static str, Vec<Value>)>,
    ) -> Result<Vec<u64>, StoreError> {
        let span = conventions::batch(statements.iter().map(|(sql, _)| *sql));
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => statements
                .iter()
                .map(|(sql, args)| tx.execute(sql, args))
                .collect(),
            TxEngine::Postgres(tx) => tx.execute_batch(&statements).await,
        };
        span.stored(done)
    }

    /// Writes an event to the outbox; it leaves the service once this transaction is committed.
    /// Returns the id of the event.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn emit(&self, emission: Emission) -> Result<Uuid, StoreError> {
        let (span, emission) = conventions::publish(emission);
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => tx.emit(emission),
            TxEngine::Postgres(tx) => tx.emit(emission),
        };
        span.stored(done)
    }

    /// Writes several events, in this order; see [`Tx::emit`].
    ///
    /// # Errors
    /// As [`Tx::execute_batch`].
    pub async fn emit_all(&self, emissions: Vec<Emission>) -> Result<(), StoreError> {
        let (spans, emissions): (Vec<_>, Vec<_>) =
            emissions.into_iter().map(conventions::publish).unzip();
        let done = match &self.engine {
            TxEngine::Sqlite(tx) => emissions
                .into_iter()
                .try_for_each(|emission| tx.emit(emission).map(drop)),
            TxEngine::Postgres(tx) => emissions
                .into_iter()
                .try_for_each(|emission| tx.emit(emission).map(drop)),
        };
        drop(spans);
        done
    }
}
