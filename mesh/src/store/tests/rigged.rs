//! Accesses that are made to go wrong.

use super::*;
use crate::{
    args,
    fault::{Faults, Point},
    store::Tx,
};

/// A store with this fault.
async fn rigged(fault: &str) -> (Store, Faults) {
    let clock = clock();
    let rules = vec![format!("store=test:{fault}").parse().unwrap()];
    let faults = Faults::of(rules, &clock, &ids(&clock));
    let store = temporary().await.rigged(faults.at(Point::Store, "test"));
    (store, faults)
}

async fn insert(store: &Store, id: &'static str) -> Result<(), StoreError> {
    store
        .write(move |tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ($1, 1)", args![id])
                .await
                .map(drop)
        })
        .await
}

async fn ids_in(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows = store
        .all("SELECT id FROM counter ORDER BY id", args![])
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

#[tokio::test]
async fn a_store_that_fails_does_nothing() {
    let (store, faults) = rigged("fail").await;
    insert(&store, "a").await.unwrap();
    let sound = store.clone().rigged(Default::default());
    faults.arm();
    let refused = insert(&store, "b").await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    assert!(ids_in(&store).await.unwrap_err().is_transient());
    assert!(store.one("SELECT 1 AS n", args![]).await.is_err());
    assert!(store.scan("SELECT 1 AS n", args![]).await.is_err());
    assert_eq!(ids_in(&sound).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_commit_whose_word_is_lost_has_happened() {
    let (store, faults) = rigged("cut").await;
    let sound = store.clone().rigged(Default::default());
    faults.arm();
    assert_eq!(insert(&store, "a").await, Err(StoreError::OutcomeUnknown));
    assert_eq!(ids_in(&sound).await.unwrap(), ["a"]);
    // A write that fails by itself says so.
    let twice = insert(&store, "a").await.unwrap_err();
    assert!(matches!(twice, StoreError::Unique { .. }), "{twice}");
}
