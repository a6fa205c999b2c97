//! A running transaction, and the handle that a closure has on it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::{join, join_all};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::RwLock;
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use super::{
    super::{Row, StoreError, Value},
    fault::{Fault, FaultKind},
    session::{Answer, Session, Take},
};
use crate::{args, clock::Clock, events::Emission, ids::Ids};

const INSERT_OUTBOX: &str = "INSERT INTO outbox (event_id, event_type, ordering_key, envelope, created_at) \
     VALUES ($1, $2, $3, $4, $5)";
/// Which transaction this is, and on which timeline of the server: asked with the BEGIN, because a
/// COMMIT without an answer can only be looked up by them.
const IDENTITY: &str = "SELECT pg_current_xact_id()::text, \
     left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)";

/// What events are stamped with.
#[derive(Debug)]
pub(super) struct Stamp {
    pub(super) store: String,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
}

/// A closure's handle.
#[derive(Clone, Debug)]
pub(in crate::store) struct PostgresTx(Arc<Transaction>);

/// One attempt at a write.
#[derive(Debug)]
pub(super) struct Transaction {
    stamp: Arc<Stamp>,
    begin: String,
    /// Statements share it; the end takes it away, and so waits for them.
    session: RwLock<Option<Session>>,
    state: Mutex<State>,
    /// Statements whose answer is awaited.
    awaited: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    /// Statements that were dropped before their answer came, which nobody has looked at.
    abandoned: usize,
    identity: Option<Identity>,
    failed: Option<Fault>,
    emitted: Vec<Vec<Value>>,
}

/// Names a transaction beyond the connection that it ran on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) xid: String,
    pub(super) timeline: String,
}

/// Whether a commit put events into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emitted {
    Nothing,
    Something,
}

/// Why a transaction was not seen to commit.
pub(super) enum NotCommitted {
    /// It was undone.
    Undone(Fault),
    /// The connection was lost while the commit was on its way.
    Unknown(Identity, Emitted),
}

impl Transaction {
    pub(super) fn new(session: Session, begin: &str, stamp: Arc<Stamp>) -> Arc<Self> {
        Arc::new(Self {
            stamp,
            begin: format!("{begin} {IDENTITY}"),
            session: RwLock::new(Some(session)),
            state: Mutex::default(),
            awaited: AtomicUsize::new(0),
        })
    }

    pub(super) fn handle(self: &Arc<Self>) -> PostgresTx {
        PostgresTx(Arc::clone(self))
    }

    /// Whether the closure waits for an answer of the server.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Acquire) > 0
    }

    /// Why a statement of the transaction failed, if one did.
    pub(super) fn failure(&self) -> Option<Fault> {
        self.state.lock().failed.clone()
    }

    async fn query(&self, sql: &str, args: &[Value], take: Take) -> Result<Answer, StoreError> {
        let waiting = Waiting::new(self);
        let session = self.session.read().await;
        let session = session.as_ref().ok_or(StoreError::TransactionOver)?;
        let begins = self.is_first()?;
        let answer = if begins {
            // One flight: the BEGIN is sent first and nobody waits for its answer alone.
            let (begun, answer) = join(self.begin(session), session.query(sql, args, take)).await;
            begun.map_err(Fault::before_anything).and(answer)
        } else {
            session.query(sql, args, take).await
        };
        waiting.answered();
        answer.map_err(|fault| self.fail(fault))
    }

    /// Whether the transaction is still to be begun, which the caller does then.
    fn is_first(&self) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        match &state.failed {
            Some(fault) => Err(fault.error.clone()),
            None => Ok(!mem::replace(&mut state.begun, true)),
        }
    }

    /// Keeps the first error, which ended the transaction.
    fn fail(&self, fault: Fault) -> StoreError {
        let error = fault.error.clone();
        self.state.lock().failed.get_or_insert(fault);
        error
    }

    /// Runs statements in order, all of them in one flight once they are prepared.
    async fn batch(
        &self,
        statements: &[(&'static str, Vec<Value>)],
    ) -> Result<Vec<u64>, StoreError> {
        let waiting = Waiting::new(self);
        let session = self.session.read().await;
        let session = session.as_ref().ok_or(StoreError::TransactionOver)?;
        let begins = self.is_first()?;
        let counts = self.send_batch(session, begins, statements).await;
        waiting.answered();
        counts.map_err(|fault| self.fail(fault))
    }

    async fn send_batch(
        &self,
        session: &Session,
        begins: bool,
        statements: &[(&'static str, Vec<Value>)],
    ) -> Result<Vec<u64>, Fault> {
        if begins {
            self.begin(session).await.map_err(Fault::before_anything)?;
        }
        let mut ready = BTreeMap::new();
        for (sql, _) in statements {
            if let Entry::Vacant(entry) = ready.entry(*sql) {
                entry.insert(session.ready(sql).await?);
            }
        }
        // Polled in this order, and each sends itself when it is first polled.
        let runs = statements
            .iter()
            .map(|(sql, args)| session.run(&ready[sql], args, Take::None));
        let answers = join_all(runs).await;
        answers
            .into_iter()
            .map(|answer| answer.map(|answer| answer.count))
            .collect()
    }

    async fn begin(&self, session: &Session) -> Result<(), Fault> {
        let messages = session.control(&self.begin).await?;
        let identity = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(Identity {
                xid: row.get(0)?.to_owned(),
                timeline: row.get(1)?.to_owned(),
            }),
            _ => None,
        });
        self.state.lock().identity = identity;
        Ok(())
    }

    /// Takes the transaction away from its closure and commits it.
    pub(super) async fn commit(&self) -> Result<Emitted, NotCommitted> {
        let Some(session) = self.session.write().await.take() else {
            return Err(NotCommitted::Undone(StoreError::TransactionOver.into()));
        };
        let state = mem::take(&mut *self.state.lock());
        let emitted = match state.emitted.is_empty() {
            true => Emitted::Nothing,
            false => Emitted::Something,
        };
        match self.send_commit(&session, state).await {
            Ok(()) => Ok(emitted),
            Err(Failed::Undone(fault)) => {
                undo(session, &fault).await;
                Err(NotCommitted::Undone(fault))
            }
            Err(Failed::Unanswered(identity)) => {
                session.discard();
                Err(NotCommitted::Unknown(identity, emitted))
            }
        }
    }

    async fn send_commit(&self, session: &Session, mut state: State) -> Result<(), Failed> {
        if let Some(fault) = state.failed {
            return Err(Failed::Undone(fault));
        }
        if !state.begun {
            if state.emitted.is_empty() {
                return Ok(());
            }
            self.begin(session).await?;
            state.identity = self.state.lock().identity.take();
        }
        let Some(identity) = state.identity else {
            let message = "the transaction has no identity".to_owned();
            return Err(Failed::Undone(StoreError::Unavailable { message }.into()));
        };
        if state.abandoned > 0 {
            // A COMMIT of a transaction that failed is answered like any other, so ask first.
            session.control("SELECT 1").await?;
        }
        let answers = if state.emitted.is_empty() {
            vec![session.control("COMMIT").await.map(drop)]
        } else {
            let insert = session.ready(INSERT_OUTBOX).await?;
            let inserts = state
                .emitted
                .iter()
                .map(|args| session.run(&insert, args, Take::None));
            // One flight as well: polled in this order, each sends what it has at once.
            let (inserted, committed) = join(join_all(inserts), session.control("COMMIT")).await;
            let inserted = inserted.into_iter().map(|answer| answer.map(drop));
            inserted.chain([committed.map(drop)]).collect()
        };
        // The first that failed says why; what came after it was refused because of it.
        match answers.into_iter().collect::<Result<(), Fault>>() {
            Ok(()) => Ok(()),
            Err(fault) if fault.kind == FaultKind::Lost => Err(Failed::Unanswered(identity)),
            Err(fault) => Err(Failed::Undone(fault)),
        }
    }

    /// Takes the transaction away from its closure and undoes it.
    pub(super) async fn roll_back(&self) {
        if let Some(session) = self.session.write().await.take() {
            let state = mem::take(&mut *self.state.lock());
            match state.failed {
                Some(fault) => undo(session, &fault).await,
                None if state.begun => give_back(session).await,
                None => {}
            }
        }
    }
}

/// As [`NotCommitted`], while the session is still at hand.
enum Failed {
    Undone(Fault),
    Unanswered(Identity),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Undone(fault)
    }
}

