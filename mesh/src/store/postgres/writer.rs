//! Runs write closures: attempts, conflicts, and commits whose answer is lost.

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::FutureExt;
use tokio::sync::Notify;

use super::{
    super::{Isolation, StoreError, Tx, panic_message},
    fault::{Fault, FaultKind},
    pool::Sessions,
    session::Take,
    transaction::{Emitted, Identity, NotCommitted, Stamp, Transaction},
    turns::Turns,
};
use crate::{args, clock::Clock};

/// The pause after a lost attempt at most, which doubles from attempt to attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
/// How long a commit without an answer is asked about, and how often.
const LOOKING_UP: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Everything that a write needs.
#[derive(Debug)]
pub(super) struct Writer {
    sessions: Arc<Sessions>,
    stamp: Arc<Stamp>,
    turns: Turns,
    limits: RetryLimits,
    outbox_signal: Arc<Notify>,
    /// Tells other processes of events.
    emitted: Arc<Notify>,
    /// Not the store's clock: how long a network takes is no test's to decide.
    clock: Clock,
    measures: Measures,
}

/// When a write that keeps losing is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryLimits {
    pub(super) attempts: u32,
    pub(super) time: Duration,
}

#[derive(Debug)]
struct Measures {
    retries: metrics::Counter,
    given_up: metrics::Counter,
    looked_up: metrics::Counter,
    undone: metrics::Counter,
    write_seconds: metrics::Histogram,
}

enum Attempt<T, E> {
    /// The closure ran and its fate is known.
    Done(Result<T, E>),
    /// It was undone by the server; the same closure may succeed.
    Again(StoreError),
}

