//! How fast events get from the transaction that emits them to the effect that they have, on each engine.
//!
//! ```text
//! tests/with-services cargo bench -p mesh --bench event_flow
//! ```
//!
//! Two figures each. *Throughput*: eight writers emit as fast as they can, ten events a transaction, and the
//! clock stops when the last effect is committed. *Latency*: one event at a time at a fixed rate, far below what
//! fits through; the time from before the emitting transaction until after the commit of the effect. All durable:
//! every commit waits for the disk, and every message is persistent and confirmed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::hub::events::v1::OrderUpdated;
use futures::future::join_all;
use mesh::{
    Clock, Ids, Secret,
    events::{
        BrokerAddress, Bus, Consumer, Data, Effect, Emission, Envelope, EventsConfig, Group,
        ReactError, Topology,
    },
    store::{Database, Migration, Store, StoreConfig, StoreError, Tx, args},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

const TABLES: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE seen (id TEXT PRIMARY KEY, version BIGINT NOT NULL);",
)];
const WRITERS: usize = 8;
const EMITTED_AT_ONCE: usize = 10;
const BURST: usize = 20_000;
const KEYS: usize = 5_000;
/// Latency is measured at this many events a second, for so many events.
const RATE: u64 = 200;
const SAMPLES: usize = 2_000;

/// Writes a row for each event, and notes when it was committed.
struct Ledger {
    clock: Clock,
    committed: Arc<AtomicUsize>,
    latencies: Arc<Mutex<Vec<f64>>>,
    progressed: Arc<Notify>,
}

#[async_trait::async_trait]
impl Consumer for Ledger {
    fn name(&self) -> &'static str {
        "ledger.note"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderUpdated"]
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::OrderUpdated(updated)) = &event.data else {
            return Ok(Effect::none());
        };
        let emitted: i64 = updated.message.parse().map_err(ReactError::reject)?;
        let id = event.ordering_key.clone();
        let (clock, committed, latencies, progressed) = (
            self.clock.clone(),
            Arc::clone(&self.committed),
            Arc::clone(&self.latencies),
            Arc::clone(&self.progressed),
        );
        Ok(Effect::write(move |tx: Tx| async move {
            tx.execute(
                "INSERT INTO seen (id, version) VALUES ($1, 1) \
                 ON CONFLICT (id) DO UPDATE SET version = seen.version + 1",
                args![id],
            )
            .await?;
            tx.after_commit(move || {
                let took = clock.now().timestamp_micros() - emitted;
                latencies.lock().push(took as f64 / 1000.0);
                committed.fetch_add(1, Ordering::SeqCst);
                progressed.notify_one();
            });
            Ok(())
        }))
    }

    fn lanes(&self) -> usize {
        64
    }
}

fn event(clock: &Clock, number: usize) -> Emission {
    let key = format!("order-{}", number % KEYS);
    Emission::new(
        key.clone(),
        Data::OrderUpdated(OrderUpdated {
            order_id: key,
            message: clock.now().timestamp_micros().to_string(),
            ..OrderUpdated::default()
        }),
    )
}

