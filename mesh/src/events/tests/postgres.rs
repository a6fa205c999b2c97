//! The bus on PostgreSQL, named by HUB_TEST_DATABASE_URL: marks instead of a watermark, several processes on one
//! schema.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

use futures::FutureExt;
use prost::Message;
use tokio_postgres::NoTls;

use super::{
    broker::{Realm, assert_complete, effects, emit_range, eventually, in_realm, start},
    *,
};
use crate::{
    config::Secret,
    events::{DeadLetterQuery, retention},
    store::Database,
};

/// A database of a test's own.
struct Server {
    url: String,
    clock: Clock,
    ids: Ids,
}

/// Runs a test with a database of its own and drops it afterwards. Without a server nothing is tested.
async fn with_database<F, Fut>(test: F)
where
    F: FnOnce(Arc<Server>) -> Fut,
    Fut: Future<Output = ()>,
{
    let Ok(url) = std::env::var("HUB_TEST_DATABASE_URL") else {
        eprintln!("skipped: HUB_TEST_DATABASE_URL is not set");
        return;
    };
    let clock = Clock::system();
    let ids = Ids::random(clock.clone());
    let name = format!("t_{}", ids.uuid().simple());
    administer(&url, &format!("CREATE DATABASE {name}")).await;
    let (base, _) = url.rsplit_once('/').unwrap();
    let server = Server {
        url: format!("{base}/{name}"),
        clock,
        ids,
    };
    let outcome = AssertUnwindSafe(test(Arc::new(server)))
        .catch_unwind()
        .await;
    administer(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

async fn administer(url: &str, statement: &str) {
    let client = connect(url).await;
    client.batch_execute(statement).await.unwrap();
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Server {
    /// A store as one process opens it; a second call is another process on the same schema.
    async fn store(&self, name: &str) -> Store {
        let config = StoreConfig {
            database: Some(Database {
                url: Secret::new(self.url.clone()),
                read_url: None,
            }),
            connections: 4,
            ..StoreConfig::default()
        };
        Store::open(name, &config, JOURNAL, self.clock.clone(), self.ids.clone())
            .await
            .unwrap()
    }

    fn bus(&self) -> Bus {
        Bus::new(EventsConfig::default(), self.clock.clone())
    }
}

async fn unrelayed(store: &Store) -> i64 {
    let row = store
        .one(
            "SELECT COUNT(*) AS n FROM outbox WHERE relayed_at IS NULL",
            args![],
        )
        .await
        .unwrap();
    row.unwrap().get("n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_pass_once_and_in_order_and_leave_marks() {
    with_database(async |server| {
        let orders = server.store("orders").await;
        let shipping = server.store("shipping").await;
        let failed = Arc::new(AtomicBool::new(false));
        let once = Arc::clone(&failed);
        let fickle = Journalist::new("shipping.a", move |event| {
            if number_of(event) == 7 && !once.swap(true, Ordering::Relaxed) {
                return Err(ReactError::retry("not yet"));
            }
            Ok(())
        });
        let bus = start(
            server.bus(),
            Some(&orders),
            vec![
                (Journalist::willing("orders.own"), &orders),
                (fickle, &shipping),
            ],
        )
        .await;
        emit_range(&orders, 0, 100, 5).await;
        effects(&orders, 100).await;
        effects(&shipping, 100).await;
        assert_complete(&orders, "orders.own", 100, 5).await;
        assert_complete(&shipping, "shipping.a", 100, 5).await;
        assert_eq!(count(&shipping, "inbox").await, 100);
        assert_eq!(count(&shipping, "parked").await, 0);
        eventually(|| async { unrelayed(&orders).await == 0 }).await;
        assert_eq!(bus.backlog().await.unwrap()[0].events, 0);
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_number_that_commits_late_is_not_lost() {
    with_database(async |server| {
        let orders = server.store("orders").await;
        let bus = start(
            server.bus(),
            Some(&orders),
            vec![(Journalist::willing("orders.own"), &orders)],
        )
        .await;
        const INSERT: &str = "INSERT INTO orders.outbox \
             (event_id, event_type, ordering_key, envelope, created_at) \
             VALUES ($1::text::uuid, 'OrderUpdated', $2, $3, now()) RETURNING seq";
        let row_of = |key: &str| {
            let id = server.ids.uuid();
            let envelope = numbered(key, 1).into_envelope("orders", id, server.clock.now());
            (id.to_string(), envelope.encode_to_vec())
        };
        let (mut early, mut late) = (connect(&server.url).await, connect(&server.url).await);
        let early = early.transaction().await.unwrap();
        let late = late.transaction().await.unwrap();
        let (id, bytes) = row_of("first");
        let first: i64 = early
            .query_one(INSERT, &[&id, &"first", &bytes])
            .await
            .unwrap()
            .get(0);
        let (id, bytes) = row_of("second");
        let second: i64 = late
            .query_one(INSERT, &[&id, &"second", &bytes])
            .await
            .unwrap()
            .get(0);
        assert!(first < second);
        late.commit().await.unwrap();
        eventually(|| async { noted(&orders, "orders.own", "second").await == [1] }).await;
        eventually(|| async { unrelayed(&orders).await == 0 }).await;
        early.commit().await.unwrap();
        eventually(|| async { noted(&orders, "orders.own", "first").await == [1] }).await;
        eventually(|| async { unrelayed(&orders).await == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_a_second_process_stands_by_and_takes_over() {
    with_database(async |server| {
        let mut buses = Vec::new();
        let worked: [Arc<AtomicBool>; 2] = [Arc::default(), Arc::default()];
        for worked in &worked {
            let orders = server.store("orders").await;
            let worked = Arc::clone(worked);
            let journalist = Journalist::new("orders.own", move |_| {
                worked.store(true, Ordering::Relaxed);
                Ok(())
            });
            let bus = start(server.bus(), Some(&orders), vec![(journalist, &orders)]).await;
            buses.push((bus, orders));
        }
        let orders = server.store("orders").await;
        emit_range(&orders, 0, 60, 3).await;
        effects(&orders, 60).await;
        let leader = worked
            .iter()
            .position(|worked| worked.load(Ordering::Relaxed))
            .unwrap();
        assert!(!worked[1 - leader].load(Ordering::Relaxed), "both worked");
        // The leader ends without a word, in the middle of its work.
        emit_range(&orders, 60, 90, 3).await;
        drop(buses.remove(leader));
        emit_range(&orders, 90, 120, 3).await;
        effects(&orders, 120).await;
        assert_complete(&orders, "orders.own", 120, 3).await;
        assert!(worked[1 - leader].load(Ordering::Relaxed));
        for (bus, _) in buses {
            bus.shutdown(Duration::from_secs(10)).await;
        }
    })
    .await;
}

/// One process of an installation with a broker: relays orders, handles events for shipping.
struct Process {
    bus: Bus,
    shipping: Store,
}

async fn process(realm: &Realm, server: &Server, consumer: Arc<dyn Consumer>) -> Process {
    let orders = server.store("orders").await;
    let shipping = server.store("shipping").await;
    let bus = start(realm.bus(), Some(&orders), vec![(consumer, &shipping)]).await;
    Process { bus, shipping }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_work_and_take_over_from_each_other() {
    in_realm(async |realm| {
        with_database(async |server| {
            let willing = || Journalist::willing("shipping.a") as Arc<dyn Consumer>;
            let mut processes = vec![
                process(&realm, &server, willing()).await,
                process(&realm, &server, willing()).await,
            ];
            let orders = server.store("orders").await;
            let shipping = server.store("shipping").await;
            emit_range(&orders, 0, 100, 5).await;
            effects(&shipping, 100).await;
            for round in 1..=3 {
                // One crashes in the middle, another starts.
                emit_range(&orders, round * 100, round * 100 + 50, 5).await;
                drop(processes.remove(0));
                processes.push(process(&realm, &server, willing()).await);
                emit_range(&orders, round * 100 + 50, (round + 1) * 100, 5).await;
                effects(&shipping, (round + 1) * 100).await;
            }
            assert_complete(&shipping, "shipping.a", 400, 5).await;
            eventually(|| async { unrelayed(&orders).await == 0 }).await;
            assert_eq!(count(&shipping, "dead_letters").await, 0);
            for process in processes {
                process.bus.shutdown(Duration::from_secs(10)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_anywhere_reaches_the_leader() {
    in_realm(async |realm| {
        with_database(async |server| {
            let mended = Arc::new(AtomicBool::new(false));
            let picky = |mended: &Arc<AtomicBool>| {
                let mended = Arc::clone(mended);
                Journalist::new("shipping.a", move |_| {
                    if mended.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    Err(ReactError::reject("broken"))
                }) as Arc<dyn Consumer>
            };
            let processes = [
                process(&realm, &server, picky(&mended)).await,
                process(&realm, &server, picky(&mended)).await,
            ];
            let orders = server.store("orders").await;
            emit_range(&orders, 0, 4, 4).await;
            let shipping = &processes[0].shipping;
            eventually(|| async { count(shipping, "dead_letters").await == 4 }).await;
            mended.store(true, Ordering::Relaxed);
            // Two are replayed in each process, of which only one leads.
            for process in &processes {
                let letters = process.bus.dead_letters();
                let query = DeadLetterQuery {
                    limit: 2,
                    ..DeadLetterQuery::default()
                };
                assert_eq!(letters.replay_all(&query).await.unwrap(), 2);
            }
            effects(shipping, 4).await;
            assert_complete(shipping, "shipping.a", 4, 4).await;
            eventually(|| async { count(shipping, "parked").await == 0 }).await;
            for process in processes {
                process.bus.shutdown(Duration::from_secs(10)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_relayed_long_ago_is_purged() {
    with_database(async |server| {
        let orders = server.store("orders").await;
        let bus = start(
            server.bus(),
            Some(&orders),
            vec![(Journalist::willing("orders.own"), &orders)],
        )
        .await;
        emit_range(&orders, 0, 10, 2).await;
        effects(&orders, 10).await;
        eventually(|| async { unrelayed(&orders).await == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
        emit_range(&orders, 10, 12, 2).await;
        let age = |table: &str, column: &str| {
            format!("UPDATE orders.{table} SET {column} = {column} - interval '2 days'")
        };
        let client = connect(&server.url).await;
        client
            .batch_execute(&age("outbox", "created_at"))
            .await
            .unwrap();
        client
            .batch_execute(&age("inbox", "handled_at"))
            .await
            .unwrap();
        let config = EventsConfig::default();
        let purge = || {
            retention::purge(
                &orders,
                &["orders.own"],
                std::slice::from_ref(&orders),
                &config,
            )
        };
        purge().await.unwrap();
        // What was never relayed stays, however old it is.
        assert_eq!(count(&orders, "outbox").await, 2);
        let bus = start(
            server.bus(),
            Some(&orders),
            vec![(Journalist::willing("orders.own"), &orders)],
        )
        .await;
        effects(&orders, 12).await;
        assert_complete(&orders, "orders.own", 12, 2).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
