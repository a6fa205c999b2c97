//! What only PostgreSQL does. Skipped where `HUB_TEST_DATABASE_URL` is not set.

mod commits;
mod conflicts;
mod pooler;
mod together;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::{COUNTERS, clock, on_postgres, postgres};
use crate::{
    args,
    clock::Clock,
    error::{Failure, Reason},
    ids::Ids,
    store::{Database, Dialect, Migration, Store, StoreConfig, StoreError, Tx},
};

/// A database of its own for several stores, dropped at the end.
struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    async fn create() -> Option<Self> {
        let server = postgres()?.database.unwrap().url.expose().clone();
        let name = format!("t_store_{:016x}", rand::random::<u64>());
        run(&server, &format!("CREATE DATABASE {name}")).await;
        Some(Self { server, name })
    }

    fn url(&self) -> String {
        let (front, parameters) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = front.rsplit_once('/').unwrap();
        format!("{host}/{}?{parameters}", self.name)
    }

    fn config(&self) -> StoreConfig {
        at(self.url())
    }

    async fn open(&self) -> Store {
        open(&self.config()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(&server, &sql));
        });
        let _ = dropping.join();
    }
}

async fn run(server: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

fn at(url: String) -> StoreConfig {
    StoreConfig {
        database: Some(Database {
            url: url.into(),
            read_url: None,
        }),
        ..StoreConfig::default()
    }
}

async fn open(config: &StoreConfig) -> Store {
    let clock = clock();
    let ids = Ids::random(clock.clone());
    Store::open("test", config, COUNTERS, clock, ids)
        .await
        .unwrap()
}

/// Waits for a condition, for as long as a slow machine may need.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let clock = Clock::system();
    let waiting = async {
        while !holds().await {
            clock.sleep(Duration::from_millis(10)).await;
        }
    };
    let outcome = clock.timeout(Duration::from_secs(20), waiting).await;
    assert!(outcome.is_ok(), "{what} did not come about");
}

async fn put(store: &Store, id: &'static str, n: i64) -> Result<(), StoreError> {
    store
        .write(move |tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ($1, $2)", args![id, n])
                .await
                .map(drop)
        })
        .await
}

async fn value(store: &Store, id: &str) -> Option<i64> {
    store
        .one("SELECT n FROM counter WHERE id = $1", args![id])
        .await
        .unwrap()
        .map(|row| row.get("n").unwrap())
}

#[tokio::test]
async fn a_store_opens_writes_and_reads() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    assert_eq!(store.dialect(), Dialect::Postgres);
    assert_eq!(store.path(), None);
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
    let written = store
        .one(
            "INSERT INTO counter (id, n) VALUES ('b', 1) RETURNING n",
            args![],
        )
        .await;
    assert!(
        matches!(written, Err(StoreError::Unavailable { .. })),
        "{written:?}"
    );
    store.close().await.unwrap();
    assert_eq!(store.ping().await, Err(StoreError::Closed));
    assert_eq!(put(&store, "late", 1).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn columns_of_all_types_are_read_as_on_sqlite() {
    const TYPES: &[Migration] = &[Migration::alike(
        1,
        "init",
        "CREATE TABLE t (flag BOOLEAN, small SMALLINT, int INTEGER, big BIGINT, real DOUBLE PRECISION,
            amount NUMERIC, id UUID, at TIMESTAMPTZ, doc JSONB, plain JSON, bytes BYTEA, text TEXT);",
    )];
    let Some(store) = on_postgres(TYPES).await else {
        return;
    };
    let id = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);
    // A nanosecond below the next microsecond: times are cut, never rounded up.
    let at = DateTime::<Utc>::from_timestamp(1_800_000_000, 123_456_999).unwrap();
    let doc = serde_json::json!({ "text": "it's \"so\" \\", "list": [1, true, null] });
    let (given, plain) = (doc.clone(), doc.clone());
    let bytes = vec![0, 1, 0x5c, 0xff];
    let binary = bytes.clone();
    store
        .write(move |tx: Tx| async move {
            tx.execute(
                "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                args![
                    true,
                    -3,
                    4,
                    i64::MIN,
                    1.5e-300,
                    12.25,
                    id,
                    at,
                    given,
                    plain,
                    binary,
                    "ä\\'"
                ],
            )
            .await?;
            tx.execute(
                "INSERT INTO t (flag, int) VALUES ($1, $2)",
                args![false, true],
            )
            .await
        })
        .await
        .unwrap();
    let row = store
        .one("SELECT * FROM t WHERE id = $1", args![id])
        .await
        .unwrap()
        .unwrap();
    assert!(row.get::<bool>("flag").unwrap());
    assert_eq!(row.get::<i32>("small").unwrap(), -3);
    assert_eq!(row.get::<u32>("int").unwrap(), 4);
    assert_eq!(row.get::<i64>("big").unwrap(), i64::MIN);
    assert_eq!(row.get::<f64>("real").unwrap(), 1.5e-300);
    assert_eq!(row.get::<f64>("amount").unwrap(), 12.25);
    assert_eq!(row.get::<Uuid>("id").unwrap(), id);
    assert_eq!(row.get::<&str>("id").unwrap(), id.to_string());
    let cut = DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap();
    assert_eq!(row.get::<DateTime<Utc>>("at").unwrap(), cut);
    assert_eq!(row.get::<serde_json::Value>("doc").unwrap(), doc);
    assert_eq!(row.get::<serde_json::Value>("plain").unwrap(), doc);
    assert_eq!(row.get::<Vec<u8>>("bytes").unwrap(), bytes);
    assert_eq!(row.get::<&str>("text").unwrap(), "ä\\'");
    let sums = store
        .one(
            "SELECT count(*) AS n, sum(int) AS total, avg(int) AS mean, max(doc->>'none') AS none FROM t",
            args![],
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sums.get::<i64>("n").unwrap(), 2);
    assert_eq!(sums.get::<i64>("total").unwrap(), 5);
    assert_eq!(sums.get::<f64>("mean").unwrap(), 2.5);
    assert_eq!(sums.get::<Option<String>>("none").unwrap(), None);
}

