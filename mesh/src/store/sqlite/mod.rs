//! The SQLite engine: one file, one writer thread, a few readers.

mod hold;
mod migrate;
mod open;
mod queue;
mod readers;
mod session;
mod simulated;
mod tx;
mod writer;

use std::{future::Future, path::Path, sync::Arc};

use tokio::sync::{Notify, watch};

use self::{
    open::{Location, open_location},
    queue::{Queue, Work},
    readers::Readers,
    tx::Shared,
    writer::Writer,
};
use super::{Migration, Row, StoreConfig, StoreError, Tx, Value};
use crate::{clock::Clock, ids::Ids};

pub(crate) use hold::{Hold, Snapshot, check as check_file};
pub(super) use simulated::Simulated;
pub use simulated::{Access, Disk};
pub(super) use tx::SqliteTx;
pub(crate) use writer::panic_message;

/// One open database file.
#[derive(Debug)]
pub(super) struct Sqlite {
    location: Arc<Location>,
    config: StoreConfig,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    outbox_signal: Arc<Notify>,
    /// True once the writer thread has closed its connection and given the file free.
    finished: watch::Receiver<bool>,
}

impl Sqlite {
    pub(super) async fn open(
        name: &str,
        config: &StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let location = Location::permanent(name, config);
        Self::start(location, config.clone(), migrations, clock, ids).await
    }

    pub(super) async fn temporary(
        name: &str,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let location = Location::temporary(name);
        let config = StoreConfig {
            synchronous: super::Synchronous::Off,
            ..StoreConfig::default()
        };
        Self::start(location, config, migrations, clock, ids).await
    }

    async fn start(
        location: Location,
        config: StoreConfig,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let location = Arc::new(location);
        let path = location.file().to_path_buf();
        let name = location.name().to_owned();
        let now = clock.now();
        let opening = {
            let (config, location) = (config.clone(), Arc::clone(&location));
            move || -> Result<_, StoreError> {
                let mut opened = open_location(&location, &config)?;
                migrate::run(&mut opened.session, location.name(), migrations, now)?;
                Ok(opened)
            }
        };
        // Migrations may take long, and waiting for the file's lock blocks.
        let opened = tokio::task::spawn_blocking(opening)
            .await
            .map_err(|error| StoreError::Open {
                path: path.clone(),
                message: error.to_string(),
            })
            .flatten()
            .inspect_err(|_| location.discard())?;
        let readers = Arc::new(Readers::new(path.clone(), &config)?);
        let queue = Arc::new(Queue::new(config.queue_limit.max(1)));
        let outbox_signal = Arc::new(Notify::new());
        let shared = Arc::new(Shared::new(&name, clock, ids, opened.session));
        let (finish, finished) = watch::channel(false);
        let writer = Writer::new(
            Arc::clone(&shared),
            Arc::clone(&queue),
            Arc::clone(&outbox_signal),
            config.group_limit.max(1),
        );
        let (lock, folder) = (opened.lock, Arc::clone(&location));
        std::thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || {
                writer.run();
                // The connection first, then the lock: a successor may be waiting for it.
                drop(writer);
                drop(lock);
                folder.discard();
                finish.send_replace(true);
            })
            .map_err(|error| StoreError::Open {
                path: path.clone(),
                message: format!("the writer thread did not start: {error}"),
            })?;
        Ok(Self {
            location,
            config,
            shared,
            queue,
            readers,
            outbox_signal,
            finished,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.shared.name()
    }

    pub(super) fn path(&self) -> &Path {
        self.location.file()
    }

    pub(super) fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    pub(super) fn ids(&self) -> &Ids {
        self.shared.ids()
    }

    pub(super) fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_signal)
    }

    pub(super) async fn write<F, Fut, T, E>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = writer::write_job(job);
        self.queue.push(Work::Write(job))?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    pub(super) async fn one(&self, sql: &str, args: &[Value]) -> Result<Option<Row>, StoreError> {
        self.readers.run(|session| session.one(sql, args)).await
    }

    pub(super) async fn all(&self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.readers.run(|session| session.all(sql, args)).await
    }

    pub(super) async fn scan(&self, sql: String, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        Arc::clone(&self.readers)
            .run_aside(move |session| session.all(&sql, &args))
            .await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.one("SELECT 1", &[]).await?;
        self.write(|tx: Tx| async move { tx.one("SELECT 1", Vec::new()).await.map(drop) })
            .await
    }

    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        let (send, answer) = tokio::sync::oneshot::channel();
        self.queue.push(Work::Alone(Box::new(move |session| {
            // The caller may have gone away; the checkpoint is done all the same.
            let _ = send.send(session.checkpoint());
        })))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        self.queue.close();
        let mut finished = self.finished.clone();
        finished
            .wait_for(|finished| *finished)
            .await
            .map(drop)
            .map_err(|_| StoreError::Closed)
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.queue.close();
        // Also here, because the process may end before the writer thread has.
        self.location.discard();
    }
}