async fn emit(store: &Store, clock: &Clock, numbers: std::ops::Range<usize>) {
    let clock = clock.clone();
    store
        .write(move |tx: Tx| async move {
            for number in numbers {
                tx.emit(event(&clock, number)).await?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

/// Where stores and events are.
struct Engines {
    name: &'static str,
    database: Option<String>,
    broker: Option<String>,
}

async fn measure(engines: &Engines, clock: &Clock, ids: &Ids) {
    let folder = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        let config = StoreConfig {
            database: engines.database.clone().map(|url| Database {
                url: Secret::new(url),
                read_url: None,
            }),
            connections: 16,
            ..StoreConfig::in_directory(folder.path())
        };
        let opened = match config.database {
            Some(_) => {
                Store::temporary_with(name, &config, TABLES, clock.clone(), ids.clone()).await
            }
            None => Store::open(name, &config, TABLES, clock.clone(), ids.clone()).await,
        };
        opened.unwrap()
    };
    let (source, target) = (open("source").await, open("target").await);
    let config = EventsConfig::default();
    let groups = vec![Group {
        consumer: "ledger.note".to_owned(),
        events: vec!["OrderUpdated".to_owned()],
    }];
    let address = engines.broker.clone().map(|url| BrokerAddress {
        url: Secret::new(url),
        namespace: format!("bench-{}", ids.uuid().simple()),
        ca: None,
    });
    let bus = match &address {
        Some(address) => Bus::over(
            address.clone(),
            groups.clone(),
            config.clone(),
            clock.clone(),
            ids.clone(),
        )
        .unwrap(),
        None => Bus::new(config.clone(), clock.clone()),
    };
    let (committed, latencies, progressed) = (
        Arc::<AtomicUsize>::default(),
        Arc::<Mutex<Vec<f64>>>::default(),
        Arc::new(Notify::new()),
    );
    let ledger = Ledger {
        clock: clock.clone(),
        committed: Arc::clone(&committed),
        latencies: Arc::clone(&latencies),
        progressed: Arc::clone(&progressed),
    };
    bus.attach(&source).unwrap();
    bus.subscribe(Arc::new(ledger), &target).unwrap();
    bus.start().await.unwrap();
    let arrived = async |total: usize| {
        while committed.load(Ordering::SeqCst) < total {
            progressed.notified().await;
        }
    };

    // Until connections are open and statements prepared.
    emit(&source, clock, 0..500).await;
    arrived(500).await;
    latencies.lock().clear();

    let begin = clock.monotonic();
    for number in 0..SAMPLES {
        clock
            .sleep_until(begin + Duration::from_micros(1_000_000 / RATE) * number as u32)
            .await;
        emit(&source, clock, number..number + 1).await;
    }
    arrived(500 + SAMPLES).await;
    let mut sorted = std::mem::take(&mut *latencies.lock());
    sorted.sort_by(f64::total_cmp);
    let quantile = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (p50, p99) = (quantile(0.5), quantile(0.99));

    let begin = clock.monotonic();
    join_all((0..WRITERS).map(|writer| {
        let source = &source;
        async move {
            for step in 0..BURST / WRITERS / EMITTED_AT_ONCE {
                let first = (step * WRITERS + writer) * EMITTED_AT_ONCE;
                emit(source, clock, first..first + EMITTED_AT_ONCE).await;
            }
        }
    }))
    .await;
    let emitted = clock.monotonic() - begin;
    arrived(500 + SAMPLES + BURST).await;
    let done = clock.monotonic() - begin;
    println!(
        "{:<32} {:>10.0} {:>12.0} {:>10.2} {:>10.2}",
        engines.name,
        BURST as f64 / emitted.as_secs_f64(),
        BURST as f64 / done.as_secs_f64(),
        p50,
        p99,
    );
    bus.shutdown(Duration::from_secs(10)).await;
    if let Some(address) = &address {
        Topology::new(&address.namespace, groups, &config)
            .delete(address)
            .await
            .unwrap();
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = Clock::system();
    let ids = Ids::random(clock.clone());
    let database = std::env::var("HUB_TEST_DATABASE_URL").ok();
    let broker = std::env::var("HUB_TEST_AMQP_URL").ok();
    let all = [
        ("SQLite, in process", false, false),
        ("PostgreSQL, in process", true, false),
        ("SQLite, RabbitMQ", false, true),
        ("PostgreSQL, RabbitMQ", true, true),
    ];
    println!(
        "{:<32} {:>10} {:>12} {:>10} {:>10}",
        "", "emitted/s", "effects/s", "p50 ms", "p99 ms"
    );
    for (name, on_postgres, over_rabbitmq) in all {
        let engines = Engines {
            name,
            database: database.clone().filter(|_| on_postgres),
            broker: broker.clone().filter(|_| over_rabbitmq),
        };
        if on_postgres && engines.database.is_none() || over_rabbitmq && engines.broker.is_none() {
            println!("{name:<32} {:>10}", "no server");
            continue;
        }
        runtime.block_on(measure(&engines, &clock, &ids));
    }
}
