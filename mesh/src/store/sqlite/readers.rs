//! Reader connections.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, TryAcquireError};

use super::{
    super::{StoreConfig, StoreError},
    open::connect_reader,
    session::Session,
};

/// A pool of read-only connections. Short queries run on the caller's thread; long ones run aside and
/// may take half of the pool, so that short ones always find a connection.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    config: StoreConfig,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

impl Readers {
    /// Opens the first connection; the others are opened when they are needed.
    pub(super) fn new(path: PathBuf, config: &StoreConfig) -> Result<Self, StoreError> {
        let size = config.readers.max(1);
        let first = connect_reader(&path, config)?;
        Ok(Self {
            path,
            config: config.clone(),
            idle: Mutex::new(vec![first]),
            permits: Arc::new(Semaphore::new(size)),
            aside: Arc::new(Semaphore::new((size / 2).max(1))),
        })
    }

    pub(super) async fn run<T>(
        &self,
        query: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => self
                .permits
                .acquire()
                .await
                .map_err(|_| StoreError::Closed)?,
            Err(TryAcquireError::Closed) => return Err(StoreError::Closed),
        };
        let mut session = self.checkout()?;
        let result = query(&mut session);
        self.give_back(session);
        result
    }

    pub(super) async fn run_aside<T: Send + 'static>(
        self: Arc<Self>,
        query: impl FnOnce(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let aside = Arc::clone(&self.aside)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let work = move || {
            let _held = (aside, permit);
            let mut session = self.checkout()?;
            let result = query(&mut session);
            self.give_back(session);
            result
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| StoreError::Unavailable {
                message: format!("a scan ended early: {error}"),
            })?
    }

    /// Refuses further queries and closes the idle connections; busy ones close when they are done.
    pub(super) fn close(&self) {
        self.permits.close();
        self.aside.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    fn checkout(&self) -> Result<Session, StoreError> {
        let idle = self.idle.lock().pop();
        match idle {
            Some(session) => Ok(session),
            None => connect_reader(&self.path, &self.config),
        }
    }

    fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock();
        if !self.permits.is_closed() {
            idle.push(session);
        }
    }
}
