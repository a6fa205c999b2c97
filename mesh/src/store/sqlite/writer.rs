//! The writer thread: group commit.
//!
//! Everything that waits runs in one transaction. Each closure has its own savepoint, so its failure
//! undoes its own changes only; all are answered after the one commit. While a commit waits for the
//! disk the next group gathers by itself, so no timer is needed to form groups.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::sync::{Notify, oneshot};

use super::{
    super::{StoreError, Tx},
    queue::{Job, Next, Queue, Verdict},
    tx::{Shared, SqliteTx},
};

/// The state of the writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    outbox_signal: Arc<Notify>,
    group_limit: usize,
    measures: Measures,
}

struct Measures {
    group_size: metrics::Histogram,
    commit_seconds: metrics::Histogram,
    queue_depth: metrics::Gauge,
    undone: metrics::Counter,
    lost_groups: metrics::Counter,
}

impl Measures {
    fn new(store: &str) -> Self {
        let store = store.to_owned();
        Self {
            group_size: metrics::histogram!("hub_store_group_size", "store" => store.clone()),
            commit_seconds: metrics::histogram!("hub_store_commit_seconds", "store" => store.clone()),
            queue_depth: metrics::gauge!("hub_store_queue_depth", "store" => store.clone()),
            undone: metrics::counter!("hub_store_writes_undone_total", "store" => store.clone()),
            lost_groups: metrics::counter!("hub_store_lost_groups_total", "store" => store),
        }
    }
}

impl Drop for Writer {
    /// Runs when the thread ends, whatever ends it: nobody must wait for a writer that is gone.
    fn drop(&mut self) {
        self.queue.abandon();
        self.shared.close();
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        outbox_signal: Arc<Notify>,
        group_limit: usize,
    ) -> Self {
        let measures = Measures::new(shared.name());
        Self {
            shared,
            queue,
            outbox_signal,
            group_limit,
            measures,
        }
    }

    /// Serves the queue until it is closed and empty.
    pub(super) fn run(&self) {
        let mut group = Vec::new();
        loop {
            match self.queue.next(&mut group, self.group_limit) {
                Next::Group => self.commit_group(&mut group),
                Next::Alone(work) => {
                    // Fails only when the connection is gone, and then the caller sees the channel closed.
                    let _ = self.shared.with_session(|session| {
                        work(session);
                        Ok(())
                    });
                }
                Next::End => break,
            }
        }
    }

    fn commit_group(&self, group: &mut Vec<Box<dyn Job>>) {
        let outcome = self.run_group(group);
        self.measures.group_size.record(group.len() as f64);
        self.measures.queue_depth.set(self.queue.depth() as f64);
        match &outcome {
            Ok(Emitted::Something) => self.outbox_signal.notify_one(),
            Ok(Emitted::Nothing) => {}
            Err(error) => {
                self.measures.lost_groups.increment(1);
                tracing::error!(store = self.shared.name(), %error, writes = group.len(), "a group of writes was lost");
                // Harmless when SQLite has rolled back by itself.
                let _ = self.control("ROLLBACK");
            }
        }
        let commit = outcome.map(drop);
        for job in group.drain(..) {
            job.answer(commit.clone());
        }
    }

    fn run_group(&self, group: &mut Vec<Box<dyn Job>>) -> Result<Emitted, StoreError> {
        self.control("BEGIN IMMEDIATE")?;
        let mut emitted = Emitted::Nothing;
        // A closure on its own needs no savepoint: the transaction is its own.
        if let [job] = group.as_mut_slice() {
            if self.run_job(job.as_mut(), &mut emitted)? == Verdict::Undo {
                self.control("ROLLBACK")?;
                return Ok(Emitted::Nothing);
            }
            self.commit()?;
            return Ok(emitted);
        }
        let mut done = 0;
        while done < group.len() {
            for job in &mut group[done..] {
                self.control("SAVEPOINT job")?;
                let verdict = self.run_job(job.as_mut(), &mut emitted)?;
                if verdict == Verdict::Undo {
                    self.control("ROLLBACK TO job")?;
                }
                self.control("RELEASE job")?;
            }
            done = group.len();
            self.queue.join(group, self.group_limit);
        }
        self.commit()?;
        Ok(emitted)
    }

    fn run_job(&self, job: &mut dyn Job, emitted: &mut Emitted) -> Result<Verdict, StoreError> {
        let verdict = job.run(self.shared.begin());
        let has_emitted = self.shared.end();
        match verdict {
            Verdict::Keep if has_emitted => *emitted = Emitted::Something,
            Verdict::Keep => {}
            Verdict::Undo => self.measures.undone.increment(1),
        }
        // A full disk or an I/O error makes SQLite give up the whole transaction, and with it what the
        // closures before this one did.
        self.shared.with_session(|session| {
            if session.is_idle() {
                Err(StoreError::Unavailable {
                    message: "the transaction was given up by the database".to_owned(),
                })
            } else {
                Ok(verdict)
            }
        })
    }

    fn commit(&self) -> Result<(), StoreError> {
        let clock = self.shared.clock();
        let started = clock.monotonic();
        self.control("COMMIT")?;
        let took = clock.monotonic().saturating_duration_since(started);
        self.measures.commit_seconds.record(took.as_secs_f64());
        Ok(())
    }

    fn control(&self, sql: &str) -> Result<(), StoreError> {
        self.shared.with_session(|session| session.control(sql))
    }
}

/// Whether a group put events into the outbox.
#[derive(Clone, Copy)]
enum Emitted {
    Nothing,
    Something,
}

struct WriteJob<F, T, E> {
    closure: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

/// Packs a closure for the queue, with the channel on which its result arrives.
pub(super) fn write_job<F, Fut, T, E>(closure: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: FnOnce(Tx) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = WriteJob {
        closure: Some(closure),
        result: None,
        reply,
    };
    (Box::new(job), answer)
}

impl<F, Fut, T, E> Job for WriteJob<F, T, E>
where
    F: FnOnce(Tx) -> Fut + Send,
    Fut: Future<Output = Result<T, E>>,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: SqliteTx) -> Verdict {
        let Some(closure) = self.closure.take() else {
            return Verdict::Undo;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = pin!(closure(Tx::sqlite(tx)));
            future.poll(&mut Context::from_waker(Waker::noop()))
        }));
        let result = match polled {
            Ok(Poll::Ready(result)) => result,
            Ok(Poll::Pending) => Err(StoreError::AwaitedElsewhere.into()),
            Err(panic) => Err(StoreError::Panicked {
                message: panic_message(panic.as_ref()),
            }
            .into()),
        };
        let verdict = match &result {
            Ok(_) => Verdict::Keep,
            Err(_) => Verdict::Undo,
        };
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result, commit) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        // A caller that went away does not want the answer.
        let _ = self.reply.send(result);
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
