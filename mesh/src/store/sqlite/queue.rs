//! What waits for the writer thread.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use super::{super::StoreError, session::Session, tx::SqliteTx};

/// A unit of work for the writer thread.
pub(super) enum Work {
    /// Runs inside a group's transaction.
    Write(Box<dyn Job>),
    /// Runs outside any transaction.
    Alone(Box<dyn FnOnce(&mut Session) + Send>),
}

/// A write closure with the caller who waits for its result.
pub(super) trait Job: Send {
    /// Runs the closure and keeps its result.
    fn run(&mut self, tx: SqliteTx) -> Verdict;
    /// Sends the result once the fate of the group is known.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

/// What a closure wants to become of its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Undo,
}

/// The work that waits, in order of arrival.
pub(super) struct Queue {
    state: Mutex<State>,
    arrival: Condvar,
    limit: usize,
}

struct State {
    waiting: VecDeque<Work>,
    writer_sleeps: bool,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("depth", &self.state.lock().waiting.len())
            .finish_non_exhaustive()
    }
}

/// What the writer does next.
pub(super) enum Next {
    /// Commit the group that was put into the buffer.
    Group,
    /// Run this alone.
    Alone(Box<dyn FnOnce(&mut Session) + Send>),
    /// The queue is closed and empty.
    End,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                writer_sleeps: false,
                closed: false,
            }),
            arrival: Condvar::new(),
            limit,
        }
    }

    pub(super) fn push(&self, work: Work) -> Result<(), StoreError> {
        let wake = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(StoreError::Closed);
            }
            if state.waiting.len() >= self.limit {
                return Err(StoreError::Unavailable {
                    message: format!("{} writes are waiting", self.limit),
                });
            }
            state.waiting.push_back(work);
            std::mem::take(&mut state.writer_sleeps)
        };
        if wake {
            self.arrival.notify_one();
        }
        Ok(())
    }

    /// Waits for work, and moves up to `limit` writes into `group`.
    pub(super) fn next(&self, group: &mut Vec<Box<dyn Job>>, limit: usize) -> Next {
        let mut state = self.state.lock();
        loop {
            match state.waiting.pop_front() {
                Some(Work::Alone(work)) => return Next::Alone(work),
                Some(Work::Write(job)) => {
                    group.push(job);
                    Self::drain(&mut state, group, limit);
                    return Next::Group;
                }
                None if state.closed => return Next::End,
                None => {
                    state.writer_sleeps = true;
                    self.arrival.wait(&mut state);
                }
            }
        }
    }

    /// Moves writes that arrived meanwhile into a group that is still open.
    pub(super) fn join(&self, group: &mut Vec<Box<dyn Job>>, limit: usize) {
        Self::drain(&mut self.state.lock(), group, limit);
    }

    pub(super) fn depth(&self) -> usize {
        self.state.lock().waiting.len()
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.arrival.notify_one();
    }

    /// Refuses further work and lets go of what waits, whose callers then see the store closed.
    pub(super) fn abandon(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    fn drain(state: &mut State, group: &mut Vec<Box<dyn Job>>, limit: usize) {
        while group.len() < limit && matches!(state.waiting.front(), Some(Work::Write(_))) {
            if let Some(Work::Write(job)) = state.waiting.pop_front() {
                group.push(job);
            }
        }
    }
}
