//! The PostgreSQL engine: a schema of a database that any number of processes share.
//!
//! Writes are SERIALIZABLE transactions that are tried again when they lose against others, so a closure
//! may reason as if it were alone, as on SQLite. What is sent when is chosen by flights over the network,
//! because they cost more than the statements: the BEGIN travels with the first statement, events with
//! the COMMIT, and a read is one flight.

mod decode;
mod fault;
mod lease;
mod listener;
mod migrate;
mod parameter;
mod pool;
mod server;
mod session;
mod temporary;
mod transaction;
mod turns;
mod writer;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::Instrument;

use self::{
    fault::{Fault, FaultKind},
    lease::Keeper,
    listener::Listener,
    pool::Sessions,
    server::Server,
    session::{Answer, Take},
    temporary::TemporarySchema,
    transaction::Stamp,
    writer::{RetryLimits, Writer},
};
use super::{
    Isolation, Lease, Migration, Row, StoreConfig, StoreError, Tx, Value,
    config::{Database, Pooling},
};
use crate::{clock::Clock, ids::Ids};

pub(super) use transaction::PostgresTx;

/// Whether the addresses of a database can be used as they are written.
pub(super) fn check(database: &Database) -> Result<(), StoreError> {
    Server::parse(database.url.expose(), "hub")?;
    match &database.read_url {
        Some(url) => Server::parse(url.expose(), "hub").map(drop),
        None => Ok(()),
    }
}

/// One store on PostgreSQL.
#[derive(Debug)]
pub(super) struct Postgres {
    stamp: Arc<Stamp>,
    main: Arc<Sessions>,
    /// Where scans go.
    replica: Option<Sessions>,
    writer: Arc<Writer>,
    writes: TaskTracker,
    write_limit: usize,
    outbox_signal: Arc<Notify>,
    /// Keepers of leases and the listener, which end with the store.
    companions: TaskTracker,
    closing: CancellationToken,
    /// Notified when a lease was given back.
    freed: Arc<Notify>,
    channel: String,
    lease_term: Duration,
    _ends_companions: DropGuard,
    /// Dropped with the store.
    _temporary: Option<TemporarySchema>,
}

impl Postgres {
    /// Opens the store in a schema that lasts as long as it does.
    pub(super) async fn temporary(
        name: &str,
        database: &Database,
        config: &StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let server = Server::parse(database.url.expose(), "hub tests")?;
        let schema = TemporarySchema::new(server, name);
        let opened = Self::open(
            name,
            schema.name(),
            database,
            config,
            migrations,
            clock,
            ids,
        )
        .await?;
        Ok(Self {
            _temporary: Some(schema),
            ..opened
        })
    }

    /// Opens the store `name` in `schema`, which is created and migrated as far as needed.
    pub(super) async fn open(
        name: &str,
        schema: &str,
        database: &Database,
        config: &StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let server = Server::parse(database.url.expose(), &format!("hub {name}"))?;
        let main = Arc::new(Sessions::new(&server, "main", name, schema, config)?);
        let replica = match &database.read_url {
            Some(url) => {
                let server = Server::parse(url.expose(), &format!("hub {name} reads"))?;
                Some(Sessions::new(&server, "replica", name, schema, config)?)
            }
            None => None,
        };
        migrate::run(&main, name, schema, migrations, clock.now())
            .await
            .map_err(|error| match error {
                StoreError::Unavailable { message } => StoreError::Connect {
                    server: server.label().to_owned(),
                    message,
                },
                other => other,
            })?;
        let stamp = Arc::new(Stamp {
            store: name.to_owned(),
            clock,
            ids,
        });
        let outbox_signal = Arc::new(Notify::new());
        let emitted = Arc::new(Notify::new());
        let limits = RetryLimits {
            attempts: config.retry_attempts.max(1),
            time: Duration::from_millis(config.retry_time_ms.into()),
        };
        let writer = Writer::new(
            Arc::clone(&main),
            Arc::clone(&stamp),
            limits,
            Arc::clone(&outbox_signal),
            Arc::clone(&emitted),
        );
        let companions = TaskTracker::new();
        let closing = CancellationToken::new();
        let freed = Arc::new(Notify::new());
        let channel = listener::channel(schema);
        // A session that is ours for a transaction only cannot listen.
        if config.pooling == Pooling::Session {
            let listener = Listener {
                server,
                channel: channel.clone(),
                outbox_signal: Arc::clone(&outbox_signal),
                freed: Arc::clone(&freed),
                emitted,
                clock: Clock::system(),
            };
            companions.spawn(listener.run(closing.clone()));
        }
        Ok(Self {
            stamp,
            main,
            replica,
            writer: Arc::new(writer),
            writes: TaskTracker::new(),
            write_limit: config.queue_limit.max(1),
            outbox_signal,
            companions,
            _ends_companions: closing.clone().drop_guard(),
            closing,
            freed,
            channel,
            lease_term: Duration::from_millis(config.lease_ms.max(100).into()),
            _temporary: None,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.stamp.store
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.stamp.clock
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.stamp.ids
    }

    pub(super) fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_signal)
    }

