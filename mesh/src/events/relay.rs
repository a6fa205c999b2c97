//! Reads a store's outbox and hands its events over.
//!
//! What is left to relay is known in one of two ways. A SQLite file has one writer, so the order of rows is
//! that of commits and one number, the watermark, says it all. On PostgreSQL each row has a mark of its own
//! (see [`super::marks`]). Either way the events that are handed over and not yet taken are bounded.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio_util::sync::CancellationToken;

use super::{
    Envelope, EventsConfig,
    inbox::{self, Letter},
    marks::Marks,
    transport::{Delivery, Receipt, Redelivery, Transport},
    window::Window,
};
use crate::{
    args,
    clock::Clock,
    store::{Dialect, Isolation, Row, Store, StoreError, Tx},
};

/// Name of the relay in the watermark table and among the leases, and of the consumer in dead letters for
/// events that it cannot read.
pub(super) const RELAY: &str = "relay";
/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows marked in one statement at most.
const MARK_BATCH: usize = 1_000;

/// What is left to relay.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// Everything after a number that moves.
    Watermark(Arc<Window>),
    /// Every row without a mark.
    Marks(Arc<Marks>),
}

impl Progress {
    async fn of(store: &Store, capacity: usize) -> Result<Self, StoreError> {
        Ok(match store.dialect() {
            Dialect::Sqlite => {
                Self::Watermark(Arc::new(Window::new(capacity, watermark(store).await?)))
            }
            Dialect::Postgres => Self::Marks(Arc::new(Marks::new(capacity))),
        })
    }

    fn free(&self) -> usize {
        match self {
            Self::Watermark(window) => window.free(),
            Self::Marks(marks) => marks.free(),
        }
    }

    /// How many events are handed over and not taken.
    pub(super) fn in_flight(&self) -> usize {
        match self {
            Self::Watermark(window) => window.in_flight(),
            Self::Marks(marks) => marks.in_flight(),
        }
    }

    fn admit(&self, seq: i64) -> Receipt {
        match self {
            Self::Watermark(window) => window.admit(seq),
            Self::Marks(marks) => marks.admit(seq),
        }
    }

    async fn room(&self) {
        match self {
            Self::Watermark(window) => window.room.notified().await,
            Self::Marks(marks) => marks.room.notified().await,
        }
    }

    /// Makes durable what was taken.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Self::Watermark(window) => write_watermark(store, window.low_mark()).await,
            Self::Marks(marks) => {
                while write_marks(store, marks).await? {}
                Ok(())
            }
        }
    }
}

/// The relay of one store.
pub(super) struct Relay {
    store: Store,
    transport: Arc<dyn Transport>,
    progress: Progress,
    clock: Clock,
    batch: usize,
    poll_interval: Duration,
    watermark_interval: Duration,
    /// Events up to here were in the outbox before this relay started, so they may have been delivered.
    restarted_at: i64,
    relayed: metrics::Counter,
    in_flight: metrics::Gauge,
}

