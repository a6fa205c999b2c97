//! The life of a process.

#![allow(clippy::unwrap_used)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use super::*;
use crate::{Service, Sources};

const MIGRATIONS: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE things (id TEXT PRIMARY KEY)",
)];

async fn hub(dir: &Path) -> Hub {
    Hub::builder().data_dir(dir).build().await.unwrap()
}

#[tokio::test]
async fn a_hub_starts_reports_and_stops_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    assert!(!hub.is_ready());
    let store = hub.store("things", MIGRATIONS).await.unwrap();
    assert!(store.path().unwrap().starts_with(dir.path()));
    let (working, ended) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(false)),
    );
    let service = Service::builder("things")
        .store(store.clone())
        .readiness("gears", {
            let working = Arc::clone(&working);
            move || {
                let works = working.load(Ordering::SeqCst);
                async move {
                    if works {
                        Ok(())
                    } else {
                        Err("jammed".to_owned())
                    }
                }
            }
        })
        .task("sweep", {
            let ended = Arc::clone(&ended);
            move |shutdown: Shutdown| async move {
                shutdown.cancelled().await;
                ended.store(true, Ordering::SeqCst);
            }
        })
        .build();
    hub.start(vec![service]).await.unwrap();
    assert!(hub.is_ready());
    assert_eq!(hub.services(), ["things"]);
    let health = hub.health().await;
    assert!(health.is_ready(), "{health:?}");
    let names: Vec<&str> = health.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["blobs", "bus", "check:things/gears", "store:things"]
    );

    working.store(false, Ordering::SeqCst);
    let health = hub.health().await;
    assert!(!health.is_ready());
    assert!(health.components.iter().any(|c| c.detail == "jammed"));

    assert_eq!(
        hub.shutdown(Duration::from_secs(10)).await,
        Drained::Finished
    );
    assert!(ended.load(Ordering::SeqCst));
    assert_eq!(hub.phase(), Phase::Stopped);
    assert!(store.ping().await.is_err());
}

#[tokio::test]
async fn a_task_that_dies_makes_the_process_unready() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let service = Service::builder("things")
        .task("panics", |shutdown: Shutdown| async move {
            assert!(shutdown.is_cancelled(), "boom");
        })
        .task("fails", |_: Shutdown| async { Err::<(), _>("no luck") })
        .build();
    hub.start(vec![service]).await.unwrap();
    while hub.0.parts.lock().failed_tasks.len() < 2 {
        tokio::task::yield_now().await;
    }
    let health = hub.health().await;
    let dead: Vec<_> = health.components.iter().filter(|c| !c.healthy).collect();
    assert_eq!(dead.len(), 2, "{health:?}");
    assert!(!health.is_ready());
}

#[tokio::test]
async fn a_process_without_its_redis_is_degraded_and_ready() {
    let sources = Sources::default().with_override("hub.redis_url", "redis://127.0.0.1:1");
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::builder()
        .config(Config::load(&sources).unwrap())
        .data_dir(dir.path())
        .build()
        .await
        .unwrap();
    hub.start(Vec::new()).await.unwrap();
    let health = hub.health().await;
    let redis = health.components.iter().find(|c| c.name == "redis");
    assert_eq!(redis.unwrap().verdict(), "degraded");
    assert!(health.is_ready(), "{health:?}");
}

#[tokio::test]
async fn a_store_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let first = hub.store("things", MIGRATIONS).await.unwrap();
    let second = hub.store("things", MIGRATIONS).await.unwrap();
    assert!(first.is_same(&second));
}

