//! The transaction handle on SQLite, and the connection that all handles of a store share.

use std::sync::Arc;

use parking_lot::Mutex;
use prost::Message;
use uuid::Uuid;

use super::{
    super::{Row, StoreError, Value},
    session::Session,
};
use crate::{args, clock::Clock, events::Emission, ids::Ids};

const INSERT_OUTBOX: &str = "INSERT INTO outbox (event_id, event_type, ordering_key, envelope, created_at) \
     VALUES ($1, $2, $3, $4, $5)";

/// What the writer thread and the handles of its closures share.
#[derive(Debug)]
pub(super) struct Shared {
    name: String,
    clock: Clock,
    ids: Ids,
    running: Mutex<Running>,
}

/// The connection, and which closure may use it. Locked per statement, by the writer thread alone as
/// long as closures keep their handle to themselves.
#[derive(Debug)]
pub(super) struct Running {
    /// None once the store is closed.
    session: Option<Session>,
    /// The closure that is running; 0 between closures.
    ticket: u64,
    last_ticket: u64,
    emitted: bool,
}

impl Shared {
    pub(super) fn new(name: &str, clock: Clock, ids: Ids, session: Session) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            ids,
            running: Mutex::new(Running {
                session: Some(session),
                ticket: 0,
                last_ticket: 0,
                emitted: false,
            }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Uses the connection between closures.
    pub(super) fn with_session<T>(
        &self,
        use_it: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &mut self.running.lock().session {
            Some(session) => use_it(session),
            None => Err(StoreError::Closed),
        }
    }

    /// Hands the connection to a closure.
    pub(super) fn begin(self: &Arc<Self>) -> SqliteTx {
        let mut running = self.running.lock();
        running.last_ticket += 1;
        running.ticket = running.last_ticket;
        running.emitted = false;
        SqliteTx {
            ticket: running.ticket,
            shared: Arc::clone(self),
        }
    }

    /// Takes the connection back. Returns whether the closure emitted events.
    pub(super) fn end(&self) -> bool {
        let mut running = self.running.lock();
        running.ticket = 0;
        running.emitted
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        drop(self.take_session());
    }

    /// Takes the connection away: from now on the store is closed.
    pub(super) fn take_session(&self) -> Option<Session> {
        self.running.lock().session.take()
    }
}

/// A closure's handle.
#[derive(Clone, Debug)]
pub(in crate::store) struct SqliteTx {
    shared: Arc<Shared>,
    ticket: u64,
}

impl SqliteTx {
    pub(in crate::store) fn execute(&self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        self.with(|session, _| session.execute(sql, args))
    }

    pub(in crate::store) fn one(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        self.with(|session, _| session.one(sql, args))
    }

    pub(in crate::store) fn all(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.with(|session, _| session.all(sql, args))
    }

    pub(in crate::store) fn emit(&self, emission: Emission) -> Result<Uuid, StoreError> {
        let event_id = self.shared.ids.uuid();
        let now = self.shared.clock.now();
        let envelope = emission.into_envelope(&self.shared.name, event_id, now);
        let bytes = envelope.encode_to_vec();
        let args = args![
            event_id,
            envelope.event_type,
            envelope.ordering_key,
            bytes,
            now
        ];
        self.with(|session, emitted| {
            session.execute(INSERT_OUTBOX, &args)?;
            *emitted = true;
            Ok(event_id)
        })
    }

    fn with<T>(
        &self,
        use_it: impl FnOnce(&mut Session, &mut bool) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut running = self.shared.running.lock();
        let running = &mut *running;
        if running.ticket != self.ticket {
            return Err(StoreError::TransactionOver);
        }
        match &mut running.session {
            Some(session) => use_it(session, &mut running.emitted),
            None => Err(StoreError::Closed),
        }
    }
}
