//! Reading and the conversion of values.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use proptest::prelude::*;
use uuid::Uuid;

use super::{COUNTERS, open_in, temporary};
use crate::{
    args,
    store::{StoreError, Tx},
};

#[tokio::test]
async fn a_read_sees_every_write_that_was_answered() {
    let store = temporary().await;
    for n in 0..100_i64 {
        store
            .write(move |tx: Tx| async move {
                tx.execute(
                    "INSERT INTO counter (id, n) VALUES ('a', $1) \
                     ON CONFLICT (id) DO UPDATE SET n = excluded.n",
                    args![n],
                )
                .await
            })
            .await
            .unwrap();
        let row = store
            .one("SELECT n FROM counter WHERE id = $1", args!["a"])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), n);
    }
}

#[tokio::test]
async fn an_open_transaction_is_not_seen() {
    let store = temporary().await;
    let reader = store.clone();
    store
        .write(move |tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await?;
            let outside = std::thread::spawn(move || {
                futures::executor::block_on(reader.all("SELECT id FROM counter", args![]))
            });
            assert!(outside.join().unwrap()?.is_empty());
            assert_eq!(tx.all("SELECT id FROM counter", args![]).await?.len(), 1);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_readers_than_connections_take_turns() {
    let store = temporary().await;
    let reads = (0..64_i64).map(|index| {
        let store = store.clone();
        tokio::spawn(async move {
            let rows = if index % 2 == 0 {
                store.scan("SELECT $1 AS n", args![index]).await
            } else {
                store.all("SELECT $1 AS n", args![index]).await
            };
            rows.unwrap()[0].get::<i64>("n").unwrap()
        })
    });
    for (index, n) in join_all(reads).await.into_iter().enumerate() {
        assert_eq!(n.unwrap(), index as i64);
    }
}

#[tokio::test]
async fn parameters_go_by_their_number() {
    let store = temporary().await;
    let row = store
        .one(
            "SELECT $2 AS b, $1 AS a, $2 || $3 AS c",
            args!["one", "two", "three"],
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<&str>("a").unwrap(), "one");
    assert_eq!(row.get::<&str>(0).unwrap(), "two");
    assert_eq!(row.get::<String>("c").unwrap(), "twothree");
    for (sql, args) in [
        ("SELECT $1", args![]),
        ("SELECT $1", args![1, 2]),
        ("SELECT ?", args![1]),
        ("SELECT :name", args![1]),
        ("SELECT 1; SELECT 2", args![]),
    ] {
        let refused = store.one(sql, args).await;
        assert!(
            matches!(refused, Err(StoreError::Statement { .. })),
            "{sql}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let store = temporary().await;
    assert!(
        store
            .one(
                "INSERT INTO counter (id, n) VALUES ('a', 1) RETURNING n",
                args![]
            )
            .await
            .is_err()
    );
}

#[tokio::test]
async fn returning_rows_are_given_and_all_rows_are_changed() {
    let store = temporary().await;
    let (first, all) = store
        .write(|tx: Tx| async move {
            let sql =
                "INSERT INTO counter (id, n) VALUES ('a', 1), ('b', 2), ('c', 3) RETURNING id";
            let first = tx.one(sql, args![]).await?.unwrap().get::<String>("id")?;
            let all = tx
                .all("UPDATE counter SET n = n + 10 RETURNING n", args![])
                .await?;
            assert_eq!(
                tx.execute("UPDATE counter SET n = n + 1 RETURNING n", args![])
                    .await?,
                3
            );
            Ok::<_, StoreError>((first, all.len()))
        })
        .await
        .unwrap();
    assert_eq!((first.as_str(), all), ("a", 3));
    let row = store
        .one("SELECT SUM(n) AS n FROM counter", args![])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 39);
}

#[tokio::test]
async fn a_value_of_another_kind_is_an_error_that_names_the_column() {
    let store = temporary().await;
    let row = store
        .one("SELECT 'x' AS text, 5 AS number, NULL AS absent", args![])
        .await
        .unwrap()
        .unwrap();
    let column = |result: Result<(), StoreError>| match result {
        Err(StoreError::Decode { column, message }) => (column, message),
        other => panic!("{other:?}"),
    };
    assert_eq!(column(row.get::<i64>("text").map(drop)).0, "text");
    assert_eq!(column(row.get::<bool>("number").map(drop)).0, "number");
    assert_eq!(column(row.get::<Uuid>("text").map(drop)).0, "text");
    assert_eq!(
        column(row.get::<i64>("absent").map(drop)).1,
        "wanted an integer, found NULL"
    );
    assert_eq!(
        column(row.get::<i64>("missing").map(drop)).1,
        "there is no such column"
    );
    assert_eq!(column(row.get::<i64>(9_usize).map(drop)).0, "#9");
    assert_eq!(row.get::<Option<i64>>("absent").unwrap(), None);
    assert_eq!(row.get::<Option<i64>>("number").unwrap(), Some(5));
    assert!(row.get::<u16>("number").is_ok());
}

#[tokio::test]
async fn the_store_reports_its_health() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder, COUNTERS).await.unwrap();
    store.ping().await.unwrap();
    store.checkpoint().await.unwrap();
    assert_eq!(store.path().unwrap(), folder.path().join("test.db"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is bound comes back.
    #[test]
    fn values_survive(
        integer: i64,
        real in -1e300_f64..1e300,
        flag: bool,
        text in "\\PC*",
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        id: u128,
        micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000,
        maybe in prop::option::of(any::<i64>()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = temporary().await;
            let id = Uuid::from_u128(id);
            let time = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
            let json = serde_json::json!({ "text": text, "list": [integer, flag] });
            let row = store
                .one(
                    "SELECT $1 AS i, $2 AS r, $3 AS f, $4 AS t, $5 AS b, $6 AS u, $7 AS w, $8 AS j, $9 AS m",
                    args![integer, real, flag, &text, &bytes, id, time, &json, maybe],
                )
                .await
                .unwrap()
                .unwrap();
            assert_eq!(row.len(), 9);
            assert_eq!(row.get::<i64>("i").unwrap(), integer);
            assert_eq!(row.get::<f64>("r").unwrap(), real);
            assert_eq!(row.get::<bool>("f").unwrap(), flag);
            assert_eq!(row.get::<String>("t").unwrap(), text);
            assert_eq!(row.get::<Vec<u8>>("b").unwrap(), bytes);
            assert_eq!(row.get::<Uuid>("u").unwrap(), id);
            assert_eq!(row.get::<&str>("u").unwrap(), id.to_string());
            assert_eq!(row.get::<DateTime<Utc>>("w").unwrap(), time);
            assert_eq!(row.get::<serde_json::Value>("j").unwrap(), json);
            assert_eq!(row.get::<Option<i64>>("m").unwrap(), maybe);
        });
    }
}