#[tokio::test]
async fn what_is_wrong_at_start_is_one_line_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Hub::builder()
        .data_dir(&file)
        .build()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("file") && !error.contains('\n'), "{error}");

    for (path, value, expected) in [
        ("peers.nowhere", "http://127.0.0.1:1", "nowhere"),
        ("peers.orders", "127.0.0.1", "127.0.0.1"),
        ("mesh.internal_key", "short", "internal_key"),
        ("hub.listen", "everywhere", "listen"),
        ("hub.database_url", "mysql://u:p@db/hub", "DATABASE_URL"),
        ("hub.amqp_url", "rabbit://mq", "AMQP_URL"),
        ("hub.redis_url", "http://cache", "redis_url"),
        ("hub.blob_url", "ftp://pictures", "blob_url"),
        ("mesh.concurency", "1", "concurency"),
    ] {
        let sources = Sources::default().with_override(path, value);
        let error = Hub::builder()
            .config(Config::load(&sources).unwrap())
            .data_dir(dir.path().join("data"))
            .build()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

#[tokio::test]
async fn an_unknown_section_is_found_after_composition() {
    let sources = Sources::default().with_override("ordres.x", "1");
    let config = Config::load(&sources).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::builder()
        .config(config.clone())
        .data_dir(dir.path())
        .build()
        .await
        .unwrap();
    let error = hub.configuration().check().unwrap_err().to_string();
    assert!(error.contains("ordres"), "{error}");
}

/// Notes the orders that it hears of.
struct Note;

#[async_trait::async_trait]
impl crate::events::Consumer for Note {
    fn name(&self) -> &'static str {
        "things.note"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderCreated"]
    }

    async fn react(
        &self,
        event: &crate::events::Envelope,
    ) -> Result<crate::events::Effect, crate::events::ReactError> {
        let key = event.ordering_key.clone();
        Ok(crate::events::Effect::write(move |tx| async move {
            tx.execute("INSERT INTO things (id) VALUES ($1)", crate::args![key])
                .await?;
            Ok(())
        }))
    }
}

#[tokio::test]
async fn an_event_of_one_service_reaches_the_store_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let source = hub.store("orders", &[]).await.unwrap();
    let things = hub.store("things", MIGRATIONS).await.unwrap();
    let consumer = Service::builder("things")
        .store(things.clone())
        .consumer(Note)
        .build();
    let producer = Service::builder("orders").store(source.clone()).build();
    hub.start(vec![consumer, producer]).await.unwrap();
    source
        .write(|tx| async move {
            let created = contracts::hub::events::v1::OrderCreated::default();
            let data = crate::events::Data::OrderCreated(created);
            tx.emit(crate::events::Emission::new("order-1", data)).await
        })
        .await
        .map_err(|error: crate::store::StoreError| error)
        .unwrap();
    // Draining finishes what was handed over; before that the relay has to have seen it.
    while things
        .one("SELECT id FROM things", crate::args![])
        .await
        .unwrap()
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        hub.shutdown(Duration::from_secs(10)).await,
        Drained::Finished
    );
}

/// A hub with these rules of faults in a profile.
async fn rigged(dir: &Path, profile: &str, rules: &str) -> Result<Hub, StartError> {
    let sources = Sources::default()
        .with_override("faults.rules", rules)
        .with_override("hub.profile", profile);
    Hub::builder()
        .config(Config::load(&sources).unwrap())
        .data_dir(dir)
        .build()
        .await
}

#[tokio::test]
async fn faults_are_checked_at_the_start_and_refused_in_production() {
    let dir = tempfile::tempdir().unwrap();
    let error = rigged(dir.path(), "embedded", r#"["store=nobody:fail"]"#)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[faults]") && error.contains("\"store=nobody:fail\""),
        "{error}"
    );
    let rules = r#"["store=orders:fail", "rpc=*:delay=1ms"]"#;
    let error = rigged(dir.path(), "production", rules).await.unwrap_err();
    assert!(error.to_string().contains("production"), "{error}");

    let hub = rigged(dir.path(), "embedded", rules).await.unwrap();
    let orders = hub.store("orders", MIGRATIONS).await.unwrap();
    let look = || orders.one("SELECT id FROM things", crate::args![]);
    look().await.unwrap();
    hub.faults().arm();
    look().await.unwrap_err();
    hub.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_consumer_needs_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let service = Service::builder("things").consumer(Note).build();
    let error = hub.start(vec![service]).await.unwrap_err();
    assert!(error.to_string().contains("things"));
}

#[tokio::test]
async fn a_hub_that_is_drained_while_it_starts_never_takes_requests() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let drainer = hub.clone();
    let service = Service::builder("things")
        .store(hub.store("things", MIGRATIONS).await.unwrap())
        .consumer(Note)
        .build();
    // The start waits for the store's parked events, and the drain comes in between.
    let (started, ()) = tokio::join!(hub.start(vec![service]), drainer.drain());
    started.unwrap();
    assert!(!hub.is_ready());
    assert_eq!(hub.phase(), Phase::Draining);
    hub.shutdown(Duration::from_secs(5)).await;
}
