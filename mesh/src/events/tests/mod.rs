//! The bus from outside: stores, consumers, time and crashes.

#![allow(clippy::unwrap_used)]

mod broker;
mod crash;
mod delivery;
mod failures;
mod letters;
mod lifecycle;
mod postgres;
mod rigged;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::DateTime;
use contracts::hub::events::v1::{OrderCompleted, OrderUpdated};

use super::{Bus, Consumer, Data, Effect, Emission, Envelope, EventsConfig, ReactError};
use crate::{
    args,
    clock::Clock,
    ids::Ids,
    store::{Migration, Store, StoreConfig, StoreError, Synchronous, Tx},
};

/// What consumers write: one line per effect, in order.
const JOURNAL: &[Migration] = &[Migration::new(
    1,
    "init",
    "CREATE TABLE journal (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        consumer TEXT    NOT NULL,
        key      TEXT    NOT NULL,
        number   INTEGER NOT NULL
     );",
    "CREATE TABLE journal (
        id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer TEXT   NOT NULL,
        key      TEXT   NOT NULL,
        number   BIGINT NOT NULL
     );",
)];

fn manual() -> Clock {
    Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

async fn temporary(name: &str, clock: &Clock) -> Store {
    Store::temporary(name, JOURNAL, clock.clone(), Ids::random(clock.clone()))
        .await
        .unwrap()
}

async fn open(name: &str, folder: &Path, clock: &Clock) -> Store {
    let config = StoreConfig {
        synchronous: Synchronous::Off,
        ..StoreConfig::in_directory(folder)
    };
    Store::open(
        name,
        &config,
        JOURNAL,
        clock.clone(),
        Ids::random(clock.clone()),
    )
    .await
    .unwrap()
}

/// An event of `key` with a running number.
fn numbered(key: &str, number: i64) -> Emission {
    Emission::new(
        key,
        Data::OrderUpdated(OrderUpdated {
            order_id: key.to_owned(),
            message: number.to_string(),
            ..OrderUpdated::default()
        }),
    )
}

fn completed(key: &str) -> Emission {
    let order_id = key.to_owned();
    Emission::new(key, Data::OrderCompleted(OrderCompleted { order_id }))
}

fn number_of(event: &Envelope) -> i64 {
    match &event.data {
        Some(Data::OrderUpdated(updated)) => updated.message.parse().unwrap(),
        _ => 0,
    }
}

async fn emit(store: &Store, emissions: Vec<Emission>) {
    store
        .write(move |tx: Tx| async move {
            for emission in emissions {
                tx.emit(emission).await?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

type Behaviour = dyn Fn(&Envelope) -> Result<(), ReactError> + Send + Sync;

/// Writes every event that its behaviour lets pass into the journal.
struct Journalist {
    name: &'static str,
    behaviour: Box<Behaviour>,
}

impl Journalist {
    fn new(
        name: &'static str,
        behaviour: impl Fn(&Envelope) -> Result<(), ReactError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            behaviour: Box::new(behaviour),
        })
    }

    fn willing(name: &'static str) -> Arc<Self> {
        Self::new(name, |_| Ok(()))
    }
}

#[async_trait]
impl Consumer for Journalist {
    fn name(&self) -> &'static str {
        self.name
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderUpdated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        (self.behaviour)(event)?;
        Ok(note(self.name, event))
    }

    fn lanes(&self) -> usize {
        4
    }
}

/// The effect of writing an event into the journal.
fn note(consumer: &'static str, event: &Envelope) -> Effect {
    let (key, number) = (event.ordering_key.clone(), number_of(event));
    Effect::write(move |tx: Tx| async move {
        tx.execute(
            "INSERT INTO journal (consumer, key, number) VALUES ($1, $2, $3)",
            args![consumer, key, number],
        )
        .await?;
        Ok(())
    })
}

/// The numbers that a consumer has noted for a key, in order.
async fn noted(store: &Store, consumer: &str, key: &str) -> Vec<i64> {
    store
        .all(
            "SELECT number FROM journal WHERE consumer = $1 AND key = $2 ORDER BY id",
            args![consumer, key],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get("number").unwrap())
        .collect()
}

async fn count(store: &Store, table: &str) -> i64 {
    let row = store
        .one(&format!("SELECT COUNT(*) AS n FROM {table}"), args![])
        .await
        .unwrap();
    row.unwrap().get("n").unwrap()
}

/// Waits until the condition holds; what never holds fails the test.
async fn until<F, Fut>(condition: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let waiting = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("the condition never held");
}

/// Waits until every event of the attached stores was taken.
async fn settled(bus: &Bus) {
    until(|| async {
        let backlog = bus.backlog().await.unwrap();
        backlog.iter().all(|store| store.events == 0)
    })
    .await;
}

/// Waits until nothing is parked in the store, moving time forward whenever nothing is due.
async fn unparked(store: &Store, clock: &Clock) {
    until(|| async {
        let left = count(store, "parked").await;
        if left > 0 {
            clock.advance(Duration::from_millis(500));
        }
        left == 0
    })
    .await;
}

async fn bus_of(
    clock: &Clock,
    config: EventsConfig,
    producer: &Store,
    consumers: Vec<(Arc<dyn Consumer>, &Store)>,
) -> Bus {
    let bus = Bus::new(config, clock.clone());
    bus.attach(producer).unwrap();
    for (consumer, store) in consumers {
        bus.subscribe(consumer, store).unwrap();
    }
    bus.start().await.unwrap();
    bus
}