    /// Asks for a lease; the answer comes through it.
    pub(super) fn lease(&self, name: &str) -> Lease {
        let (tell, held) = watch::channel(false);
        let stop = self.closing.child_token();
        let keeper = Keeper {
            sessions: Arc::clone(&self.main),
            name: name.to_owned(),
            owner: self.stamp.ids.uuid(),
            term: self.lease_term,
            channel: self.channel.clone(),
            freed: Arc::clone(&self.freed),
            held: tell,
            clock: Clock::system(),
        };
        self.companions.spawn(keeper.run(stop.clone()));
        Lease::kept(held, stop.drop_guard())
    }

    pub(super) async fn write<F, Fut, T, E>(&self, isolation: Isolation, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if self.writes.is_closed() {
            return Err(StoreError::Closed.into());
        }
        if self.writes.len() >= self.write_limit {
            return Err(StoreError::Unavailable {
                message: format!("{} writes are waiting", self.write_limit),
            }
            .into());
        }
        let writer = Arc::clone(&self.writer);
        // A task of its own: it runs to its end even when the caller goes away.
        let running = self
            .writes
            .spawn(async move { writer.run(isolation, job).await }.in_current_span());
        match running.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    pub(super) async fn one(&self, sql: &str, args: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.read(sql, args, Take::First).await?.rows.pop())
    }

    pub(super) async fn all(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        Ok(self.read(sql, args, Take::All).await?.rows)
    }

    pub(super) async fn scan(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        self.refuse_when_closed()?;
        let sessions = self.replica.as_ref().unwrap_or(&self.main);
        // Here the planner may read whole tables, and statements are too diverse to be kept prepared.
        let begin = format!("{} SET LOCAL enable_seqscan TO on", sessions.begin(BEGIN));
        let session = sessions.take().await?;
        let answer = session.query_within(&begin, sql, args, Take::All).await;
        if answer.as_ref().is_err_and(Fault::is_loss) {
            session.discard();
        }
        Ok(answer?.rows)
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let row = self
            .one("SELECT pg_is_in_recovery() AS standby", &[])
            .await?;
        match row.map(|row| row.get::<bool>("standby")).transpose()? {
            Some(false) => Ok(()),
            _ => Err(StoreError::Unavailable {
                message: "the server takes no writes: it is a standby".to_owned(),
            }),
        }
    }

    /// Finishes the writes that run, gives leases back, then closes all connections.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.writes.close();
        self.writes.wait().await;
        self.closing.cancel();
        self.companions.close();
        self.companions.wait().await;
        self.main.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
        Ok(())
    }

    async fn read(&self, sql: &str, args: &[Value], take: Take) -> Result<Answer, StoreError> {
        self.refuse_when_closed()?;
        match self.read_once(sql, args, take).await {
            // A connection that died while it lay idle, or a statement that the schema outgrew.
            Err(fault) if fault.is_loss() || fault.kind == FaultKind::StaleStatement => {
                Ok(self.read_once(sql, args, take).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn read_once(&self, sql: &str, args: &[Value], take: Take) -> Result<Answer, Fault> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        let session = self.main.take().await?;
        let answer = match self.main.pooling() {
            Pooling::Session => session.query(sql, args, take).await,
            Pooling::Transaction => {
                let begin = self.main.begin(BEGIN);
                session.query_within(&begin, sql, args, take).await
            }
        };
        match &answer {
            Err(fault) if fault.is_loss() => session.discard(),
            Err(fault) if fault.kind == FaultKind::StaleStatement => session.forget_statements(),
            _ => {}
        }
        answer
    }

    fn refuse_when_closed(&self) -> Result<(), StoreError> {
        if self.writes.is_closed() {
            return Err(StoreError::Closed);
        }
        Ok(())
    }
}
