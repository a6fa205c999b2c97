//! Following an order: what happened so far, then each event as it happens.

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use contracts::hub::orders::v1::{OrderEvent, OrderStatus, SagaStep};
use futures::{Stream, stream};
use mesh::{
    Clock, Failure, Shutdown, args,
    store::{Dialect, Store, StoreError},
};
use tonic::Status;

use crate::{
    domain::{order::status_of, saga::step_of},
    store::{Entry, entries_after},
    watch::Watch,
    wire,
};

/// Entries read at once: the buffer of a follower never grows beyond it.
const BATCH: i64 = 64;
/// Without a sign of change the timeline is read again after this long.
const FALLBACK: Duration = Duration::from_secs(5);
/// The same where other processes change orders too, of which this one gets no sign.
const SHARED_FALLBACK: Duration = Duration::from_millis(500);
/// How long an order is followed when the call has no deadline.
const LONGEST: Duration = Duration::from_secs(300);
/// The stream ends this long before the call's deadline, so that it ends instead of failing.
const MARGIN: Duration = Duration::from_millis(200);

/// The stream of a server-streaming call.
pub(crate) type EventStream = Pin<Box<dyn Stream<Item = Result<OrderEvent, Status>> + Send>>;

/// Someone who follows an order.
pub(super) struct Follower {
    store: Store,
    clock: Clock,
    order_id: String,
    seen: i64,
    waiting: VecDeque<Entry>,
    watch: Watch,
    shutdown: Shutdown,
    until: Instant,
    fallback: Duration,
    ended: bool,
}

impl Follower {
    /// Follows an order from after position `seen`, for as long as the call may take and the process
    /// serves.
    pub(super) fn new(
        store: Store,
        clock: Clock,
        order_id: String,
        seen: i64,
        watch: Watch,
        shutdown: Shutdown,
        remaining: Option<Duration>,
    ) -> Self {
        let patience = remaining.unwrap_or(LONGEST).saturating_sub(MARGIN);
        Self {
            until: clock.monotonic() + patience,
            fallback: match store.dialect() {
                Dialect::Sqlite => FALLBACK,
                Dialect::Postgres => SHARED_FALLBACK,
            },
            store,
            clock,
            order_id,
            seen,
            waiting: VecDeque::new(),
            watch,
            shutdown,
            ended: false,
        }
    }

    /// The events as a stream.
    pub(super) fn into_stream(self) -> EventStream {
        Box::pin(stream::unfold(Some(self), |follower| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(Some(event)) => Some((Ok(event), Some(follower))),
                Ok(None) => None,
                Err(error) => Some((Err(Failure::from(error).into()), None)),
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<OrderEvent>, StoreError> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                self.seen = entry.seq;
                return Ok(Some(wire::event(&entry)));
            }
            if self.ended {
                return Ok(None);
            }
            // Asked before the entries are read: an end that is seen has all its entries.
            let ended = self.has_ended().await?;
            let entries = entries_after(&self.store, &self.order_id, self.seen, BATCH).await?;
            let caught_up = (entries.len() as i64) < BATCH;
            self.waiting.extend(entries);
            self.ended = ended && caught_up;
            if !self.waiting.is_empty() || self.ended {
                continue;
            }
            let left = self.until.saturating_duration_since(self.clock.monotonic());
            if left.is_zero() || self.shutdown.is_cancelled() {
                return Ok(None);
            }
            tokio::select! {
                // Whoever follows resumes elsewhere, after the last event seen.
                () = self.shutdown.cancelled() => {}
                () = self.watch.changed() => {}
                () = self.clock.sleep(left.min(self.fallback)) => {}
            }
        }
    }

    /// Whether nothing more will happen to the order.
    async fn has_ended(&self) -> Result<bool, StoreError> {
        let row = self
            .store
            .one(
                "SELECT o.status, s.step FROM orders o JOIN sagas s ON s.order_id = o.order_id \
                 WHERE o.order_id = $1",
                args![&self.order_id],
            )
            .await?;
        let Some(row) = row else {
            return Ok(true);
        };
        let closed = matches!(
            status_of(row.get("status")?),
            Some(OrderStatus::Completed | OrderStatus::Refunded)
        );
        Ok(match step_of(row.get("step")?) {
            // What was undone is over; a refund of goods on the way leaves nothing to wait for either.
            Some(SagaStep::Compensated) => true,
            Some(SagaStep::Completed) => closed,
            _ => false,
        })
    }
}
