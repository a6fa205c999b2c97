//! What a checkout costs in the runtime: a write with its event, a delivery, a call between services.
//!
//! Durability is switched off, because the numbers are to show our own work and not the disk's; only
//! `write/durable` waits for it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::hub::{
    events::v1::OrderUpdated,
    identity::v1::{
        GetUserRequest, ImportUsersRequest, ImportUsersResponse, User,
        directory_service_client::DirectoryServiceClient,
        directory_service_server::{DirectoryService, DirectoryServiceServer},
    },
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use mesh::{
    CallContext, Clock, Hub, Ids, Service,
    events::{Bus, Consumer, Data, Effect, Emission, Envelope, EventsConfig, ReactError},
    store::{Migration, Store, StoreConfig, StoreError, Synchronous, Tx, args},
};
use tokio::{runtime::Runtime, sync::Notify};
use tonic::{Request, Response, Status};

const TABLES: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE orders (id TEXT PRIMARY KEY, status TEXT NOT NULL, version INTEGER NOT NULL);",
)];

/// Distinct rows that the writes go to.
const ROWS: usize = 10_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn open(name: &str, folder: &tempfile::TempDir, synchronous: Synchronous) -> Store {
    let config = StoreConfig {
        synchronous,
        ..StoreConfig::in_directory(folder.path())
    };
    let clock = Clock::system();
    Store::open(name, &config, TABLES, clock.clone(), Ids::random(clock))
        .await
        .unwrap()
}

fn event(id: &str) -> Emission {
    Emission::new(
        id,
        Data::OrderUpdated(OrderUpdated {
            order_id: id.to_owned(),
            message: "paid".to_owned(),
            ..OrderUpdated::default()
        }),
    )
}

async fn change(store: &Store, number: usize) {
    let id = format!("order-{}", number % ROWS);
    store
        .write(move |tx: Tx| async move {
            tx.execute(
                "INSERT INTO orders (id, status, version) VALUES ($1, $2, 1) \
                 ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = version + 1",
                args![&id, "paid"],
            )
            .await?;
            tx.emit(event(&id)).await.map(drop)
        })
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
}

fn write(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("write");
    for (name, synchronous) in [("emit", Synchronous::Off), ("durable", Synchronous::Full)] {
        let folder = tempfile::tempdir().unwrap();
        let store = runtime.block_on(open("orders", &folder, synchronous));
        let mut number = 0;
        for callers in [1, 64] {
            group.throughput(Throughput::Elements(callers as u64));
            group.bench_function(BenchmarkId::new(name, callers), |b| {
                b.iter(|| {
                    number += callers;
                    runtime.block_on(join_all(
                        (number..number + callers).map(|number| change(&store, number)),
                    ))
                });
            });
        }
        runtime.block_on(store.close()).unwrap();
    }
    group.finish();
}

/// Writes a row for each event and counts.
struct Ledger {
    seen: Arc<AtomicUsize>,
    awaited: Arc<AtomicUsize>,
    done: Arc<Notify>,
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
        let id = event.ordering_key.clone();
        let (seen, awaited, done) = (
            Arc::clone(&self.seen),
            Arc::clone(&self.awaited),
            Arc::clone(&self.done),
        );
        Ok(Effect::write(move |tx: Tx| async move {
            tx.execute(
                "INSERT INTO orders (id, status, version) VALUES ($1, 'seen', 1) \
                 ON CONFLICT (id) DO UPDATE SET version = version + 1",
                args![id],
            )
            .await?;
            if seen.fetch_add(1, Ordering::SeqCst) + 1 == awaited.load(Ordering::SeqCst) {
                done.notify_one();
            }
            Ok(())
        }))
    }
}

fn deliver(c: &mut Criterion) {
    const BATCH: usize = 512;
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let (seen, awaited, done) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Notify::new()),
    );
    let (source, bus) = runtime.block_on(async {
        let source = open("source", &folder, Synchronous::Off).await;
        let target = open("target", &folder, Synchronous::Off).await;
        let bus = Bus::new(EventsConfig::default(), Clock::system());
        bus.attach(&source).unwrap();
        let ledger = Ledger {
            seen: Arc::clone(&seen),
            awaited: Arc::clone(&awaited),
            done: Arc::clone(&done),
        };
        bus.subscribe(Arc::new(ledger), &target).unwrap();
        bus.start().await.unwrap();
        (source, bus)
    });
    let mut group = c.benchmark_group("deliver");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("effect", |b| {
        b.iter(|| {
            runtime.block_on(async {
                awaited.fetch_add(BATCH, Ordering::SeqCst);
                source
                    .write(|tx: Tx| async move {
                        for number in 0..BATCH {
                            tx.emit(event(&format!("order-{number}"))).await?;
                        }
                        Ok::<_, StoreError>(())
                    })
                    .await
                    .unwrap();
                done.notified().await;
            })
        });
    });
    group.finish();
    runtime.block_on(bus.shutdown(Duration::from_secs(5)));
}

struct Directory;

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        Ok(Response::new(User {
            user_id: request.into_inner().user_id,
            name: "Nora Castellane".to_owned(),
            email: "nora@hub.test".to_owned(),
            ..User::default()
        }))
    }

    async fn import_users(
        &self,
        _: Request<ImportUsersRequest>,
    ) -> Result<Response<ImportUsersResponse>, Status> {
        Ok(Response::new(ImportUsersResponse::default()))
    }
}

fn call(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let hub = runtime.block_on(async {
        let hub = Hub::builder()
            .data_dir(folder.path())
            .build()
            .await
            .unwrap();
        let identity = Service::builder("identity")
            .rpc(DirectoryServiceServer::new(Directory))
            .build();
        hub.start(vec![identity]).await.unwrap();
        hub
    });
    let request = GetUserRequest {
        user_id: "0190b3c4-7d2e-7a51-8c35-1f2e3d4c5b6a".to_owned(),
    };
    let mut group = c.benchmark_group("call");
    // What tonic itself costs without the mesh.
    group.bench_function("bare", |b| {
        let client = DirectoryServiceClient::new(DirectoryServiceServer::new(Directory));
        b.iter(|| {
            let mut client = client.clone();
            runtime
                .block_on(client.get_user(Request::new(request.clone())))
                .unwrap()
        });
    });
    group.bench_function("in_process", |b| {
        let client = DirectoryServiceClient::new(hub.channel());
        let context = CallContext::background("orders", &hub);
        b.iter(|| {
            let mut client = client.clone();
            runtime
                .block_on(client.get_user(context.call(request.clone())))
                .unwrap()
        });
    });
    // As a running hub does it: with metrics and the spans that log lines get their ids from.
    mesh::telemetry::init(hub.configuration()).unwrap();
    group.bench_function("observed", |b| {
        let client = DirectoryServiceClient::new(hub.channel());
        let context = CallContext::background("orders", &hub);
        b.iter(|| {
            let mut client = client.clone();
            runtime
                .block_on(client.get_user(context.call(request.clone())))
                .unwrap()
        });
    });
    group.finish();
    runtime.block_on(hub.shutdown(Duration::from_secs(5)));
}

criterion_group! {
    name = hot_path;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30)
        .without_plots();
    targets = write, deliver, call
}
criterion_main!(hot_path);
