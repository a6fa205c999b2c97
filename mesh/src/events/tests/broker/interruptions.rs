//! The broker is away, cut off, or takes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use super::{proxy::Proxy, *};

async fn proxied(realm: &Realm) -> (Proxy, BrokerAddress) {
    let proxy = Proxy::before(realm.address.url.expose()).await;
    let address = BrokerAddress {
        url: Secret::new(proxy.url(realm.address.url.expose())),
        ..realm.address.clone()
    };
    (proxy, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_delays_events_and_nothing_else() {
    in_realm(async |realm| {
        let (proxy, address) = proxied(&realm).await;
        proxy.close();
        let orders = realm.store("orders").await;
        let bus = start(
            realm.bus_at(address, realm.config.clone()),
            Some(&orders),
            vec![(Journalist::willing("orders.own"), &orders)],
        )
        .await;
        emit_range(&orders, 0, 50, 3).await;
        assert!(bus.broker_trouble().is_some());
        assert_eq!(bus.backlog().await.unwrap()[0].events, 50);
        assert_eq!(count(&orders, "journal").await, 0);
        proxy.open();
        effects(&orders, 50).await;
        assert_complete(&orders, "orders.own", 50, 3).await;
        assert_eq!(bus.broker_trouble(), None);
        eventually(|| async { bus.backlog().await.unwrap()[0].events == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_in_the_middle_lose_nothing_and_keep_the_order() {
    in_realm(async |realm| {
        let (proxy, address) = proxied(&realm).await;
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let bus = start(
            realm.bus_at(address, realm.config.clone()),
            Some(&orders),
            vec![(Journalist::willing("shipping.a"), &shipping)],
        )
        .await;
        let emitted = Arc::new(AtomicBool::new(false));
        let emitting = tokio::spawn({
            let (orders, emitted) = (orders.clone(), Arc::clone(&emitted));
            async move {
                emit_range(&orders, 0, 1200, 11).await;
                emitted.store(true, Ordering::Release);
            }
        });
        // Each time that something more has arrived, both connections are cut.
        for _ in 0..5 {
            let before = count(&shipping, "journal").await;
            if before >= 1200 {
                break;
            }
            effects(&shipping, before + 1).await;
            proxy.cut();
        }
        emitting.await.unwrap();
        effects(&shipping, 1200).await;
        assert_complete(&shipping, "shipping.a", 1200, 11).await;
        eventually(|| async { bus.backlog().await.unwrap()[0].events == 0 }).await;
        assert_eq!(count(&shipping, "dead_letters").await, 0);
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_broker_stops_the_relay_within_its_window() {
    in_realm(async |realm| {
        let (proxy, address) = proxied(&realm).await;
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let config = EventsConfig {
            window: 16,
            ..realm.config.clone()
        };
        let bus = start(
            realm.bus_at(address, config),
            Some(&orders),
            vec![(Journalist::willing("shipping.a"), &shipping)],
        )
        .await;
        emit_range(&orders, 0, 10, 10).await;
        effects(&shipping, 10).await;
        proxy.set_blocked(true);
        eventually(|| async {
            bus.broker_trouble()
                .is_some_and(|text| text.contains("takes no messages"))
        })
        .await;
        // Writers do not notice.
        emit_range(&orders, 10, 210, 10).await;
        eventually(|| async { bus.in_flight(&orders) == 16 }).await;
        // Each connection hears of the block by itself, so a few events may have gone before that of the relay did.
        let waiting = i64::try_from(bus.backlog().await.unwrap()[0].events).unwrap();
        assert!((200 - 16..=200).contains(&waiting), "{waiting} wait");
        effects(&shipping, 210 - waiting).await;
        proxy.set_blocked(false);
        effects(&shipping, 210).await;
        assert_complete(&shipping, "shipping.a", 210, 10).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_refuses_is_published_again_in_order() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let bus = realm
            .working(
                Some(&orders),
                vec![(Journalist::willing("shipping.a"), &shipping)],
            )
            .await;
        realm.declared(&bus).await;
        // A queue that is full after one message makes the broker refuse all others.
        let connection = realm.connection().await;
        let channel = connection.create_channel().await.unwrap();
        let full = format!("{}.full", realm.address.namespace);
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
        arguments.insert(
            "x-overflow".into(),
            AMQPValue::LongString("reject-publish".into()),
        );
        channel
            .queue_declare(
                full.as_str().into(),
                QueueDeclareOptions::durable(),
                arguments,
            )
            .await
            .unwrap();
        channel
            .queue_bind(
                full.as_str().into(),
                format!("{}.order-events", realm.address.namespace)
                    .as_str()
                    .into(),
                "OrderUpdated.*".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        emit_range(&orders, 0, 30, 2).await;
        // The first of each key got through, at least to one of the queues; the rest is refused and waits.
        effects(&shipping, 1).await;
        eventually(|| async { bus.backlog().await.unwrap()[0].events > 0 }).await;
        assert!(count(&shipping, "journal").await < 30);
        channel
            .queue_delete(full.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
        effects(&shipping, 30).await;
        assert_complete(&shipping, "shipping.a", 30, 2).await;
        eventually(|| async { bus.backlog().await.unwrap()[0].events == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
