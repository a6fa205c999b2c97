//! What is to happen in this process once a transaction is durable.
//!
//! A closure that told others of its changes while it runs would tell them too early: they would look
//! and not see them. And a closure may run several times. So it leaves a note with its transaction, and
//! the facade carries out the notes of the attempt that was committed.

use std::sync::Arc;

use parking_lot::Mutex;

type Note = Box<dyn FnOnce() + Send>;

/// The notes of one write.
#[derive(Clone, Default)]
pub(super) struct AfterCommit {
    notes: Arc<Mutex<Vec<Note>>>,
}

impl AfterCommit {
    /// Forgets the notes of an attempt that was undone.
    pub(super) fn restart(&self) {
        self.notes.lock().clear();
    }

    pub(super) fn add(&self, note: impl FnOnce() + Send + 'static) {
        self.notes.lock().push(Box::new(note));
    }

    pub(super) fn carry_out(&self) {
        let notes = std::mem::take(&mut *self.notes.lock());
        for note in notes {
            note();
        }
    }
}

impl std::fmt::Debug for AfterCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AfterCommit")
            .field("notes", &self.notes.lock().len())
            .finish()
    }
}
