//! Start, shutdown, housekeeping.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::events::{BusError, Drained, EVENT_TYPES, event_type, retention, topic};

#[tokio::test]
async fn nothing_is_delivered_before_the_start() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let bus = Bus::new(EventsConfig::default(), clock.clone());
    bus.attach(&orders).unwrap();
    bus.attach(&orders).unwrap();
    bus.subscribe(Journalist::willing("orders.own"), &orders)
        .unwrap();
    emit(&orders, vec![numbered("x", 1)]).await;
    let waiting = bus.backlog().await.unwrap().remove(0);
    assert_eq!(
        (waiting.store.as_str(), waiting.events, waiting.oldest),
        ("orders", 1, Some(clock.now()))
    );
    assert_eq!(count(&orders, "journal").await, 0);
    bus.start().await.unwrap();
    settled(&bus).await;
    assert_eq!(count(&orders, "journal").await, 1);
    assert_eq!(bus.start().await, Err(BusError::Started));
    assert_eq!(bus.attach(&orders), Err(BusError::Started));
}

#[tokio::test]
async fn members_that_cannot_be_told_apart_are_refused() {
    struct Dreamer;

    #[async_trait]
    impl Consumer for Dreamer {
        fn name(&self) -> &'static str {
            "orders.dreamer"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated", "OrderDreamt"]
        }
        async fn react(&self, _: &Envelope) -> Result<Effect, ReactError> {
            Ok(Effect::none())
        }
    }

    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let impostor = temporary("orders", &clock).await;
    let bus = Bus::new(EventsConfig::default(), clock);
    bus.attach(&orders).unwrap();
    assert_eq!(
        bus.attach(&impostor),
        Err(BusError::DuplicateStore("orders".to_owned()))
    );
    bus.subscribe(Journalist::willing("orders.own"), &orders)
        .unwrap();
    assert_eq!(
        bus.subscribe(Journalist::willing("orders.own"), &orders),
        Err(BusError::DuplicateConsumer("orders.own"))
    );
    assert_eq!(
        bus.subscribe(Arc::new(Dreamer), &orders),
        Err(BusError::UnknownEventType {
            consumer: "orders.dreamer",
            event_type: "OrderDreamt"
        })
    );
}

#[tokio::test]
async fn a_shutdown_leaves_an_exact_watermark() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(
        &orders,
        (0..10).map(|number| numbered("x", number)).collect(),
    )
    .await;
    settled(&bus).await;
    assert_eq!(
        bus.shutdown(Duration::from_secs(5)).await,
        Drained::Finished
    );
    assert_eq!(
        bus.shutdown(Duration::from_secs(5)).await,
        Drained::Finished
    );
    let row = orders
        .one("SELECT seq FROM relay_watermark", args![])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i64>("seq").unwrap(), 10);

    emit(&orders, vec![numbered("x", 10)]).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    settled(&bus).await;
    assert_eq!(
        noted(&orders, "orders.own", "x").await,
        (0..=10).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    struct Endless(Arc<AtomicBool>);

    #[async_trait]
    impl Consumer for Endless {
        fn name(&self) -> &'static str {
            "orders.endless"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        async fn react(&self, _: &Envelope) -> Result<Effect, ReactError> {
            self.0.store(true, Ordering::Relaxed);
            std::future::pending().await
        }
    }

    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let reached = Arc::new(AtomicBool::new(false));
    let endless = Arc::new(Endless(Arc::clone(&reached)));
    let bus = bus_of(
        &clock,
        EventsConfig::default(),
        &orders,
        vec![(endless, &orders)],
    )
    .await;
    emit(&orders, vec![numbered("x", 1)]).await;
    until(|| async { reached.load(Ordering::Relaxed) }).await;
    let mut ending = Box::pin(bus.shutdown(Duration::from_secs(5)));
    assert!(futures::poll!(&mut ending).is_pending());
    clock.advance(Duration::from_secs(5));
    assert_eq!(ending.await, Drained::TimedOut);
    assert_eq!(bus.backlog().await.unwrap()[0].events, 1);
}

