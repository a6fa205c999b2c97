//! One consumer at work: what happens to a delivery.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{
    Audience, Consumer, Effect, Envelope, ReactError,
    consumer::Verdict,
    inbox::{self, Committed, Failed, Letter, Parked, key_of},
    measures::Measures,
    parking::{Parking, Schedule},
    transport::{Delivery, Redelivery},
};
use crate::{
    clock::Clock,
    rpc::acting_as,
    store::{Store, StoreError, panic_message},
    telemetry::{conventions, within},
};

/// How many parked deliveries of one key are handled before other keys of the lane have their turn.
const RETRY_RUN: usize = 32;
/// First pause when the consumer's store does not take a record; doubled up to the limit.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a process is told of an event that it keeps in memory only.
const HEARINGS: u32 = 3;
/// Recorded errors are cut to this many bytes.
const ERROR_LIMIT: usize = 4096;

/// A consumer with the store that keeps its inbox.
pub(super) struct Subscription {
    consumer: Arc<dyn Consumer>,
    store: Store,
    clock: Clock,
    parking: Parking,
    schedule: Schedule,
    measures: Measures,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("consumer", &self.consumer.name())
            .field("store", &self.store.name())
            .finish_non_exhaustive()
    }
}

/// The runtime is stopping, and a delivery has to stay with its producer.
struct Stopped;

impl Subscription {
    pub(super) fn new(
        consumer: Arc<dyn Consumer>,
        store: Store,
        clock: Clock,
        schedule: Schedule,
    ) -> Self {
        Self {
            measures: Measures::new(consumer.name()),
            consumer,
            store,
            clock,
            parking: Parking::default(),
            schedule,
        }
    }

    pub(super) fn consumer(&self) -> &dyn Consumer {
        self.consumer.as_ref()
    }

    pub(super) fn name(&self) -> &'static str {
        self.consumer.name()
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn parking(&self) -> &Parking {
        &self.parking
    }

