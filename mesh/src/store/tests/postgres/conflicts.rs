//! Transactions that get in each other's way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;

use super::{COUNTERS, TestDatabase, on_postgres, put, value};
use crate::{
    args,
    store::{Isolation, StoreConfig, StoreError, Tx},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_writers_never_take_more_than_there_is() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    // Two processes, so that taking turns within one is not what saves them.
    let stores = [database.open().await, database.open().await];
    put(&stores[0], "stock", 50).await.unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let takes = (0..200).map(|index| {
        let store = stores[index % 2].clone();
        let attempts = Arc::clone(&attempts);
        tokio::spawn(async move {
            store
                .write(move |tx: Tx| async move {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    let row = tx
                        .one("SELECT n FROM counter WHERE id = 'stock'", args![])
                        .await?;
                    let left: i64 = row.unwrap().get("n")?;
                    if left == 0 {
                        return Ok(false);
                    }
                    tx.execute(
                        "UPDATE counter SET n = $1 WHERE id = 'stock'",
                        args![left - 1],
                    )
                    .await?;
                    Ok::<_, StoreError>(true)
                })
                .await
        })
    });
    let taken = join_all(takes).await.into_iter();
    let taken = taken.filter(|taken| *taken.as_ref().unwrap() == Ok(true));
    assert_eq!(taken.count(), 50);
    assert_eq!(value(&stores[0], "stock").await, Some(0));
    let attempts = attempts.load(Ordering::Relaxed);
    assert!((200..2_000).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn write_skew_does_not_happen() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    // Whoever leaves must leave somebody behind: each looks at the other's row and changes its own.
    for round in 0..10 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let ids = [a.clone(), b.clone()];
        store
            .write(move |tx: Tx| async move {
                for id in ids {
                    tx.execute("INSERT INTO counter (id, n) VALUES ($1, 1)", args![id])
                        .await?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        let leave = |own: String, other: String| {
            store.write(move |tx: Tx| async move {
                let row = tx
                    .one("SELECT n FROM counter WHERE id = $1", args![&other])
                    .await?;
                if row.unwrap().get::<i64>("n")? == 0 {
                    return Ok(false);
                }
                tx.execute("UPDATE counter SET n = 0 WHERE id = $1", args![&own])
                    .await?;
                Ok::<_, StoreError>(true)
            })
        };
        let (one, two) = tokio::join!(leave(a.clone(), b.clone()), leave(b.clone(), a.clone()));
        assert!(one.unwrap() ^ two.unwrap(), "both or none left");
    }
}

#[tokio::test]
async fn a_write_that_always_loses_is_given_up() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let store = super::open(&StoreConfig {
        retry_attempts: 5,
        ..database.config()
    })
    .await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let answer = store
        .write(move |tx: Tx| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            tx.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$",
                args![],
            )
            .await
        })
        .await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable { .. })),
        "{answer:?}"
    );
    assert_eq!(attempts.load(Ordering::Relaxed), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn statements_at_read_committed_wait_and_need_no_second_attempt() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    put(&store, "a", 0).await.unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let adds = (0..50).map(|_| {
        let (store, attempts) = (store.clone(), Arc::clone(&attempts));
        tokio::spawn(async move {
            store
                .write_at(Isolation::ReadCommitted, move |tx: Tx| async move {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    tx.execute("UPDATE counter SET n = n + 1 WHERE id = 'a'", args![])
                        .await
                })
                .await
        })
    });
    for added in join_all(adds).await {
        assert_eq!(added.unwrap(), Ok(1));
    }
    assert_eq!(value(&store, "a").await, Some(50));
    assert_eq!(attempts.load(Ordering::Relaxed), 50);
}