#[tokio::test]
async fn the_watermark_is_written_from_time_to_time() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(&orders, vec![numbered("x", 1), numbered("x", 2)]).await;
    settled(&bus).await;
    until(|| async {
        clock.advance(Duration::from_millis(100));
        let row = orders
            .one("SELECT seq FROM relay_watermark", args![])
            .await
            .unwrap();
        row.is_some_and(|row| row.get::<i64>("seq").unwrap() == 2)
    })
    .await;
}

#[tokio::test]
async fn old_rows_go_and_the_rest_stays() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let config = EventsConfig::default();
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, config.clone(), &orders, consumers).await;
    emit(
        &orders,
        (0..1200).map(|number| numbered("x", number)).collect(),
    )
    .await;
    settled(&bus).await;
    bus.shutdown(Duration::from_secs(5)).await;
    clock.advance(Duration::from_secs(23 * 3600));
    emit(&orders, vec![numbered("x", 1200)]).await;

    retention::purge(
        &orders,
        &["orders.own"],
        std::slice::from_ref(&orders),
        &config,
    )
    .await
    .unwrap();
    assert_eq!(
        (
            count(&orders, "outbox").await,
            count(&orders, "inbox").await
        ),
        (1201, 1200)
    );
    clock.advance(Duration::from_secs(2 * 3600));
    retention::purge(
        &orders,
        &["orders.own"],
        std::slice::from_ref(&orders),
        &config,
    )
    .await
    .unwrap();
    assert_eq!(
        (
            count(&orders, "outbox").await,
            count(&orders, "inbox").await
        ),
        (1, 0)
    );

    // Rows that nobody has taken stay however old they are, and numbers are not given again.
    clock.advance(Duration::from_secs(100 * 3600));
    retention::purge(
        &orders,
        &["orders.own"],
        std::slice::from_ref(&orders),
        &config,
    )
    .await
    .unwrap();
    assert_eq!(count(&orders, "outbox").await, 1);
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, config, &orders, consumers).await;
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.own", "x").await.last(), Some(&1200));
}

#[tokio::test]
async fn an_inbox_outlives_what_may_be_delivered_again() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let config = EventsConfig {
        inbox_retention_s: 1,
        ..EventsConfig::default()
    };
    emit(&orders, vec![numbered("x", 1)]).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, config.clone(), &orders, consumers).await;
    settled(&bus).await;
    bus.shutdown(Duration::from_secs(5)).await;
    let purge = || {
        retention::purge(
            &orders,
            &["orders.own"],
            std::slice::from_ref(&orders),
            &config,
        )
    };

    // As after a crash before the watermark was written.
    orders
        .write(|tx: Tx| async move { tx.execute("DELETE FROM relay_watermark", args![]).await })
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    clock.advance(Duration::from_secs(3600));
    purge().await.unwrap();
    assert_eq!(count(&orders, "inbox").await, 1);
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, config.clone(), &orders, consumers).await;
    settled(&bus).await;
    bus.shutdown(Duration::from_secs(5)).await;
    assert_eq!(noted(&orders, "orders.own", "x").await, [1]);
    purge().await.unwrap();
    assert_eq!(count(&orders, "inbox").await, 0);
}

#[test]
fn every_type_has_a_name_and_a_topic() {
    assert_eq!(topic("OrderCreated"), Some("order-events"));
    assert_eq!(topic("NoSuchEvent"), None);
    let data = Data::OrderCompleted(OrderCompleted::default());
    assert_eq!(event_type(&data), "OrderCompleted");
    let payloads = contracts::descriptor_pool()
        .get_message_by_name("hub.events.v1.Envelope")
        .unwrap()
        .oneofs()
        .find(|oneof| oneof.name() == "data")
        .unwrap()
        .fields()
        .map(|field| field.kind().as_message().unwrap().name().to_owned())
        .collect::<Vec<_>>();
    let names: Vec<&str> = EVENT_TYPES.iter().map(|(name, _)| *name).collect();
    assert_eq!(payloads, names);
}
