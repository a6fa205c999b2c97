//! Grouped commits.

use std::sync::{Arc, mpsc};

use futures::future::join_all;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{open_in, temporary};
use crate::{
    args,
    store::{Migration, Store, StoreError, Tx},
};

async fn put(store: &Store, id: &'static str, n: i64) -> Result<(), StoreError> {
    store
        .write(move |tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ($1, $2)", args![id, n])
                .await
                .map(drop)
        })
        .await
}

async fn total(store: &Store) -> i64 {
    let row = store
        .one("SELECT COALESCE(SUM(n), 0) AS total FROM counter", args![])
        .await
        .unwrap()
        .unwrap();
    row.get("total").unwrap()
}

/// Holds the writer thread until the returned sender is dropped, so that what is written meanwhile forms
/// one group.
async fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let once = Arc::new(Mutex::new(Some((started, released))));
    let store = store.clone();
    tokio::spawn(async move {
        store
            .write(move |_tx: Tx| async move {
                let (started, released) = once.lock().take().unwrap();
                started.send(()).unwrap();
                let _ = released.recv();
                Ok::<_, StoreError>(())
            })
            .await
    });
    has_started.await.unwrap();
    release
}

#[derive(Debug, PartialEq)]
enum Refused {
    Store(StoreError),
    Mine,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_fails_disturbs_no_other_in_its_group() {
    let store = temporary().await;
    let release = hold(&store).await;
    let mut writes = Vec::new();
    for index in 0..50_i64 {
        let store = store.clone();
        writes.push(tokio::spawn(async move {
            store
                .write(move |tx: Tx| async move {
                    tx.execute(
                        "INSERT INTO counter (id, n) VALUES ($1, 1)",
                        args![format!("c{index}")],
                    )
                    .await?;
                    match index % 5 {
                        0 => Err(Refused::Mine),
                        1 => panic!("on purpose {index}"),
                        2 => {
                            tokio::task::yield_now().await;
                            Ok(index)
                        }
                        _ => Ok(index),
                    }
                })
                .await
        }));
    }
    tokio::task::yield_now().await;
    drop(release);
    for (index, result) in join_all(writes).await.into_iter().enumerate() {
        let index = index as i64;
        let expected = match index % 5 {
            0 => Err(Refused::Mine),
            1 => Err(Refused::Store(StoreError::Panicked {
                message: format!("on purpose {index}"),
            })),
            2 => Err(Refused::Store(StoreError::AwaitedElsewhere)),
            _ => Ok(index),
        };
        assert_eq!(result.unwrap(), expected);
    }
    assert_eq!(total(&store).await, 20);
    put(&store, "after", 1).await.unwrap();
}

#[tokio::test]
async fn a_closure_on_its_own_is_undone_too() {
    let store = temporary().await;
    let refused: Result<(), _> = store
        .write(|tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await?;
            Err(Refused::Mine)
        })
        .await;
    assert_eq!(refused, Err(Refused::Mine));
    assert_eq!(total(&store).await, 0);
}

#[tokio::test]
async fn a_handle_is_refused_once_its_closure_has_ended() {
    let store = temporary().await;
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    store
        .write(move |tx: Tx| async move {
            *keep.lock() = Some(tx.clone());
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await
        })
        .await
        .unwrap();
    let tx = kept.lock().take().unwrap();
    let late = tx.execute("DELETE FROM counter", args![]).await;
    assert_eq!(late, Err(StoreError::TransactionOver));
    store.close().await.unwrap();
    assert!(tx.one("SELECT 1", args![]).await.is_err());
}

#[tokio::test]
async fn violated_constraints_are_told_apart() {
    let store = temporary().await;
    put(&store, "a", 1).await.unwrap();
    let unique = put(&store, "a", 2).await.unwrap_err();
    assert!(unique.is_unique_on("counter.id"), "{unique:?}");
    assert!(!unique.is_unique_on("counter.n"));
    assert!(matches!(
        put(&store, "b", -1).await,
        Err(StoreError::Check { constraint }) if constraint == "n >= 0"
    ));
    let insert = |sql: &'static str| {
        store.write(move |tx: Tx| async move { tx.execute(sql, args![]).await })
    };
    assert_eq!(
        insert("INSERT INTO counter (id, n, owner) VALUES ('c', 1, 'nobody')").await,
        Err(StoreError::ForeignKey)
    );
    assert_eq!(
        insert("INSERT INTO counter (id) VALUES ('d')").await,
        Err(StoreError::NotNull {
            column: "counter.n".to_owned()
        })
    );
    insert("INSERT INTO counter (id, n, owner) VALUES ('e', 5, 'a')")
        .await
        .unwrap();
    let pair = insert("INSERT INTO counter (id, n, owner) VALUES ('f', 5, 'a')")
        .await
        .unwrap_err();
    assert!(pair.is_unique_on("counter.n") && pair.is_unique_on("counter.owner"));
    assert!(matches!(
        insert("INSERT INTO nowhere VALUES (1)").await,
        Err(StoreError::Statement { .. })
    ));
}

