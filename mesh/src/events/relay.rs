//! Reads a store's outbox in commit order and hands its events over.

use std::{sync::Arc, time::Duration};

use prost::Message;
use tokio_util::sync::CancellationToken;

use super::{
    Envelope, EventsConfig,
    inbox::{self, Letter},
    transport::{Delivery, Redelivery, Transport},
    window::Window,
};
use crate::{
    args,
    clock::Clock,
    store::{Row, Store, StoreError, Tx},
};

/// Name of the relay in the watermark table, and of the consumer in dead letters for events that it cannot
/// read.
pub(super) const RELAY: &str = "relay";
/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The relay of one store.
pub(super) struct Relay {
    store: Store,
    transport: Arc<dyn Transport>,
    window: Arc<Window>,
    clock: Clock,
    batch: usize,
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
        let watermark = watermark(&store).await?;
        let restarted_at = newest(&store).await?.max(watermark);
        let name = store.name().to_owned();
        Ok(Self {
            window: Arc::new(Window::new(config.window, watermark)),
            transport,
            clock,
            batch: config.batch.max(1),
            watermark_interval: config.watermark_interval(),
            restarted_at,
            relayed: metrics::counter!("hub_events_relayed_total", "store" => name.clone()),
            in_flight: metrics::gauge!("hub_events_in_flight", "store" => name),
            store,
        })
    }

    pub(super) fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window)
    }

    /// Hands events over until `stop` is cancelled.
    pub(super) async fn run(self, stop: CancellationToken) {
        let signal = self.store.outbox_signal();
        let mut position = self.window.low_mark();
        while !stop.is_cancelled() {
            let limit = self.window.free().min(self.batch);
            if limit == 0 {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.window.room.notified() => continue,
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
            self.in_flight.set(self.window.in_flight() as f64);
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
            }
        }
    }

    async fn read(&self, after: i64, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.store
            .all(
                "SELECT seq, envelope FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2",
                args![after, limit as i64],
            )
            .await
    }

    async fn hand_over(&self, row: &Row) -> Result<i64, StoreError> {
        let seq: i64 = row.get("seq")?;
        match Envelope::decode(row.get::<&[u8]>("envelope")?) {
            Ok(envelope) => {
                let redelivery = if seq <= self.restarted_at {
                    Redelivery::Possible
                } else {
                    Redelivery::First
                };
                self.relayed.increment(1);
                self.transport.hand_over(Delivery {
                    envelope: Arc::new(envelope),
                    redelivery,
                    receipt: self.window.admit(seq),
                });
            }
            Err(error) => {
                self.set_aside(seq, &error.to_string()).await?;
                self.window.admit(seq).taken();
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

    /// Makes the watermark durable from time to time, until `stop` is cancelled.
    pub(super) fn keep_watermark(
        &self,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (store, window, clock) = (self.store.clone(), self.window(), self.clock.clone());
        let interval = self.watermark_interval;
        async move {
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
                match write_watermark(&store, low_mark).await {
                    Ok(()) => written = low_mark,
                    Err(error) => {
                        tracing::error!(store = store.name(), %error, "a watermark was not written");
                        window.advanced.notify_one();
                    }
                }
            }
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
pub(super) async fn write_watermark(store: &Store, seq: i64) -> Result<(), StoreError> {
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
