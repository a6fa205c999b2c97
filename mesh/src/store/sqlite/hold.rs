//! Copies of a database as of one moment, while it goes on serving.
//!
//! The services' files hang together: what one has announced, another has heard. So a copy of all of them must
//! show all at the same moment. Every store's writer is held for an instant; meanwhile each file gets a reader
//! that keeps seeing this state; then the writers go on and the copies are made at leisure.

use std::{path::Path, sync::mpsc, time::Duration};

use rusqlite::{Connection, backup::Backup};

use super::{super::StoreError, Sqlite, open::connect_reader, queue::Work, session::Session};

/// Pages that are copied at a time.
const STEP: i32 = 1_024;

/// As long as it lives, nobody writes.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The writer thread waits for this to go away.
    _release: mpsc::Sender<()>,
    snapshot: Snapshot,
}

/// A database as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    name: String,
    session: Session,
}

impl Sqlite {
    /// Waits for the writes before it, then holds the writer.
    pub(in crate::store) async fn hold(&self) -> Result<Hold, StoreError> {
        let (hold, held) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        self.queue.push(Work::Alone(Box::new(move |_| {
            // Whoever asked may have gone away; then nothing is held.
            if hold.send(()).is_ok() {
                // An error is the signal: the sender is gone.
                let _ = released.recv();
            }
        })))?;
        held.await.map_err(|_| StoreError::Closed)?;
        let session = connect_reader(self.path(), &self.config)?;
        // A transaction sees what there was at its first read, however long it stays open.
        session.batch("BEGIN; SELECT COUNT(*) FROM sqlite_master")?;
        Ok(Hold {
            _release: release,
            snapshot: Snapshot {
                name: self.name().to_owned(),
                session,
            },
        })
    }
}

impl Hold {
    /// Lets the writer go on and keeps the state of now.
    pub(crate) fn release(self) -> Snapshot {
        self.snapshot
    }
}

impl Snapshot {
    /// Name of the store.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Copies the database into a new file, and checks the copy. It blocks as long as the disk takes.
    ///
    /// # Errors
    /// The file cannot be written, or the copy is not sound.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let mut copy = Connection::open(path)?;
        Backup::new(self.session.connection(), &mut copy)?.run_to_completion(
            STEP,
            Duration::ZERO,
            None,
        )?;
        // One file, without a log beside it.
        copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        copy.close().map_err(|(_, error)| StoreError::from(error))?;
        check(path)
    }
}

/// Checks that a database file is whole: its pages and indexes, and that every reference has its row.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    let broken = |message: String| StoreError::Open {
        path: path.to_path_buf(),
        message,
    };
    let file = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = file.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(broken(verdict));
    }
    let mut violations = file.prepare("PRAGMA foreign_key_check")?;
    if violations.exists([])? {
        return Err(broken("a reference has no row".to_owned()));
    }
    Ok(())
}
