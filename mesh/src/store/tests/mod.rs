//! The store from outside.

#![allow(clippy::unwrap_used)]

mod after_commit;
mod migrations;
mod opening;
mod postgres;
mod reads;
mod rigged;
mod writes;

use chrono::DateTime;
use tempfile::TempDir;

use super::{Database, Migration, Store, StoreConfig, StoreError};
use crate::{clock::Clock, ids::Ids};

const COUNTERS: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE counter (
        id    TEXT PRIMARY KEY,
        n     INTEGER NOT NULL CHECK (n >= 0),
        owner TEXT REFERENCES counter (id)
     );
     CREATE UNIQUE INDEX counter_by_pair ON counter (n, owner);",
)];

fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

fn ids(clock: &Clock) -> Ids {
    Ids::seeded(clock.clone(), 7)
}

async fn temporary() -> Store {
    let clock = clock();
    let ids = ids(&clock);
    Store::temporary("test", COUNTERS, clock, ids)
        .await
        .unwrap()
}

/// PostgreSQL as the environment names it.
fn postgres() -> Option<StoreConfig> {
    let Ok(url) = std::env::var("HUB_TEST_DATABASE_URL") else {
        eprintln!("skipped: HUB_TEST_DATABASE_URL is not set");
        return None;
    };
    Some(StoreConfig {
        database: Some(Database {
            url: url.into(),
            read_url: None,
        }),
        ..StoreConfig::default()
    })
}

async fn on_postgres(migrations: &'static [Migration]) -> Option<Store> {
    let clock = clock();
    let ids = ids(&clock);
    let store = Store::temporary_with("test", &postgres()?, migrations, clock, ids).await;
    Some(store.unwrap())
}

async fn open_in(folder: &TempDir, migrations: &'static [Migration]) -> Result<Store, StoreError> {
    let clock = clock();
    let ids = ids(&clock);
    let config = StoreConfig {
        busy_timeout_ms: 200,
        ..StoreConfig::in_directory(folder.path())
    };
    Store::open("test", &config, migrations, clock, ids).await
}
