//! What only PostgreSQL does. Skipped where `HUB_TEST_DATABASE_URL` is not set.

use super::{COUNTERS, on_postgres};
use crate::{
    args,
    store::{Dialect, StoreError, Tx},
};

#[tokio::test]
async fn a_store_opens_writes_and_reads() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    assert_eq!(store.dialect(), Dialect::Postgres);
    store.ping().await.unwrap();
    let n = store
        .write(|tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ($1, $2)", args!["a", 7])
                .await?;
            let row = tx
                .one("SELECT n FROM counter WHERE id = $1", args!["a"])
                .await?;
            row.unwrap().get::<i64>("n")
        })
        .await
        .unwrap();
    assert_eq!(n, 7);
    let rows = store
        .scan("SELECT id, n FROM counter", args![])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<&str>("id").unwrap(), "a");
    let refused = store
        .one(
            "INSERT INTO counter (id, n) VALUES ('b', 1) RETURNING n",
            args![],
        )
        .await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
}
