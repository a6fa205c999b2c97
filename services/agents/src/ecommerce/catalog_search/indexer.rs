//! Keeps the index up with the products.
//!
//! The index is a projection: every commit carries the number of the last change that it has read, so
//! after a crash it goes on exactly there, and an index that was lost is read again from the first
//! change. Every process has an index of its own. Only one of those that share a store hears the events, so
//! the others look for changes by themselves. Commits cost several file syncs, so changes are gathered for a moment first; under a bulk
//! import longer, because then throughput matters more than the age of the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mesh::{
    Shutdown,
    store::{Dialect, Store, StoreError},
};
use tantivy::{IndexWriter, TantivyError, Term};

use super::{
    completions::Completions,
    document::document,
    index::{IndexError, SearchIndex, Watermark},
    schema::Cutter,
    state::{Progress, State},
    store::{Change, changes_after, identity, last_change},
};

/// How long changes are gathered before a commit, at least.
const GATHER: Duration = Duration::from_millis(200);
/// The same at most, however dear commits are.
const GATHER_MOST: Duration = Duration::from_secs(3);
/// Bringing the index up to date takes at most one part in so many of the time: under load, when a
/// commit takes long, there are fewer of them.
const INDEXING_SHARE: u32 = 20;
/// The same when there are many.
const GATHER_MANY: Duration = Duration::from_secs(1);
/// From how many changes on there are many.
const MANY: usize = 500;
/// Changes read from the store at once.
const BATCH: i64 = 1_000;
/// Changes after which there is a commit even if there are more.
const MOST_UNCOMMITTED: usize = 20_000;
/// How often to look without having been told; also how often a broken index is tried again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The same where other processes take events into the store.
const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(1);
/// After so long without a change the writer and its memory are given back.
const IDLE: Duration = Duration::from_secs(30);
/// Completions are rebuilt at most this often, and take at most a twentieth of the time.
const COMPLETIONS_EVERY: Duration = Duration::from_secs(1);
const COMPLETIONS_SHARE: u32 = 20;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Tantivy(#[from] TantivyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the indexing thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Feeds the index from the store.
pub struct Indexer {
    state: Arc<State>,
    store: Store,
    writer: Option<IndexWriter>,
    read_to: Option<Watermark>,
    completions_due: Option<Instant>,
    completions_stale: bool,
}

impl Indexer {
    /// An indexer that has not begun.
    pub fn new(state: Arc<State>, store: Store) -> Self {
        Self {
            state,
            store,
            writer: None,
            read_to: None,
            completions_due: None,
            completions_stale: true,
        }
    }

    /// Runs until shutdown. A failure closes the index (searches answer UNAVAILABLE) and is tried again.
    ///
    /// # Errors
    /// None; the type is what tasks return.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), IndexError> {
        let clock = self.state.clock().clone();
        let look_again = match self.store.dialect() {
            Dialect::Sqlite => LOOK_AGAIN,
            Dialect::Postgres => LOOK_AGAIN_SHARED,
        };
        let mut last_change = clock.monotonic();
        let mut gather = Duration::ZERO;
        loop {
            clock.sleep(gather).await;
            let began = clock.monotonic();
            gather = match self.round().await {
                Ok(changes) => {
                    if changes > 0 {
                        last_change = began;
                    }
                    let took = clock.monotonic().saturating_duration_since(began);
                    let least = if changes >= MANY { GATHER_MANY } else { GATHER };
                    pause(changes, took).max(least)
                }
                Err(error) => {
                    tracing::error!(%error, "the search index could not be brought up to date");
                    self.writer = None;
                    self.read_to = None;
                    self.state.close();
                    tokio::select! {
                        () = shutdown.cancelled() => return Ok(()),
                        () = clock.sleep(LOOK_AGAIN) => continue,
                    }
                }
            };
            if clock.monotonic().saturating_duration_since(last_change) >= IDLE {
                self.release_writer().await;
            }
            let wait = if self.completions_stale {
                COMPLETIONS_EVERY
            } else {
                look_again
            };
            tokio::select! {
                () = shutdown.cancelled() => {
                    self.release_writer().await;
                    return Ok(());
                }
                () = self.state.changed() => {}
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// Reads what changed into the index and commits; answers how many changes there were.
    async fn round(&mut self) -> Result<usize, RoundError> {
        let index = {
            let state = Arc::clone(&self.state);
            tokio::task::spawn_blocking(move || state.open()).await??
        };
        let mut read_to = match self.read_to.clone() {
            Some(read_to) => read_to,
            None => self.resume(&index).await?,
        };
        let began = self.state.clock().now();
        let mut taken = 0;
        loop {
            let changes = changes_after(&self.store, read_to.change, BATCH).await?;
            let last = changes.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            if let Some(change) = changes.last() {
                read_to.change = change.number;
                taken += changes.len();
                self.write(&index, changes).await?;
            }
            if last || taken >= MOST_UNCOMMITTED {
                break;
            }
        }
        if taken > 0 {
            self.commit(&index, &read_to).await?;
            self.completions_stale = true;
        }
        let change = read_to.change;
        self.read_to = Some(read_to);
        let complete_at = match taken < MOST_UNCOMMITTED {
            true => Some(began),
            false => self.state.progress().complete_at,
        };
        self.state.set_progress(Progress {
            change,
            complete_at,
        });
        self.refresh_completions(&index).await?;
        Ok(taken)
    }

    /// Where to go on. An index that was read from another table, or that knows of changes which the table
    /// does not, is of another store.
    async fn resume(&mut self, index: &Arc<SearchIndex>) -> Result<Watermark, RoundError> {
        let watermark = index.watermark()?;
        let table = identity(&self.store).await?;
        let is_empty = watermark == Watermark::default();
        let belongs =
            watermark.table == table && watermark.change <= last_change(&self.store).await?;
        if is_empty || belongs {
            return Ok(Watermark { table, ..watermark });
        }
        tracing::warn!("the search index belongs to another store; it is built anew");
        let writer = self.writer(index)?;
        writer.delete_all_documents()?;
        let fresh = Watermark { change: 0, table };
        self.commit(index, &fresh).await?;
        Ok(fresh)
    }

    fn writer(&mut self, index: &SearchIndex) -> Result<&mut IndexWriter, TantivyError> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            slot => Ok(slot.insert(index.writer()?)),
        }
    }

    async fn write(
        &mut self,
        index: &Arc<SearchIndex>,
        changes: Vec<Change>,
    ) -> Result<(), RoundError> {
        self.writer(index)?;
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let index = Arc::clone(index);
        let written = tokio::task::spawn_blocking(move || {
            let fields = index.fields();
            let mut cutter = Cutter::new();
            for change in changes {
                writer.delete_term(Term::from_field_text(fields.product_id, &change.product_id));
                if let Some(product) = &change.product {
                    writer.add_document(document(fields, &mut cutter, product))?;
                }
            }
            Ok::<_, TantivyError>(writer)
        });
        self.writer = Some(written.await??);
        Ok(())
    }

    async fn commit(
        &mut self,
        index: &Arc<SearchIndex>,
        read_to: &Watermark,
    ) -> Result<(), RoundError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        let index = Arc::clone(index);
        let payload = read_to.write();
        let committed = tokio::task::spawn_blocking(move || {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&payload);
            commit.commit()?;
            index.reload()?;
            Ok::<_, TantivyError>(writer)
        });
        self.writer = Some(committed.await??);
        Ok(())
    }

    async fn refresh_completions(&mut self, index: &Arc<SearchIndex>) -> Result<(), RoundError> {
        let clock = self.state.clock().clone();
        let now = clock.monotonic();
        if !self.completions_stale || self.completions_due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let index = Arc::clone(index);
        let built = tokio::task::spawn_blocking(move || {
            Completions::build(&index.searcher(), index.fields())
        });
        let completions = built.await??;
        tracing::debug!(entries = completions.len(), "completions are rebuilt");
        self.state.set_completions(completions);
        let took = clock.monotonic().saturating_duration_since(now);
        self.completions_stale = false;
        self.completions_due = Some(now + COMPLETIONS_EVERY.max(took * COMPLETIONS_SHARE));
        Ok(())
    }

    /// Ends the writer once its merges are done.
    async fn release_writer(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        match tokio::task::spawn_blocking(move || writer.wait_merging_threads()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "segments were not merged"),
            Err(error) => tracing::warn!(%error, "segments were not merged"),
        }
    }
}

/// How long to gather after a round that took so long. One that changed nothing cost nothing to speak of.
fn pause(changes: usize, took: Duration) -> Duration {
    match changes {
        0 => GATHER,
        _ => (took * INDEXING_SHARE).min(GATHER_MOST),
    }
}

#[cfg(test)]
impl Indexer {
    /// One round without waiting.
    pub async fn catch_up(&mut self) -> usize {
        self.completions_due = None;
        self.round().await.expect("the index can be written")
    }
}
