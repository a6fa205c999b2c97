//! What reads and writes cost on either engine: `cargo bench -p mesh --bench store_path`.
//!
//! PostgreSQL is measured where `HUB_TEST_DATABASE_URL` names one. Prints operations a second and p50 and
//! p99 of one caller and of 32: reads by key, inserts of different rows, and updates of one hot row.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{future::Future, time::Duration};

use futures::future::join_all;
use mesh::{
    Clock, Ids,
    store::{Database, Migration, Store, StoreConfig, StoreError, Tx, args},
};

const TABLE: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE counter (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
     INSERT INTO counter (id, n) VALUES (0, 0);",
)];
const OPERATIONS: i64 = 4_000;

async fn read(store: Store, _: i64) {
    store
        .one("SELECT n FROM counter WHERE id = $1", args![0])
        .await
        .unwrap();
}

async fn insert(store: Store, id: i64) {
    store
        .write(move |tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ($1, 0)", args![id])
                .await
        })
        .await
        .unwrap();
}

async fn update(store: Store, _: i64) {
    store
        .write(|tx: Tx| async move {
            tx.execute("UPDATE counter SET n = n + 1 WHERE id = 0", args![])
                .await?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

async fn measure<F: Future<Output = ()> + Send + 'static>(
    what: &str,
    store: &Store,
    first: &mut i64,
    operation: fn(Store, i64) -> F,
) {
    let clock = Clock::system();
    for callers in [1, 32] {
        let start = clock.monotonic();
        let each = OPERATIONS / callers;
        let running = (0..callers).map(|caller| {
            let (store, clock) = (store.clone(), clock.clone());
            let from = *first + caller * each;
            tokio::spawn(async move {
                let mut times = Vec::new();
                for id in from..from + each {
                    let began = clock.monotonic();
                    operation(store.clone(), id).await;
                    times.push(clock.monotonic() - began);
                }
                times
            })
        });
        let mut times: Vec<Duration> = Vec::new();
        for caller in join_all(running).await {
            times.extend(caller.unwrap());
        }
        *first += callers * each;
        let rate = times.len() as f64 / (clock.monotonic() - start).as_secs_f64();
        times.sort();
        println!(
            "{:>10} {what:<8} {callers:>3} callers {rate:>8.0}/s  p50 {:>8.3} ms  p99 {:>8.3} ms",
            format!("{:?}", store.dialect()),
            times[times.len() / 2].as_secs_f64() * 1e3,
            times[times.len() * 99 / 100].as_secs_f64() * 1e3,
        );
    }
}

async fn measure_all(config: &StoreConfig) {
    let clock = Clock::system();
    let ids = Ids::random(clock.clone());
    let store = Store::temporary_with("bench", config, TABLE, clock, ids)
        .await
        .unwrap();
    let mut first = 1;
    measure("read", &store, &mut first, read).await;
    measure("insert", &store, &mut first, insert).await;
    measure("hot row", &store, &mut first, update).await;
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        measure_all(&StoreConfig::default()).await;
        match std::env::var("HUB_TEST_DATABASE_URL") {
            Ok(url) => {
                let database = Some(Database {
                    url: url.into(),
                    read_url: None,
                });
                measure_all(&StoreConfig {
                    database,
                    ..StoreConfig::default()
                })
                .await;
            }
            Err(_) => eprintln!("skipped: HUB_TEST_DATABASE_URL is not set"),
        }
    });
}
