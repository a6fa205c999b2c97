//! What arrives through the broker, how often and in which order.

use parking_lot::Mutex;
use prost::Message;

use super::*;
use crate::events::Audience;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_group_gets_every_event_once_and_in_order() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let bus = realm
            .working(
                Some(&orders),
                vec![
                    (Journalist::willing("orders.own"), &orders),
                    (Journalist::willing("shipping.a"), &shipping),
                    (Journalist::willing("shipping.b"), &shipping),
                ],
            )
            .await;
        emit_range(&orders, 0, 200, 7).await;
        effects(&orders, 200).await;
        effects(&shipping, 400).await;
        assert_complete(&orders, "orders.own", 200, 7).await;
        assert_complete(&shipping, "shipping.a", 200, 7).await;
        assert_complete(&shipping, "shipping.b", 200, 7).await;
        eventually(|| async { bus.backlog().await.unwrap()[0].events == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
        for consumer in ["orders.own", "shipping.a", "shipping.b"] {
            assert_eq!(
                waiting(&realm, consumer).await,
                0,
                "{consumer} left something"
            );
        }
    })
    .await;
}

/// Messages in a group's queue.
async fn waiting(realm: &Realm, consumer: &str) -> u32 {
    use lapin::{options::QueueDeclareOptions, types::FieldTable};
    let connection = realm.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = channel
        .queue_declare(
            realm.queue(consumer).as_str().into(),
            QueueDeclareOptions::durable().passive(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    queue.message_count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_before_its_consumer_s_first_start_is_not_lost() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let producer = realm.working(Some(&orders), vec![]).await;
        emit_range(&orders, 0, 5, 1).await;
        eventually(|| async { producer.backlog().await.unwrap()[0].events == 0 }).await;
        let shipping = realm.store("shipping").await;
        let consumer = realm
            .working(None, vec![(Journalist::willing("shipping.a"), &shipping)])
            .await;
        effects(&shipping, 5).await;
        assert_complete(&shipping, "shipping.a", 5, 1).await;
        consumer.shutdown(Duration::from_secs(10)).await;
        producer.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_in_any_order_have_one_effect() {
    in_realm(async |realm| {
        let shipping = realm.store("shipping").await;
        let bus = realm
            .working(None, vec![(Journalist::willing("shipping.a"), &shipping)])
            .await;
        realm.declared(&bus).await;
        let events: Vec<Vec<u8>> = (0..40)
            .map(|number| {
                numbered(&format!("k{}", number % 3), number)
                    .into_envelope("orders", realm.ids.uuid(), realm.clock.now())
                    .encode_to_vec()
            })
            .collect();
        // Three copies of each, far apart and in another order each time.
        let mut copies: Vec<Vec<u8>> = events.iter().rev().cloned().collect();
        copies.extend(events.iter().cloned());
        copies.extend((0..40).map(|index| events[index * 17 % 40].clone()));
        realm.inject("shipping.a", copies).await;
        effects(&shipping, 40).await;
        eventually(|| async { waiting(&realm, "shipping.a").await == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
        let mut seen = Vec::new();
        for key in 0..3 {
            seen.extend(noted(&shipping, "shipping.a", &format!("k{key}")).await);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_for_every_process_hears_in_each() {
    struct Listener {
        heard: Arc<Mutex<Vec<i64>>>,
        missed: Arc<Mutex<usize>>,
    }

    #[async_trait]
    impl Consumer for Listener {
        fn name(&self) -> &'static str {
            "gateway.listener"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        fn audience(&self) -> Audience {
            Audience::EveryProcess
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            self.heard.lock().push(number_of(event));
            Ok(Effect::none())
        }
        async fn missed(&self) {
            *self.missed.lock() += 1;
        }
        fn lanes(&self) -> usize {
            1
        }
    }

    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let producer = realm.working(Some(&orders), vec![]).await;
        let mut gateways = Vec::new();
        for _ in 0..2 {
            let store = realm.store("gateway").await;
            let (heard, missed) = (Arc::default(), Arc::default());
            let listener = Listener {
                heard: Arc::clone(&heard),
                missed: Arc::clone(&missed),
            };
            let bus = realm
                .working(None, vec![(Arc::new(listener), &store)])
                .await;
            // Told that it may have missed something once its queue was there.
            eventually(|| async { *missed.lock() == 1 }).await;
            gateways.push((bus, heard, store));
        }
        emit_range(&orders, 0, 20, 1).await;
        for (bus, heard, store) in gateways {
            eventually(|| async { heard.lock().len() == 20 }).await;
            assert_eq!(*heard.lock(), (0..20).collect::<Vec<_>>());
            assert_eq!(count(&store, "inbox").await, 0);
            bus.shutdown(Duration::from_secs(10)).await;
        }
        producer.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test]
async fn messages_carry_the_attributes_of_cloud_events() {
    use futures::StreamExt;
    use lapin::{
        options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
        types::{AMQPValue, FieldTable},
    };

    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let bus = realm.working(Some(&orders), vec![]).await;
        realm.declared(&bus).await;
        let connection = realm.connection().await;
        let channel = connection.create_channel().await.unwrap();
        let queue = channel
            .queue_declare(
                "".into(),
                QueueDeclareOptions::exclusive(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        channel
            .queue_bind(
                queue.name().clone(),
                format!("{}.order-events", realm.address.namespace)
                    .as_str()
                    .into(),
                routing_key_of("OrderUpdated", "o-1").as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let mut consumer = channel
            .basic_consume(
                queue.name().clone(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let event = numbered("o-1", 1)
            .correlation("flow")
            .causation("request")
            .traceparent(traceparent);
        emit(&orders, vec![event]).await;
        let message = consumer.next().await.unwrap().unwrap();
        let envelope = Envelope::decode(message.data.as_slice()).unwrap();
        assert_eq!(number_of(&envelope), 1);
        let properties = &message.properties;
        assert_eq!(
            properties.content_type().as_ref().unwrap().as_str(),
            "application/protobuf"
        );
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            envelope.event_id
        );
        let headers = properties.headers().as_ref().unwrap();
        for (name, value) in [
            ("cloudEvents_specversion", "1.0"),
            ("cloudEvents_id", envelope.event_id.as_str()),
            ("cloudEvents_source", "orders"),
            ("cloudEvents_type", "OrderUpdated"),
            ("cloudEvents_subject", "o-1"),
            ("cloudEvents_correlationid", "flow"),
            ("cloudEvents_causationid", "request"),
            ("traceparent", traceparent),
        ] {
            assert_eq!(
                headers.inner().get(name),
                Some(&AMQPValue::LongString(value.into())),
                "{name}"
            );
        }
        assert!(headers.contains_key("cloudEvents_time"));
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
