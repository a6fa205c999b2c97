//! What a service implements to react to events.

use std::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

use async_trait::async_trait;

use super::Envelope;
use crate::{
    error::Failure,
    store::{StoreError, Tx},
};

/// Reacts to events of some types.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Unique and stable name, `service.action` (`payments.charge`): the inbox is kept by it.
    fn name(&self) -> &'static str;

    /// Names of the event types that the consumer wants.
    fn event_types(&self) -> &'static [&'static str];

    /// Reacts to one event. It may be called several times for one event, so whatever it does itself
    /// (calls to services and providers) must be idempotent; what the returned effect writes happens once.
    /// An effect of nothing leaves no trace in the inbox.
    ///
    /// # Errors
    /// [`ReactError::retry`] to be called again later, [`ReactError::reject`] when that would not help.
    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError>;

    /// Who is to hear an event when several processes run this consumer.
    fn audience(&self) -> Audience {
        Audience::Group
    }

    /// Called for [`Audience::EveryProcess`] when events may have passed unheard: after each subscription at
    /// the broker. Whatever this process derived from events is to be forgotten or read again.
    async fn missed(&self) {}

    /// How many events with different keys are handled at the same time.
    fn lanes(&self) -> usize {
        32
    }

    /// How long [`Consumer::react`] may take; then the attempt counts as failed.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Who hears an event when several processes run one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// One of them, whose effect is for all: what is written is in the store that they share.
    #[default]
    Group,
    /// Each of them, for what it keeps in memory. There is no inbox, no parking and no dead letter: a process
    /// that is not there does not hear, and an effect must be [`Effect::none`].
    EveryProcess,
}

type Writing = Pin<Box<dyn Future<Output = Result<(), ReactError>> + Send>>;

/// A write closure that can be run once more: a transaction that lost against another one starts anew.
pub(super) trait Write: Send {
    fn run(self: Box<Self>, tx: Tx) -> Writing;
    fn again(&self) -> Box<dyn Write>;
}

impl<F, Fut> Write for F
where
    F: FnOnce(Tx) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), ReactError>> + Send + 'static,
{
    fn run(self: Box<Self>, tx: Tx) -> Writing {
        Box::pin(self(tx))
    }

    fn again(&self) -> Box<dyn Write> {
        Box::new(self.clone())
    }
}

/// What an effect writes.
pub(super) struct EffectWrite(Box<dyn Write>);

impl EffectWrite {
    pub(super) async fn run(self, tx: Tx) -> Result<(), ReactError> {
        self.0.run(tx).await
    }
}

impl Clone for EffectWrite {
    fn clone(&self) -> Self {
        Self(self.0.again())
    }
}

/// What a consumer wants written to its store because of an event.
#[must_use]
pub struct Effect {
    pub(super) write: Option<EffectWrite>,
}

impl Effect {
    /// Nothing is to be written.
    pub fn none() -> Self {
        Self { write: None }
    }

    /// A closure as for [`Store::write`](crate::store::Store::write). It runs in one transaction with the
    /// record that the event was handled.
    pub fn write<F, Fut>(write: F) -> Self
    where
        F: FnOnce(Tx) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), ReactError>> + Send + 'static,
    {
        Self {
            write: Some(EffectWrite(Box::new(write))),
        }
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.write {
            Some(_) => "Effect::write",
            None => "Effect::none",
        })
    }
}

/// Why an event was not handled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReactError {
    pub(super) verdict: Verdict,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Retry,
    Reject,
}

impl ReactError {
    /// The event may be handled later: it is parked and tried again.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self {
            verdict: Verdict::Retry,
            message: message.to_string(),
        }
    }

    /// The event can never be handled: it becomes a dead letter at once.
    pub fn reject(message: impl fmt::Display) -> Self {
        Self {
            verdict: Verdict::Reject,
            message: message.to_string(),
        }
    }

    /// Whether the event is given up at once.
    pub fn is_reject(&self) -> bool {
        self.verdict == Verdict::Reject
    }
}

/// The error with its causes on one line: operators read it in the dead letters.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<StoreError> for ReactError {
    fn from(error: StoreError) -> Self {
        Self::retry(error)
    }
}

impl From<Failure> for ReactError {
    fn from(failure: Failure) -> Self {
        Self::retry(with_causes(&failure))
    }
}

impl From<tonic::Status> for ReactError {
    fn from(status: tonic::Status) -> Self {
        Self::retry(format_args!("{:?}: {}", status.code(), status.message()))
    }
}
