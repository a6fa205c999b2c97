//! A store on a simulated disk.
//!
//! The deterministic simulation runs whole processes on one thread, so a store there has neither a writer
//! thread nor readers: the same SQLite, in memory, answers on the calling task. A closure is one transaction
//! that is polled once, as by the writer thread, so a crash can fall before or after a commit and never into
//! it. What goes wrong, and when, is decided by the [`Surroundings`].

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::{
    migrate,
    queue::{Job, Verdict},
    session::Session,
    tx::Shared,
    writer,
};
use crate::{
    clock::Clock,
    ids::Ids,
    simulation::Surroundings,
    store::{Migration, Row, StoreError, Tx, Value},
};

/// What a store is about to do, or has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A query outside a transaction.
    Read,
    /// A transaction that has not begun.
    Write,
    /// A transaction that is durable; its caller does not know yet.
    Committed,
}

/// A disk that survives the process whose store it keeps. Cheap to clone; clones are one disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Blank,
    /// No process uses it.
    Idle(Session),
    Mounted(Arc<Shared>),
}

impl Disk {
    /// Takes the disk from the process that has it, whose store is closed from then on. What was committed
    /// stays.
    pub fn unmount(&self) {
        let mut state = self.state.lock();
        *state = match std::mem::take(&mut *state) {
            State::Mounted(shared) => match shared.take_session() {
                Some(session) => State::Idle(session),
                None => State::Blank,
            },
            other => other,
        };
    }

    /// Runs a query on what is committed, beside whoever uses the disk.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn query(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.with(|session| session.all(sql, args))
    }

    /// Runs statements beside whoever uses the disk: audits and planted bugs.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.with(|session| session.batch(sql))
    }

    fn with<T>(
        &self,
        use_it: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &mut *self.state.lock() {
            State::Blank => Err(StoreError::Closed),
            State::Idle(session) => use_it(session),
            State::Mounted(shared) => shared.with_session(use_it),
        }
    }

    fn mount(
        &self,
        name: &str,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Arc<Shared>, StoreError> {
        self.unmount();
        let mut state = self.state.lock();
        let mut session = match std::mem::take(&mut *state) {
            State::Idle(session) => session,
            _ => blank()?,
        };
        migrate::run(&mut session, name, migrations, clock.now())?;
        let shared = Arc::new(Shared::new(name, clock, ids, session));
        *state = State::Mounted(Arc::clone(&shared));
        Ok(shared)
    }
}

fn blank() -> Result<Session, StoreError> {
    let connection = Connection::open_in_memory()?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(Session::new(connection))
}

/// A store of a simulated process.
#[derive(Debug)]
pub(in crate::store) struct Simulated {
    shared: Arc<Shared>,
    surroundings: Arc<dyn Surroundings>,
    outbox_signal: Arc<Notify>,
}

impl Simulated {
    pub(in crate::store) fn open(
        name: &str,
        surroundings: Arc<dyn Surroundings>,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let shared = surroundings
            .disk(name)
            .mount(name, migrations, clock, ids)?;
        Ok(Self {
            shared,
            surroundings,
            outbox_signal: Arc::default(),
        })
    }

    pub(in crate::store) fn name(&self) -> &str {
        self.shared.name()
    }

    pub(in crate::store) fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    pub(in crate::store) fn ids(&self) -> &Ids {
        self.shared.ids()
    }

    pub(in crate::store) fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_signal)
    }

    pub(in crate::store) async fn write<F, Fut, T, E>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = writer::write_job(job);
        let transaction = Transaction {
            shared: Arc::clone(&self.shared),
            surroundings: Arc::clone(&self.surroundings),
            outbox_signal: self.outbox_signal(),
        };
        // A task of its own: the transaction runs to its end when its caller goes away.
        tokio::spawn(transaction.run(job));
        Self::answered(answer).await
    }

    async fn answered<T, E: From<StoreError>>(
        answer: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E> {
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    pub(in crate::store) async fn one(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        self.read(|session| session.one(sql, args)).await
    }

    pub(in crate::store) async fn all(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        self.read(|session| session.all(sql, args)).await
    }

    async fn read<T>(
        &self,
        query: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.surroundings.access(self.name(), Access::Read).await?;
        self.shared.with_session(query)
    }

    pub(in crate::store) fn ping(&self) -> Result<(), StoreError> {
        self.shared
            .with_session(|session| session.one("SELECT 1", &[]).map(drop))
    }

    pub(in crate::store) fn close(&self) {
        self.surroundings.disk(self.name()).unmount();
    }
}

struct Transaction {
    shared: Arc<Shared>,
    surroundings: Arc<dyn Surroundings>,
    outbox_signal: Arc<Notify>,
}

impl Transaction {
    async fn run(self, mut job: Box<dyn Job>) {
        let name = self.shared.name();
        let admitted = self.surroundings.access(name, Access::Write).await;
        let outcome = match admitted.and_then(|()| self.execute(job.as_mut())) {
            // The closure's own error is the answer.
            Ok(Verdict::Undo) => Ok(()),
            Ok(Verdict::Keep) => self.surroundings.access(name, Access::Committed).await,
            Err(error) => Err(error),
        };
        job.answer(outcome);
    }

    fn execute(&self, job: &mut dyn Job) -> Result<Verdict, StoreError> {
        self.control("BEGIN IMMEDIATE")?;
        let verdict = job.run(self.shared.begin());
        let emitted = self.shared.end();
        let ended = match verdict {
            Verdict::Keep => self.control("COMMIT"),
            Verdict::Undo => self.control("ROLLBACK"),
        };
        if let Err(error) = ended {
            // Harmless when SQLite has rolled back by itself.
            let _ = self.control("ROLLBACK");
            return Err(error);
        }
        if emitted && verdict == Verdict::Keep {
            self.outbox_signal.notify_one();
        }
        Ok(verdict)
    }

    fn control(&self, sql: &str) -> Result<(), StoreError> {
        self.shared.with_session(|session| session.control(sql))
    }
}