impl Relay {
    /// Takes up the work where the last relay of this store left it.
    pub(super) async fn resume(
        store: Store,
        transport: Arc<dyn Transport>,
        clock: Clock,
        config: &EventsConfig,
    ) -> Result<Self, StoreError> {
        let progress = Progress::of(&store, config.window).await?;
        let mut restarted_at = newest(&store).await?;
        if let Progress::Watermark(window) = &progress {
            restarted_at = restarted_at.max(window.low_mark());
        }
        let name = store.name().to_owned();
        Ok(Self {
            progress,
            transport,
            clock,
            batch: config.batch.max(1),
            poll_interval: config.poll_interval(),
            watermark_interval: config.watermark_interval(),
            restarted_at,
            relayed: metrics::counter!("hub_events_relayed_total", "store" => name.clone()),
            in_flight: metrics::gauge!("hub_events_in_flight", "store" => name),
            store,
        })
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Hands events over until `stop` is cancelled.
    pub(super) async fn run(self, stop: CancellationToken) {
        let signal = self.store.outbox_signal();
        let mut position = match &self.progress {
            Progress::Watermark(window) => window.low_mark(),
            Progress::Marks(_) => 0,
        };
        while !stop.is_cancelled() {
            let limit = self.progress.free().min(self.batch);
            if limit == 0 {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.progress.room() => continue,
                }
            }
            let read = match self.read(position, limit).await {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::error!(store = self.store.name(), %error, "the outbox cannot be read");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.clock.sleep(PAUSE) => continue,
                    }
                }
            };
            let full = read.len() == limit;
            let mut stuck = false;
            for row in read {
                match self.hand_over(&row).await {
                    Ok(seq) => position = seq,
                    Err(error) => {
                        tracing::error!(store = self.store.name(), %error, "an event is stuck in the outbox");
                        stuck = true;
                        break;
                    }
                }
            }
            self.in_flight.set(self.progress.in_flight() as f64);
            if stuck {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.clock.sleep(PAUSE) => continue,
                }
            }
            if full {
                // There may be more; let others run in between.
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = signal.notified() => {}
                () = self.poll() => {}
            }
        }
    }

    /// Completes when the outbox is to be looked at although nobody has said so.
    async fn poll(&self) {
        match &self.progress {
            // Whoever writes to a file is in this process and says so.
            Progress::Watermark(_) => std::future::pending().await,
            Progress::Marks(_) => self.clock.sleep(self.poll_interval).await,
        }
    }

    async fn read(&self, after: i64, limit: usize) -> Result<Vec<Row>, StoreError> {
        match &self.progress {
            Progress::Watermark(_) => {
                self.store
                    .all(
                        "SELECT seq, envelope FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2",
                        args![after, limit as i64],
                    )
                    .await
            }
            Progress::Marks(marks) => {
                self.store
                    .all(
                        "SELECT seq, envelope FROM outbox WHERE relayed_at IS NULL \
                         AND seq NOT IN (SELECT unnest($1::bigint[])) ORDER BY seq LIMIT $2",
                        args![marks.in_hand(), limit as i64],
                    )
                    .await
            }
        }
    }

    async fn hand_over(&self, row: &Row) -> Result<i64, StoreError> {
        let seq: i64 = row.get("seq")?;
        let encoded = Bytes::copy_from_slice(row.get::<&[u8]>("envelope")?);
        match Envelope::decode(encoded.clone()) {
            Ok(envelope) => {
                let redelivery = if seq <= self.restarted_at {
                    Redelivery::Possible
                } else {
                    Redelivery::First
                };
                self.relayed.increment(1);
                self.transport.hand_over(Delivery {
                    envelope: Arc::new(envelope),
                    encoded,
                    redelivery,
                    receipt: self.progress.admit(seq),
                });
            }
            Err(error) => {
                self.set_aside(seq, &error.to_string()).await?;
                self.progress.admit(seq).taken();
            }
        }
        Ok(seq)
    }

    /// An event that cannot be decoded must not stop the ones behind it.
    async fn set_aside(&self, seq: i64, error: &str) -> Result<(), StoreError> {
        let row = self
            .store
            .one(
                "SELECT event_id, event_type, ordering_key, envelope FROM outbox WHERE seq = $1",
                args![seq],
            )
            .await?;
        let Some(row) = row else { return Ok(()) };
        let letter = Letter {
            consumer: RELAY.to_owned(),
            event_id: row.get("event_id")?,
            event_type: row.get("event_type")?,
            ordering_key: row.get("ordering_key")?,
            envelope: row.get("envelope")?,
            error: format!("the event cannot be decoded: {error}"),
            attempts: 0,
        };
        inbox::bury_letter(&self.store, letter, None).await
    }

    /// Makes durable what was taken, from time to time, until `stop` is cancelled.
    pub(super) fn keep_progress(
        &self,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (store, progress, clock) = (
            self.store.clone(),
            self.progress.clone(),
            self.clock.clone(),
        );
        let interval = self.watermark_interval;
        async move {
            match progress {
                Progress::Watermark(window) => {
                    keep_watermark(&store, &window, &clock, interval, &stop).await;
                }
                Progress::Marks(marks) => keep_marks(&store, &marks, &clock, &stop).await,
            }
        }
    }
}