#[tokio::test]
async fn a_caught_violation_leaves_the_rest_of_the_closure() {
    let store = temporary().await;
    put(&store, "a", 1).await.unwrap();
    store
        .write(|tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ('b', 1)", args![])
                .await?;
            let again = tx
                .execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await;
            assert!(again.is_err());
            tx.execute("INSERT INTO counter (id, n) VALUES ('c', 1)", args![])
                .await
        })
        .await
        .unwrap();
    assert_eq!(total(&store).await, 3);
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = super::clock();
    let config = crate::store::StoreConfig {
        queue_limit: 2,
        ..crate::store::StoreConfig::in_directory(folder.path())
    };
    let ids = super::ids(&clock);
    let store = Store::open("test", &config, super::COUNTERS, clock, ids)
        .await
        .unwrap();
    let release = hold(&store).await;
    let mut waiting: Vec<_> = ["a", "b"].map(|id| Box::pin(put(&store, id, 1))).into();
    for write in &mut waiting {
        assert!(futures::poll!(write).is_pending());
    }
    assert!(matches!(
        put(&store, "c", 1).await,
        Err(StoreError::Unavailable { .. })
    ));
    drop(release);
    for write in waiting {
        write.await.unwrap();
    }
    assert_eq!(total(&store).await, 2);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder, super::COUNTERS).await.unwrap();
    let release = hold(&store).await;
    let mut queued = Box::pin(put(&store, "queued", 1));
    assert!(futures::poll!(&mut queued).is_pending());
    let mut closing = Box::pin(store.close());
    assert!(futures::poll!(&mut closing).is_pending());
    assert_eq!(put(&store, "late", 1).await, Err(StoreError::Closed));
    drop(release);
    queued.await.unwrap();
    closing.await.unwrap();
    assert_eq!(store.ping().await, Err(StoreError::Closed));
    store.close().await.unwrap();

    let again = open_in(&folder, super::COUNTERS).await.unwrap();
    assert_eq!(total(&again).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_conserve_what_they_move() {
    let store = temporary().await;
    for (id, n) in [("a", 1000), ("b", 1000), ("c", 1000)] {
        put(&store, id, n).await.unwrap();
    }
    let accounts = ["a", "b", "c"];
    let moves = (0..2_000_usize).map(|index| {
        let store = store.clone();
        tokio::spawn(async move {
            let from = accounts[index % 3];
            let to = accounts[(index + 1 + index / 3 % 2) % 3];
            let amount = (index * 37 % 200) as i64;
            store
                .write(move |tx: Tx| async move {
                    tx.execute(
                        "UPDATE counter SET n = n + $1 WHERE id = $2",
                        args![amount, to],
                    )
                    .await?;
                    // Refused by the CHECK when there is not enough, which undoes the line above.
                    tx.execute(
                        "UPDATE counter SET n = n - $1 WHERE id = $2",
                        args![amount, from],
                    )
                    .await
                })
                .await
        })
    });
    let mut refused = 0;
    for result in join_all(moves).await {
        match result.unwrap() {
            Ok(changed) => assert_eq!(changed, 1),
            Err(StoreError::Check { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused < 2_000);
    assert_eq!(total(&store).await, 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_that_was_confirmed() {
    const SMALL: &[Migration] = &[
        super::COUNTERS[0],
        Migration::alike(2, "small", "PRAGMA max_page_count = 60;"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder, SMALL).await.unwrap();
    let release = hold(&store).await;
    let writes = (0..40_usize).map(|index| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx: Tx| async move {
                    // Every tenth is larger than what is left.
                    let padding = "x".repeat(if index % 10 == 5 { 400_000 } else { 10 });
                    let id = format!("{index}-{padding}");
                    tx.execute("INSERT INTO counter (id, n) VALUES ($1, 1)", args![id])
                        .await
                })
                .await
        })
    });
    let writes: Vec<_> = writes.collect();
    tokio::task::yield_now().await;
    drop(release);
    let mut confirmed = 0;
    for result in join_all(writes).await {
        match result.unwrap() {
            Ok(_) => confirmed += 1,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    assert_eq!(total(&store).await, confirmed);
    put(&store, "after", 1).await.unwrap();
    assert_eq!(total(&store).await, confirmed + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is in the table is what the closures that answered Ok wrote, whatever groups they formed.
    #[test]
    fn exactly_the_confirmed_writes_are_there(outcomes in prop::collection::vec(0_u8..4, 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let store = temporary().await;
            let writes = outcomes.iter().copied().enumerate().map(|(index, outcome)| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.write(move |tx: Tx| async move {
                        let sql = "INSERT INTO counter (id, n) VALUES ($1, $2)";
                        tx.execute(sql, args![format!("{index}"), 1]).await?;
                        match outcome {
                            0 => Err(StoreError::Closed),
                            1 => tx.execute(sql, args![format!("{index}"), 1]).await.map(drop),
                            2 => std::future::pending().await,
                            _ => Ok(()),
                        }
                    }).await.is_ok()
                })
            });
            let confirmed = join_all(writes).await.into_iter().filter(|ok| *ok.as_ref().unwrap()).count();
            assert_eq!(confirmed, outcomes.iter().filter(|outcome| **outcome == 3).count());
            assert_eq!(total(&store).await, confirmed as i64);
        });
    }
}