#[tokio::test]
async fn violated_constraints_have_the_names_that_sqlite_gives() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    put(&store, "a", 5).await.unwrap();
    let unique = put(&store, "a", 2).await.unwrap_err();
    assert!(unique.is_unique_on("counter.id"), "{unique:?}");
    assert!(unique.is_unique_on("counter_pkey") && !unique.is_unique_on("counter.n"));
    let insert = |sql: &'static str| {
        store.write(move |tx: Tx| async move { tx.execute(sql, args![]).await })
    };
    assert!(matches!(
        insert("INSERT INTO counter (id, n) VALUES ('b', -1)").await,
        Err(StoreError::Check { .. })
    ));
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
    assert!(pair.is_unique_on("counter_by_pair"));
    assert!(matches!(
        insert("INSERT INTO nowhere VALUES (1)").await,
        Err(StoreError::Statement { .. })
    ));
}

#[tokio::test]
async fn what_is_no_id_names_nothing_and_nul_is_refused() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    let asked = store
        .one("SELECT 1 FROM outbox WHERE event_id = $1", args!["abc"])
        .await
        .unwrap_err();
    assert_eq!(asked, StoreError::NotAnId);
    assert_eq!(Failure::from(asked).reason(), Reason::NotFound);
    let nul = store
        .one("SELECT 1 FROM counter WHERE id = $1", args!["a\0b"])
        .await
        .unwrap_err();
    assert_eq!(Failure::from(nul).reason(), Reason::InvalidArgument);
    let misuse = store
        .one("SELECT 1 FROM counter WHERE id = $1", args!["a", "b"])
        .await;
    assert!(
        matches!(misuse, Err(StoreError::Statement { .. })),
        "{misuse:?}"
    );
}

#[tokio::test]
async fn a_closure_that_fails_panics_or_waits_elsewhere_is_undone() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    for outcome in 0..3 {
        let refused: Result<(), StoreError> = store
            .write(move |tx: Tx| async move {
                tx.execute("INSERT INTO counter (id, n) VALUES ('x', 1)", args![])
                    .await?;
                match outcome {
                    0 => Err(StoreError::ForeignKey),
                    1 => panic!("on purpose"),
                    _ => {
                        tokio::task::yield_now().await;
                        Ok(())
                    }
                }
            })
            .await;
        let expected = match outcome {
            0 => StoreError::ForeignKey,
            1 => StoreError::Panicked {
                message: "on purpose".to_owned(),
            },
            _ => StoreError::AwaitedElsewhere,
        };
        assert_eq!(refused, Err(expected));
        assert_eq!(value(&store, "x").await, None);
    }
}

#[tokio::test]
async fn a_caught_violation_still_undoes_the_transaction() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    put(&store, "a", 1).await.unwrap();
    let answer = store
        .write(|tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ('b', 1)", args![])
                .await?;
            let again = tx
                .execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await;
            assert!(again.is_err());
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap_err();
    assert!(answer.is_unique_on("counter.id"), "{answer:?}");
    assert_eq!(value(&store, "b").await, None);
}

#[tokio::test]
async fn a_handle_is_refused_once_its_closure_has_ended() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    let kept = std::sync::Arc::new(parking_lot::Mutex::new(None));
    let keep = std::sync::Arc::clone(&kept);
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
    assert_eq!(value(&store, "a").await, Some(1));
}