    /// Learns which keys are parked; what was known before may be outdated.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        self.parking.clear();
        for (key, due) in inbox::parked_keys(&self.store, self.name()).await? {
            self.parking.schedule(&key, due);
        }
        self.show_parked();
        Ok(())
    }

    /// Learns of keys that were parked elsewhere.
    pub(super) async fn find_parked(&self) -> Result<(), StoreError> {
        for (key, due) in inbox::parked_keys(&self.store, self.name()).await? {
            if !self.parking.holds(&key) {
                self.parking.schedule(&key, due);
            }
        }
        self.show_parked();
        Ok(())
    }

    /// Handles an event that has arrived, and takes its receipt once the event is in safe hands.
    pub(super) async fn accept(&self, delivery: Delivery, stop: &CancellationToken) {
        if self.consumer.audience() == Audience::EveryProcess {
            return self.hear(delivery, stop).await;
        }
        let Delivery {
            envelope,
            redelivery,
            receipt,
            encoded: _,
        } = delivery;
        let safe = if self.parking.holds(key_of(&envelope)) {
            self.park_behind(envelope, stop).await
        } else if redelivery == Redelivery::Possible {
            match self.is_known(&envelope, stop).await {
                Ok(true) => {
                    self.measures.duplicate.increment(1);
                    Ok(())
                }
                Ok(false) => self.handle(envelope, stop).await,
                Err(stopped) => Err(stopped),
            }
        } else {
            self.handle(envelope, stop).await
        };
        if safe.is_ok() {
            receipt.taken();
        }
    }

    /// Tells this process of an event. What it keeps in memory is not worth a record, so after a few attempts
    /// the event is let go.
    async fn hear(&self, delivery: Delivery, stop: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        for _ in 0..HEARINGS {
            match self.react(&delivery.envelope).await {
                Ok(Effect { write: None }) => {
                    self.measures.handled.increment(1);
                    self.measures.age_of(&delivery.envelope, &self.clock);
                    return delivery.receipt.taken();
                }
                Ok(Effect { write: Some(_) }) => {
                    tracing::error!(
                        consumer = self.name(),
                        "a consumer for every process must not write; its effect is ignored"
                    );
                    return delivery.receipt.taken();
                }
                Err(error) => {
                    self.measures.failed.increment(1);
                    tracing::warn!(consumer = self.name(), %error, "an event was not heard");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        // Whatever it would have changed may now be outdated.
        self.consumer.missed().await;
        delivery.receipt.taken();
    }

    /// Handles what is parked under a key, in order, as far as it goes.
    pub(super) async fn retry(&self, key: &str, stop: &CancellationToken) {
        for _ in 0..RETRY_RUN {
            self.parking.look(key);
            let first = self
                .persist(stop, || inbox::first_parked(&self.store, self.name(), key))
                .await;
            let parked = match first {
                Err(Stopped) => return,
                Ok(Some(parked)) => parked,
                Ok(None) if self.parking.forget(key) => {
                    self.show_parked();
                    return;
                }
                Ok(None) => continue,
            };
            if parked.next_attempt_at > self.clock.now() {
                self.parking.schedule(key, parked.next_attempt_at);
                return;
            }
            if self.retry_first(key, parked, stop).await.is_break() {
                return;
            }
        }
        self.parking.schedule(key, self.clock.now());
    }

    /// Tries the first parked delivery of a key. Breaks when the key has to wait.
    async fn retry_first(
        &self,
        key: &str,
        parked: Parked,
        stop: &CancellationToken,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let envelope = match &parked.envelope {
            Ok(envelope) => Arc::clone(envelope),
            Err(error) => {
                let error = format!("the parked event cannot be decoded: {error}");
                return match self.bury_undecodable(key, parked, error, stop).await {
                    Ok(()) => Continue(()),
                    Err(Stopped) => Break(()),
                };
            }
        };
        let Err(error) = self.attempt(&envelope, Some(parked.id)).await else {
            return Continue(());
        };
        let attempts = parked.attempts + 1;
        let delay = self.schedule.delay(attempts, self.store.ids().entropy());
        match delay.filter(|_| error.verdict == Verdict::Retry) {
            Some(delay) => {
                let due = self.clock.now() + delay;
                let text = cut(error.to_string());
                let stored = self
                    .persist(stop, || {
                        inbox::postpone(&self.store, parked.id, attempts, text.clone(), due)
                    })
                    .await;
                if stored.is_ok() {
                    self.parking.schedule(key, due);
                }
                Break(())
            }
            None => match self
                .bury(envelope, &error, attempts, Some(parked.id), stop)
                .await
            {
                Ok(()) => Continue(()),
                Err(Stopped) => Break(()),
            },
        }
    }

    /// The first attempt at an event, and what follows when it fails.
    async fn handle(
        &self,
        envelope: Arc<Envelope>,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let Err(error) = self.attempt(&envelope, None).await else {
            return Ok(());
        };
        let attempts = 1;
        let delay = self.schedule.delay(attempts, self.store.ids().entropy());
        match delay.filter(|_| error.verdict == Verdict::Retry) {
            Some(delay) => {
                let due = self.clock.now() + delay;
                let failed = self.failed(&envelope, &error, attempts);
                self.persist(stop, || inbox::park(&self.store, failed.clone(), due))
                    .await?;
                self.measures.parked.increment(1);
                self.parking.schedule(key_of(&envelope), due);
                self.show_parked();
                Ok(())
            }
            None => self.bury(envelope, &error, attempts, None, stop).await,
        }
    }

    /// One attempt at an event, as a span of the trace that the event belongs to.
    async fn attempt(
        &self,
        envelope: &Arc<Envelope>,
        parked: Option<i64>,
    ) -> Result<(), ReactError> {
        let (mut span, trace) = conventions::process(envelope, self.name());
        let outcome = within(trace, Box::pin(self.react_and_commit(envelope, parked))).await;
        if let Err(error) = &outcome {
            span.fail(match error.verdict {
                Verdict::Retry => "retry",
                Verdict::Reject => "reject",
            });
        }
        outcome
    }

    /// Lets the consumer react and commits the effect.
    async fn react_and_commit(
        &self,
        envelope: &Arc<Envelope>,
        parked: Option<i64>,
    ) -> Result<(), ReactError> {
        let outcome = match self.react(envelope).await {
            // Nothing to write and nothing to clean up: no record is worth a transaction.
            Ok(Effect { write: None }) if parked.is_none() => {
                self.measures.ignored.increment(1);
                return Ok(());
            }
            Ok(Effect { write }) => {
                let event_id = envelope.event_id.clone();
                inbox::commit(&self.store, self.name(), event_id, parked, write).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Committed::Now) => {
                self.measures.handled.increment(1);
                self.measures.age_of(envelope, &self.clock);
                Ok(())
            }
            Ok(Committed::Before) => {
                self.measures.duplicate.increment(1);
                Ok(())
            }
            Err(error) => {
                self.measures.failed.increment(1);
                tracing::warn!(
                    consumer = self.name(),
                    event_type = envelope.event_type,
                    event_id = envelope.event_id,
                    ordering_key = envelope.ordering_key,
                    traceparent = envelope.traceparent,
                    %error,
                    "an event was not handled"
                );
                Err(error)
            }
        }
    }

    async fn react(&self, envelope: &Arc<Envelope>) -> Result<Effect, ReactError> {
        let reaction = AssertUnwindSafe(acting_as(
            Arc::from(self.name()),
            self.consumer.react(envelope),
        ))
        .catch_unwind();
        match self
            .clock
            .timeout(self.consumer.time_limit(), reaction)
            .await
        {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(ReactError::retry(format_args!(
                "the consumer panicked: {}",
                panic_message(panic.as_ref())
            ))),
            Err(elapsed) => Err(ReactError::retry(elapsed)),
        }
    }

    /// Parks a delivery behind an earlier one of its key. It has not been tried, so no attempt counts.
    async fn park_behind(
        &self,
        envelope: Arc<Envelope>,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        if self.is_known(&envelope, stop).await? {
            self.measures.duplicate.increment(1);
            return Ok(());
        }
        let failed = Failed {
            consumer: self.name(),
            envelope,
            error: String::new(),
            attempts: 0,
        };
        let now = self.clock.now();
        self.persist(stop, || inbox::park(&self.store, failed.clone(), now))
            .await?;
        self.measures.parked.increment(1);
        Ok(())
    }

    async fn is_known(
        &self,
        envelope: &Envelope,
        stop: &CancellationToken,
    ) -> Result<bool, Stopped> {
        self.persist(stop, || {
            inbox::is_known(&self.store, self.name(), &envelope.event_id)
        })
        .await
    }

    async fn bury(
        &self,
        envelope: Arc<Envelope>,
        error: &ReactError,
        attempts: u32,
        parked: Option<i64>,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let failed = self.failed(&envelope, error, attempts);
        self.persist(stop, || inbox::bury(&self.store, failed.clone(), parked))
            .await?;
        self.measures.dead.increment(1);
        tracing::error!(
            consumer = self.name(),
            event_type = envelope.event_type,
            event_id = envelope.event_id,
            attempts,
            %error,
            "an event became a dead letter"
        );
        Ok(())
    }

    async fn bury_undecodable(
        &self,
        key: &str,
        parked: Parked,
        error: String,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let id = parked.id;
        let letter = Letter {
            consumer: self.name().to_owned(),
            event_id: parked.event_id,
            event_type: parked.event_type,
            ordering_key: key.to_owned(),
            envelope: parked.bytes,
            error,
            attempts: parked.attempts,
        };
        self.persist(stop, || {
            inbox::bury_letter(&self.store, letter.clone(), Some(id))
        })
        .await?;
        self.measures.dead.increment(1);
        Ok(())
    }

    /// Stores a message that never became a delivery as a dead letter. Returns whether the store has it;
    /// not when `stop` was cancelled first.
    pub(super) async fn set_aside(&self, letter: Letter, stop: &CancellationToken) -> bool {
        let stored = self
            .persist(stop, || async {
                if inbox::is_known(&self.store, self.name(), &letter.event_id).await? {
                    return Ok(false);
                }
                inbox::bury_letter(&self.store, letter.clone(), None).await?;
                Ok(true)
            })
            .await;
        if let Ok(true) = stored {
            self.measures.dead.increment(1);
            tracing::error!(
                consumer = self.name(),
                event_type = letter.event_type,
                event_id = letter.event_id,
                error = letter.error,
                "a message became a dead letter"
            );
        }
        stored.is_ok()
    }

    fn failed(&self, envelope: &Arc<Envelope>, error: &ReactError, attempts: u32) -> Failed {
        Failed {
            consumer: self.name(),
            envelope: Arc::clone(envelope),
            error: cut(error.to_string()),
            attempts,
        }
    }

    /// Repeats what must be recorded until the store takes it. The delivery stays in memory meanwhile, and
    /// with its producer, whose watermark does not pass it.
    async fn persist<T, F, Fut>(&self, stop: &CancellationToken, record: F) -> Result<T, Stopped>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match record().await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    tracing::error!(consumer = self.name(), %error, "the store of a consumer fails");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Err(Stopped),
                () = self.clock.sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn show_parked(&self) {
        self.measures.parked_keys.set(self.parking.len() as f64);
    }
}

/// Cuts a text at a character boundary.
fn cut(mut text: String) -> String {
    if text.len() > ERROR_LIMIT {
        let mut end = ERROR_LIMIT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