async fn keep_watermark(
    store: &Store,
    window: &Window,
    clock: &Clock,
    interval: Duration,
    stop: &CancellationToken,
) {
    let mut written = window.low_mark();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = window.advanced.notified() => {}
        }
        // Wait first: whatever is taken meanwhile shares one write.
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(interval) => {}
        }
        let low_mark = window.low_mark();
        if low_mark == written {
            continue;
        }
        match write_watermark(store, low_mark).await {
            Ok(()) => written = low_mark,
            Err(error) => {
                tracing::error!(store = store.name(), %error, "a watermark was not written");
                window.advanced.notify_one();
            }
        }
    }
}

async fn keep_marks(store: &Store, marks: &Marks, clock: &Clock, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = marks.taken.notified() => {}
        }
        // What is taken while one statement runs shares the next.
        loop {
            match write_marks(store, marks).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(store = store.name(), %error, "relayed events were not marked");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = clock.sleep(PAUSE) => {}
                    }
                }
            }
        }
    }
}

/// Marks rows that were taken. Returns whether there may be more.
async fn write_marks(store: &Store, marks: &Marks) -> Result<bool, StoreError> {
    let Some(rows) = marks.begin_marking(MARK_BATCH) else {
        return Ok(false);
    };
    let now = store.clock().now();
    // Emitters insert beside these rows; there is nothing to serialize with them.
    let written = store
        .write_at(Isolation::ReadCommitted, move |tx: Tx| async move {
            tx.execute(
                "UPDATE outbox SET relayed_at = $1 WHERE seq = ANY($2::bigint[])",
                args![now, rows],
            )
            .await
        })
        .await;
    match written {
        Ok(_) => {
            marks.marked();
            Ok(true)
        }
        Err(error) => {
            marks.not_marked();
            Err(error)
        }
    }
}

/// The sequence number up to which everything was taken, as far as it is durable.
pub(super) async fn watermark(store: &Store) -> Result<i64, StoreError> {
    store
        .one(
            "SELECT seq FROM relay_watermark WHERE relay = $1",
            args![RELAY],
        )
        .await?
        .map_or(Ok(0), |row| row.get("seq"))
}

async fn newest(store: &Store) -> Result<i64, StoreError> {
    store
        .one("SELECT COALESCE(MAX(seq), 0) AS seq FROM outbox", args![])
        .await?
        .map_or(Ok(0), |row| row.get("seq"))
}

/// Moves the durable watermark forward, never back.
async fn write_watermark(store: &Store, seq: i64) -> Result<(), StoreError> {
    let now = store.clock().now();
    store
        .write(move |tx: Tx| async move {
            tx.execute(
                "INSERT INTO relay_watermark (relay, seq, updated_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (relay) DO UPDATE SET seq = excluded.seq, updated_at = excluded.updated_at \
                 WHERE excluded.seq > relay_watermark.seq",
                args![RELAY, seq, now],
            )
            .await
            .map(drop)
        })
        .await
}

/// How many events of a store are left to relay, and when the oldest was emitted. `progress` knows more than
/// the store while a relay runs here.
pub(super) async fn unrelayed(
    store: &Store,
    progress: Option<&Progress>,
) -> Result<Unrelayed, StoreError> {
    let rows = match store.dialect() {
        Dialect::Sqlite => {
            let taken = match progress {
                Some(Progress::Watermark(window)) => window.low_mark(),
                _ => watermark(store).await?,
            };
            store
                .scan(
                    "SELECT COUNT(*) AS events, MIN(created_at) AS oldest FROM outbox WHERE seq > $1",
                    args![taken],
                )
                .await?
        }
        Dialect::Postgres => {
            store
                .scan(
                    "SELECT COUNT(*) AS events, MIN(created_at) AS oldest FROM outbox \
                     WHERE relayed_at IS NULL",
                    args![],
                )
                .await?
        }
    };
    let (events, oldest) = match rows.first() {
        Some(row) => (row.get("events")?, row.get("oldest")?),
        None => (0, None),
    };
    Ok(Unrelayed { events, oldest })
}

/// What an outbox still has to relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrelayed {
    pub(super) events: u64,
    pub(super) oldest: Option<chrono::DateTime<chrono::Utc>>,
}
