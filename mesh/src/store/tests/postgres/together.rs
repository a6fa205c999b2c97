//! Several processes on one schema.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::hub::events::v1::OrderCompleted;
use futures::future::join_all;

use super::{TestDatabase, eventually, open, put};
use crate::{
    args,
    clock::Clock,
    events::{Data, Emission},
    store::{Lease, Store, StoreConfig, StoreError, Tx},
};

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let stores = join_all((0..4).map(|_| database.open())).await;
    put(&stores[0], "a", 1).await.unwrap();
    for store in &stores {
        assert_eq!(super::value(store, "a").await, Some(1));
    }
}

#[tokio::test]
async fn one_process_holds_a_lease_and_hands_it_over() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let (one, two) = (database.open().await, database.open().await);
    let (first, second) = (one.lease("work"), two.lease("work"));
    let other = two.lease("other work");
    other.held().await;
    eventually("a holder", async || first.is_held() || second.is_held()).await;
    assert!(first.is_held() ^ second.is_held());
    let (holder, waiter): (Lease, Lease) = if first.is_held() {
        (first, second)
    } else {
        (second, first)
    };
    // Given back at once: the term is ten seconds, and a waiter alone would ask after a quarter of it.
    drop(holder);
    let clock = Clock::system();
    let handed = clock.timeout(Duration::from_secs(20), waiter.held()).await;
    assert!(handed.is_ok());
    // A store that closes gives back what it holds.
    one.close().await.unwrap();
    two.close().await.unwrap();
    assert!(!waiter.is_held() && !other.is_held());
    other.lost().await;
}

#[tokio::test]
async fn the_lease_of_a_process_that_died_expires() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let config = StoreConfig {
        lease_ms: 400,
        ..database.config()
    };
    // A process of its own, as far as this matters: its tasks end without a word.
    let doomed = std::thread::spawn({
        let config = config.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let store = open(&config).await;
                let lease = store.lease("work");
                lease.held().await;
                std::mem::forget((store, lease));
            });
            runtime.shutdown_background();
        }
    });
    doomed.join().unwrap();
    let store = open(&config).await;
    let lease = store.lease("work");
    let clock = Clock::system();
    assert!(
        clock
            .timeout(Duration::from_secs(20), lease.held())
            .await
            .is_ok()
    );
    // And it is renewed.
    let first = expiry(&store).await;
    eventually("a renewal", async || expiry(&store).await > first).await;
    assert!(lease.is_held());
}

async fn expiry(store: &Store) -> DateTime<Utc> {
    let lease = store
        .one(
            "SELECT expires_at FROM leases WHERE name = $1",
            args!["work"],
        )
        .await;
    lease.unwrap().unwrap().get("expires_at").unwrap()
}

#[tokio::test]
async fn a_process_hears_of_events_that_another_has_written() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let (one, two) = (database.open().await, database.open().await);
    let heard = two.outbox_signal();
    let clock = Clock::system();
    // The knock with which listening begins.
    let listens = clock
        .timeout(Duration::from_secs(20), heard.notified())
        .await;
    assert!(listens.is_ok());
    let told = async {
        loop {
            one.write(|tx: Tx| async move {
                let order_id = "key".to_owned();
                let data = Data::OrderCompleted(OrderCompleted { order_id });
                tx.emit(Emission::new("key", data)).await.map(drop)?;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
            let waited = clock
                .timeout(Duration::from_millis(500), heard.notified())
                .await;
            if waited.is_ok() {
                return;
            }
        }
    };
    assert!(clock.timeout(Duration::from_secs(20), told).await.is_ok());
}
