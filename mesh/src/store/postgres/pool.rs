//! Connections of a store, and the settings that they run with.

use std::time::Duration;

use deadpool_postgres::Pool;

use super::{
    super::{StoreConfig, StoreError, config::Pooling},
    fault::Fault,
    server::Server,
    session::Session,
};
use crate::clock::Clock;

/// The pool of one store on one server.
#[derive(Debug)]
pub(super) struct Sessions {
    pool: Pool,
    pooling: Pooling,
    /// What a transaction begins with, where connections keep no settings.
    local: String,
    clock: Clock,
    measures: Measures,
}

#[derive(Debug)]
struct Measures {
    in_use: metrics::Gauge,
    size: metrics::Gauge,
    wait: metrics::Histogram,
}

/// Counts a connection as in use while it lives.
#[derive(Debug)]
pub(super) struct Slot(metrics::Gauge);

impl Slot {
    fn new(in_use: metrics::Gauge) -> Self {
        in_use.increment(1.0);
        Self(in_use)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Sessions {
    /// A pool on `server` for the store `name`, whose tables are in `schema`. No connection is made yet.
    pub(super) fn new(
        server: &Server,
        role: &'static str,
        name: &str,
        schema: &str,
        config: &StoreConfig,
    ) -> Result<Self, StoreError> {
        let (setup, local) = match config.pooling {
            Pooling::Session => (settings("SET", schema, config), String::new()),
            Pooling::Transaction => (String::new(), settings("SET LOCAL", schema, config)),
        };
        let wait = Duration::from_millis(config.pool_wait_ms.into());
        let label = || [("store", name.to_owned()), ("pool", role.to_owned())];
        Ok(Self {
            pool: server.pool(config.connections, wait, setup)?,
            pooling: config.pooling,
            local,
            // Not the store's clock: how long a network takes is no test's to decide.
            clock: Clock::system(),
            measures: Measures {
                in_use: metrics::gauge!("hub_store_pool_in_use", &label()),
                size: metrics::gauge!("hub_store_pool_size", &label()),
                wait: metrics::histogram!("hub_store_pool_wait_seconds", &label()),
            },
        })
    }

    /// A connection of the pool, waiting for one that is free.
    pub(super) async fn take(&self) -> Result<Session, Fault> {
        let started = self.clock.monotonic();
        let taken = self.pool.get().await;
        let waited = self.clock.monotonic().saturating_duration_since(started);
        self.measures.wait.record(waited.as_secs_f64());
        self.measures.size.set(self.pool.status().size as f64);
        let slot = Slot::new(self.measures.in_use.clone());
        Ok(Session::new(taken?, self.pooling, slot))
    }

    /// `mode` begins a transaction (`BEGIN ISOLATION LEVEL SERIALIZABLE`); this is it with the settings
    /// that it needs.
    pub(super) fn begin(&self, mode: &str) -> String {
        format!("{mode}; {}", self.local)
    }

    pub(super) fn pooling(&self) -> Pooling {
        self.pooling
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// Settings of a session, or of a transaction.
///
/// Tables are small at first, and the planner reads a small one whole: to a serializable transaction
/// that is a read of every row, so it would conflict with every writer. Hence `enable_seqscan`, and then
/// `jit`, because a plan that cannot do without such a scan looks expensive enough to be compiled.
fn settings(set: &str, schema: &str, config: &StoreConfig) -> String {
    let schema = quoted(schema);
    let mut text = format!(
        "{set} search_path TO {schema}, public; {set} timezone TO 'UTC'; \
         {set} statement_timeout TO {}; {set} lock_timeout TO {}; \
         {set} idle_in_transaction_session_timeout TO {}; \
         {set} enable_seqscan TO off; {set} jit TO off;",
        config.statement_timeout_ms, config.lock_timeout_ms, config.idle_in_transaction_timeout_ms,
    );
    if set == "SET" {
        // Writes say READ WRITE, so a read that changes something is refused as on SQLite.
        text.push_str(" SET default_transaction_read_only TO on;");
    }
    text
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
