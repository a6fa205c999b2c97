//! Sessions that have ended while their access tokens are still good.
//!
//! Identity says so twice: it keeps a mark in the hub's cache, which all gateways see at once when they
//! share a Redis, and it announces the end with the event `SessionsEnded`, which every gateway hears
//! and remembers. Either is enough. So a Redis that is away or was emptied forgets nothing that the
//! gateways have heard, and a gateway that was away when the event came finds the mark.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mesh::{Cache, Clock};
use moka::sync;

/// Sessions that are remembered; more than end while an access token lives.
const REMEMBERED: u64 = 200_000;
/// How long memory is used for a session; longer than access tokens live.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// What this gateway knows.
pub struct Revocations {
    /// The hub's cache, where identity marks.
    marks: Cache,
    /// What was heard, and until when it matters.
    heard: sync::Cache<String, DateTime<Utc>>,
    clock: Clock,
}

impl Revocations {
    /// Nothing heard yet.
    pub fn new(marks: Cache, clock: Clock) -> Self {
        Self {
            marks,
            heard: sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(LIFE)
                .build(),
            clock,
        }
    }

    /// Where identity marks the end of `session`.
    pub fn key(session: &str) -> String {
        format!("revoked-session:{session}")
    }

    /// Remembers that `session` has ended, until its last token is worthless anyway.
    pub fn hear(&self, session: &str, until: DateTime<Utc>) {
        self.heard.insert(session.to_owned(), until);
    }

    /// Whether this gateway has heard that `session` has ended.
    pub fn has_heard_of(&self, session: &str) -> bool {
        !session.is_empty()
            && self
                .heard
                .get(session)
                .is_some_and(|until| self.clock.now() < until)
    }

    /// Whether the mark of `session` is in this process.
    pub async fn is_kept_here(&self, session: &str) -> bool {
        !session.is_empty() && self.marks.get_here(&Self::key(session)).await.is_some()
    }
}