impl Writer {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        stamp: Arc<Stamp>,
        limits: RetryLimits,
        outbox_signal: Arc<Notify>,
        emitted: Arc<Notify>,
    ) -> Self {
        let store = stamp.store.clone();
        Self {
            sessions,
            stamp,
            turns: Turns::default(),
            limits,
            outbox_signal,
            emitted,
            clock: Clock::system(),
            measures: Measures {
                retries: metrics::counter!("hub_store_retries_total", "store" => store.clone()),
                given_up: metrics::counter!("hub_store_writes_given_up_total", "store" => store.clone()),
                looked_up: metrics::counter!("hub_store_commits_looked_up_total", "store" => store.clone()),
                undone: metrics::counter!("hub_store_writes_undone_total", "store" => store.clone()),
                write_seconds: metrics::histogram!("hub_store_commit_seconds", "store" => store),
            },
        }
    }

    /// Runs `job` until it committed, failed by itself, or lost too often.
    pub(super) async fn run<F, Fut, T, E>(&self, isolation: Isolation, job: F) -> Result<T, E>
    where
        F: FnOnce(Tx) -> Fut + Clone,
        Fut: Future<Output = Result<T, E>>,
        E: From<StoreError>,
    {
        let began = self.clock.monotonic();
        let begin = self.sessions.begin(match isolation {
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
            Isolation::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        });
        let mut attempt = 0;
        loop {
            let turn = self.turns.take(attempt).await;
            let outcome = self.attempt(&begin, job.clone()).await;
            drop(turn);
            let lost_to = match outcome {
                Attempt::Done(result) => return result,
                Attempt::Again(error) => error,
            };
            attempt += 1;
            let spent = self.clock.monotonic().saturating_duration_since(began);
            if attempt >= self.limits.attempts || spent >= self.limits.time {
                self.measures.given_up.increment(1);
                tracing::warn!(store = self.stamp.store, attempts = attempt, %lost_to, "a write was given up");
                return Err(StoreError::Unavailable {
                    message: format!("given up after {attempt} attempts: {lost_to}"),
                }
                .into());
            }
            self.measures.retries.increment(1);
            if Turns::is_alone(attempt) {
                self.pause(attempt).await;
            }
        }
    }

    /// Waits a random part of a time that doubles, so that processes that met do not meet again.
    async fn pause(&self, attempt: u32) {
        let longest = SHORTEST_PAUSE
            .saturating_mul(1 << attempt.min(10))
            .min(LONGEST_PAUSE);
        let share = f64::from(self.stamp.ids.uuid().as_u128() as u16) / f64::from(u16::MAX);
        self.clock.sleep(longest.mul_f64(share)).await;
    }

    async fn attempt<F, Fut, T, E>(&self, begin: &str, job: F) -> Attempt<T, E>
    where
        F: FnOnce(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<StoreError>,
    {
        let session = match self.sessions.take().await {
            Ok(session) => session,
            Err(fault) => return Attempt::Done(Err(fault.error.into())),
        };
        let transaction = Transaction::new(session, begin, Arc::clone(&self.stamp));
        let result = drive(&transaction, job).await;
        // Whatever the closure made of it: a transaction that lost is tried again.
        if let Some(fault) = transaction.failure()
            && is_worth_another(fault.kind)
        {
            transaction.roll_back().await;
            return Attempt::Again(fault.error);
        }
        let value = match result {
            Ok(value) => value,
            Err(error) => {
                transaction.roll_back().await;
                self.measures.undone.increment(1);
                return Attempt::Done(Err(error));
            }
        };
        let started = self.clock.monotonic();
        let committed = transaction.commit().await;
        let took = self.clock.monotonic().saturating_duration_since(started);
        self.measures.write_seconds.record(took.as_secs_f64());
        match committed {
            Ok(emitted) => {
                self.announce(emitted);
                Attempt::Done(Ok(value))
            }
            Err(NotCommitted::Undone(fault)) if is_worth_another(fault.kind) => {
                Attempt::Again(fault.error)
            }
            Err(NotCommitted::Undone(fault)) => {
                self.measures.undone.increment(1);
                Attempt::Done(Err(fault.error.into()))
            }
            Err(NotCommitted::Unknown(identity, emitted)) => match self.look_up(&identity).await {
                Ok(()) => {
                    self.announce(emitted);
                    Attempt::Done(Ok(value))
                }
                Err(error) => Attempt::Done(Err(error.into())),
            },
        }
    }

    fn announce(&self, emitted: Emitted) {
        if emitted == Emitted::Something {
            self.outbox_signal.notify_one();
            self.emitted.notify_one();
        }
    }

    /// Asks the server what became of a transaction whose COMMIT had no answer.
    async fn look_up(&self, identity: &Identity) -> Result<(), StoreError> {
        self.measures.looked_up.increment(1);
        let deadline = self.clock.monotonic() + LOOKING_UP;
        loop {
            match self.status(identity).await {
                Ok(Some(Status::Committed)) => return Ok(()),
                Ok(Some(Status::Aborted)) => {
                    return Err(StoreError::Unavailable {
                        message: "the connection was lost and the transaction undone".to_owned(),
                    });
                }
                Ok(Some(Status::InProgress)) => {}
                Ok(None) => return Err(StoreError::OutcomeUnknown),
                Err(fault) => {
                    tracing::warn!(store = self.stamp.store, error = %fault.error, "a commit cannot be looked up yet");
                }
            }
            if self.clock.monotonic() >= deadline {
                return Err(StoreError::OutcomeUnknown);
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// What the server knows of a transaction; `None` when it is not the server that ran it, or has
    /// forgotten. After a failover the number may be somebody else's: hence the timeline.
    async fn status(&self, identity: &Identity) -> Result<Option<Status>, Fault> {
        const STATUS: &str = "SELECT pg_xact_status($1::text::xid8) AS status, \
             left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline";
        let session = self.sessions.take().await?;
        let begin = self.sessions.begin("BEGIN READ ONLY");
        let args = args![identity.xid.as_str()];
        let answer = session
            .query_within(&begin, STATUS, &args, Take::First)
            .await;
        let row = match answer {
            Ok(answer) => answer.rows.into_iter().next(),
            Err(fault) => {
                session.discard();
                return Err(fault);
            }
        };
        let Some(row) = row else { return Ok(None) };
        if row.get::<&str>("timeline")? != identity.timeline {
            return Ok(None);
        }
        Ok(match row.get::<Option<&str>>("status")? {
            Some("committed") => Some(Status::Committed),
            Some("aborted") => Some(Status::Aborted),
            Some("in progress") => Some(Status::InProgress),
            _ => None,
        })
    }
}

enum Status {
    Committed,
    Aborted,
    InProgress,
}

fn is_worth_another(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Conflict | FaultKind::StaleStatement | FaultKind::LostUnused => true,
        FaultKind::Lost | FaultKind::Refused => false,
    }
}

/// Runs the closure to its end. Whatever it waits for that is not an answer of the server ends it, as on
/// SQLite: a transaction must not stay open for anything else.
async fn drive<F, Fut, T, E>(transaction: &Arc<Transaction>, job: F) -> Result<T, E>
where
    F: FnOnce(Tx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: From<StoreError>,
{
    let tx = Tx::postgres(transaction.handle());
    let mut running = pin!(AssertUnwindSafe(async move { job(tx).await }).catch_unwind());
    poll_fn(|context| match running.as_mut().poll(context) {
        Poll::Ready(Ok(result)) => Poll::Ready(result),
        Poll::Ready(Err(panic)) => Poll::Ready(Err(StoreError::Panicked {
            message: panic_message(panic.as_ref()),
        }
        .into())),
        Poll::Pending if transaction.is_awaited() => Poll::Pending,
        Poll::Pending => Poll::Ready(Err(StoreError::AwaitedElsewhere.into())),
    })
    .await
}
