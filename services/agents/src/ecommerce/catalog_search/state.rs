//! What the search's handlers, consumer and indexer share.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use mesh::{Clock, Failure};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    completions::Completions,
    index::{IndexError, SearchIndex},
};

/// How far the index has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The change up to which the index has read the products.
    pub change: i64,
    /// When the index was last known to hold everything that product events had said.
    pub complete_at: Option<DateTime<Utc>>,
}

/// The search as the rest of the crate sees it.
pub struct State {
    folder: PathBuf,
    clock: Clock,
    index: RwLock<Option<Arc<SearchIndex>>>,
    completions: RwLock<Arc<Completions>>,
    progress: Mutex<Progress>,
    changed: Notify,
}

impl State {
    /// A search whose index lies in `folder`; it is opened by [`State::open`].
    pub fn new(folder: PathBuf, clock: Clock) -> Self {
        Self {
            folder,
            clock,
            index: RwLock::default(),
            completions: RwLock::default(),
            progress: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Opens the index, unless it is open.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(&self) -> Result<Arc<SearchIndex>, IndexError> {
        let mut slot = self.index.write();
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(SearchIndex::open(&self.folder)?);
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Takes the index out of use; the next [`State::open`] reads it again from disk.
    pub fn close(&self) {
        *self.index.write() = None;
    }

    /// The index.
    ///
    /// # Errors
    /// Unavailable while there is none.
    pub fn index(&self) -> Result<Arc<SearchIndex>, Failure> {
        self.index
            .read()
            .clone()
            .ok_or_else(|| Failure::unavailable("the search index is not available"))
    }

    /// What can be completed to.
    pub fn completions(&self) -> Arc<Completions> {
        Arc::clone(&self.completions.read())
    }

    /// Replaces what can be completed to.
    pub fn set_completions(&self, completions: Completions) {
        *self.completions.write() = Arc::new(completions);
    }

    /// How far the index has come.
    pub fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Notes how far the index has come.
    pub fn set_progress(&self, progress: Progress) {
        *self.progress.lock() = progress;
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Tells the indexer that products are about to change.
    pub fn product_changes(&self) {
        self.changed.notify_one();
    }

    /// Ends when products have changed since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