async fn undo(session: Session, fault: &Fault) {
    match fault.kind {
        FaultKind::Lost | FaultKind::LostUnused => session.discard(),
        FaultKind::StaleStatement => {
            session.forget_statements();
            give_back(session).await;
        }
        FaultKind::Conflict | FaultKind::Refused => give_back(session).await,
    }
}

/// Returns a connection to the pool, outside any transaction.
async fn give_back(session: Session) {
    if session.control("ROLLBACK").await.is_err() {
        session.discard();
    }
}

/// Counts a statement as awaited while it lives.
struct Waiting<'a>(&'a Transaction);

impl<'a> Waiting<'a> {
    fn new(transaction: &'a Transaction) -> Self {
        transaction.awaited.fetch_add(1, Ordering::AcqRel);
        transaction.state.lock().abandoned += 1;
        Self(transaction)
    }

    fn answered(&self) {
        self.0.state.lock().abandoned -= 1;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::AcqRel);
    }
}

impl PostgresTx {
    pub(in crate::store) async fn execute(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<u64, StoreError> {
        Ok(self.0.query(sql, args, Take::None).await?.count)
    }

    pub(in crate::store) async fn one(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.0.query(sql, args, Take::First).await?.rows.pop())
    }

    pub(in crate::store) async fn all(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.query(sql, args, Take::All).await?.rows)
    }

    pub(in crate::store) async fn execute_batch(
        &self,
        statements: &[(&'static str, Vec<Value>)],
    ) -> Result<Vec<u64>, StoreError> {
        self.0.batch(statements).await
    }

    /// Keeps the event for the flight of the COMMIT.
    pub(in crate::store) fn emit(&self, emission: Emission) -> Result<Uuid, StoreError> {
        let stamp = &self.0.stamp;
        let event_id = stamp.ids.uuid();
        let now = stamp.clock.now();
        let envelope = emission.into_envelope(&stamp.store, event_id, now);
        let bytes = envelope.encode_to_vec();
        // Only the end holds the lock alone.
        let session = self
            .0
            .session
            .try_read()
            .map_err(|_| StoreError::TransactionOver)?;
        if session.is_none() {
            return Err(StoreError::TransactionOver);
        }
        let mut state = self.0.state.lock();
        if let Some(fault) = &state.failed {
            return Err(fault.error.clone());
        }
        state.emitted.push(args![
            event_id,
            envelope.event_type,
            envelope.ordering_key,
            bytes,
            now
        ]);
        Ok(event_id)
    }
}
