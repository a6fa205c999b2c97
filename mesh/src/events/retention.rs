//! Removes rows that nobody needs any more.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{EventsConfig, relay};
use crate::{
    args,
    clock::Clock,
    store::{Dialect, Isolation, Store, StoreError, Tx, Value},
};

/// Rows removed in one transaction: small, so that it never holds up a group of writes for long.
const BATCH: i64 = 500;
/// Batches of one kind per round; what is left waits for the next round.
const BATCHES: usize = 2_000;

// The oldest rows are looked at, not the whole table: first by position, then by age.
const PURGE_OUTBOX: &str = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM \
    (SELECT seq, created_at FROM outbox WHERE seq <= $1 ORDER BY seq LIMIT $3) oldest \
    WHERE created_at < $2)";
const PURGE_MARKED_OUTBOX: &str = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM \
    (SELECT seq, created_at, relayed_at FROM outbox ORDER BY seq LIMIT $2) oldest \
    WHERE created_at < $1 AND relayed_at IS NOT NULL)";
// Ids of events are UUIDv7, so their order is that of their age.
const PURGE_INBOX: &str = "DELETE FROM inbox WHERE consumer = $1 AND event_id IN (SELECT event_id FROM \
    (SELECT event_id, handled_at FROM inbox WHERE consumer = $1 ORDER BY event_id LIMIT $3) oldest \
    WHERE handled_at < $2)";
const PURGE_DISCARDED: &str = "DELETE FROM dead_letters WHERE id IN \
    (SELECT id FROM dead_letters WHERE discarded_at < $1 ORDER BY discarded_at LIMIT $2)";

/// Purges `store` in rounds until `stop` is cancelled.
pub(super) async fn run(
    store: Store,
    consumers: Vec<&'static str>,
    producers: Arc<[Store]>,
    config: EventsConfig,
    clock: Clock,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(config.purge_interval()) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            purged = purge(&store, &consumers, &producers, &config) => {
                if let Err(error) = purged {
                    tracing::warn!(store = store.name(), %error, "old events were not removed");
                }
            }
        }
    }
}

/// One round.
pub(super) async fn purge(
    store: &Store,
    consumers: &[&'static str],
    producers: &[Store],
    config: &EventsConfig,
) -> Result<(), StoreError> {
    let now = store.clock().now();
    let before = |seconds: u32| now - TimeDelta::seconds(seconds.into());
    let outbox = before(config.outbox_retention_s);
    match store.dialect() {
        Dialect::Sqlite => {
            let watermark = relay::watermark(store).await?;
            delete(store, PURGE_OUTBOX, || args![watermark, outbox, BATCH]).await?;
        }
        Dialect::Postgres => {
            delete(store, PURGE_MARKED_OUTBOX, || args![outbox, BATCH]).await?;
        }
    }
    if !consumers.is_empty() {
        // What a relay may hand over again must still be known here, however long it was held up.
        let untaken = oldest_untaken(producers).await?;
        let inbox = before(config.inbox_retention_s).min(untaken.unwrap_or(now));
        for consumer in consumers {
            delete(store, PURGE_INBOX, || args![*consumer, inbox, BATCH]).await?;
        }
    }
    let discarded = before(config.discarded_retention_s);
    delete(store, PURGE_DISCARDED, || args![discarded, BATCH]).await
}

/// When the oldest of the events was emitted that the producers have not durably relayed.
async fn oldest_untaken(producers: &[Store]) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut oldest: Option<DateTime<Utc>> = None;
    for store in producers {
        let first = match store.dialect() {
            Dialect::Sqlite => {
                let watermark = relay::watermark(store).await?;
                store
                    .one(
                        "SELECT created_at FROM outbox WHERE seq > $1 ORDER BY seq LIMIT 1",
                        args![watermark],
                    )
                    .await?
            }
            Dialect::Postgres => store
                .one(
                    "SELECT created_at FROM outbox WHERE relayed_at IS NULL ORDER BY seq LIMIT 1",
                    args![],
                )
                .await?,
        };
        if let Some(row) = first {
            let emitted: DateTime<Utc> = row.get("created_at")?;
            oldest = Some(oldest.map_or(emitted, |oldest| oldest.min(emitted)));
        }
    }
    Ok(oldest)
}

async fn delete(
    store: &Store,
    sql: &'static str,
    args: impl Fn() -> Vec<Value>,
) -> Result<(), StoreError> {
    for _ in 0..BATCHES {
        let args = args();
        let deleted = store
            .write_at(Isolation::ReadCommitted, move |tx: Tx| async move {
                tx.execute(sql, args).await
            })
            .await?;
        if deleted < BATCH as u64 {
            break;
        }
    }
    Ok(())
}
