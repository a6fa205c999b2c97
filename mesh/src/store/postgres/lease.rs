//! Keeps leases: asks for them, renews them, gives them back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::{StoreError, Value},
    fault::Fault,
    pool::Sessions,
    session::{Answer, Take},
};
use crate::{args, clock::Clock};

/// Takes the lease when it is free, expired or ours. One statement, so that of several who ask at once
/// one gets it; the time is the database's, read when the row is locked.
const ASK: &str = "INSERT INTO leases AS lease (name, owner, expires_at) \
     VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) \
     ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, \
         expires_at = clock_timestamp() + make_interval(secs => $3) \
     WHERE lease.owner = excluded.owner OR lease.expires_at <= clock_timestamp() \
     RETURNING name";
/// Gives the lease back and tells those who wait.
const RELEASE: &str = "WITH freed AS (DELETE FROM leases WHERE name = $1 AND owner = $2 RETURNING name) \
     SELECT pg_notify($3, 'lease') FROM freed";
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// What keeps one lease.
pub(super) struct Keeper {
    pub(super) sessions: Arc<Sessions>,
    pub(super) name: String,
    pub(super) owner: Uuid,
    /// For how long it is granted.
    pub(super) term: Duration,
    /// Channel on which a release is told.
    pub(super) channel: String,
    /// Notified when somebody gave a lease back.
    pub(super) freed: Arc<Notify>,
    pub(super) held: watch::Sender<bool>,
    pub(super) clock: Clock,
}

impl Keeper {
    /// Keeps the lease until `stop` is cancelled.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut until = None;
        while !stop.is_cancelled() {
            let freed = self.freed.notified();
            until = self.ask(until).await;
            let now = self.clock.monotonic();
            let is_held = until.is_some_and(|until| until > now);
            if self.held.send_replace(is_held) != is_held {
                tracing::info!(lease = self.name, is_held, "a lease changed hands");
            }
            // Never later than the end: then it counts as lost whatever the database does.
            let pause = match until {
                Some(until) if is_held => (self.term / 4).min(until - now),
                _ => self.term / 4,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep(pause) => {}
                () = freed, if !is_held => {}
            }
        }
        self.held.send_replace(false);
        let args = args![self.name.as_str(), self.owner, self.channel.as_str()];
        // What cannot be given back expires.
        let _ = self.run_once(RELEASE, args).await;
    }

    /// Asks for the lease or for more of it. Gives the time until which it may be counted on: less than
    /// was granted, so that the holder has stopped when it ends.
    async fn ask(&self, until: Option<Instant>) -> Option<Instant> {
        let asked_at = self.clock.monotonic();
        let args = args![self.name.as_str(), self.owner, self.term.as_secs_f64()];
        match self.run_once(ASK, args).await {
            Ok(answer) if answer.rows.is_empty() => None,
            Ok(_) => Some(asked_at + self.term.mul_f64(0.8)),
            Err(error) => {
                tracing::warn!(lease = self.name, %error, "a lease cannot be asked for");
                until
            }
        }
    }

    async fn run_once(&self, sql: &str, args: Vec<Value>) -> Result<Answer, StoreError> {
        let asked = async {
            let session = self.sessions.take().await?;
            let begin = self.sessions.begin(BEGIN);
            let answer = session.query_within(&begin, sql, &args, Take::First).await;
            if answer.as_ref().is_err_and(Fault::is_loss) {
                session.discard();
            }
            Ok::<_, StoreError>(answer?)
        };
        self.clock
            .timeout(self.term / 4, asked)
            .await
            .map_err(|_| StoreError::Unavailable {
                message: "no answer in time".to_owned(),
            })?
    }
}
