//! The bus over a real broker, named by HUB_TEST_AMQP_URL. Each test has a namespace of its own and deletes
//! what it has declared.

mod delivery;
mod failover;
mod interruptions;
mod letters;
mod proxy;
mod tls;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;
use lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};

use super::*;
use crate::{
    config::Secret,
    events::{BrokerAddress, Group, QueueType, Topology, amqp::routing_key_of},
};

/// An installation at the broker.
pub(in crate::events) struct Realm {
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) config: EventsConfig,
    pub(super) address: BrokerAddress,
}

/// Consumers of these names may be subscribed in tests; all of them want `OrderUpdated`.
const CONSUMERS: [&str; 3] = ["orders.own", "shipping.a", "shipping.b"];

/// Runs a test against the broker and cleans up, whatever comes of it. Without a broker nothing is tested.
pub(in crate::events) async fn in_realm<F, Fut>(test: F)
where
    F: FnOnce(Arc<Realm>) -> Fut,
    Fut: Future<Output = ()>,
{
    let Ok(url) = std::env::var("HUB_TEST_AMQP_URL") else {
        eprintln!("skipped: HUB_TEST_AMQP_URL is not set");
        return;
    };
    let clock = Clock::system();
    let ids = Ids::random(clock.clone());
    let realm = Arc::new(Realm {
        address: BrokerAddress {
            url: Secret::new(url),
            namespace: format!("t-{}", ids.uuid().simple()),
            ca: None,
        },
        config: EventsConfig {
            heartbeat_s: 5,
            ..EventsConfig::default()
        },
        ids,
        clock,
    });
    let outcome = AssertUnwindSafe(test(Arc::clone(&realm)))
        .catch_unwind()
        .await;
    realm.topology().delete(&realm.address).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Realm {
    pub(super) fn topology(&self) -> Topology {
        let groups = CONSUMERS.iter().map(|consumer| group(consumer));
        Topology::new(&self.address.namespace, groups, &self.config)
    }

    /// A bus that has not started.
    pub(in crate::events) fn bus(&self) -> Bus {
        self.bus_at(self.address.clone(), self.config.clone())
    }

    pub(super) fn bus_at(&self, address: BrokerAddress, config: EventsConfig) -> Bus {
        let groups = CONSUMERS.iter().map(|consumer| group(consumer)).collect();
        Bus::over(
            address,
            groups,
            config,
            self.clock.clone(),
            self.ids.clone(),
        )
        .unwrap()
    }

    pub(super) async fn store(&self, name: &str) -> Store {
        temporary(name, &self.clock).await
    }

    /// A bus at work.
    pub(super) async fn working(
        &self,
        producer: Option<&Store>,
        consumers: Vec<(Arc<dyn Consumer>, &Store)>,
    ) -> Bus {
        start(self.bus(), producer, consumers).await
    }

    pub(super) async fn connection(&self) -> Connection {
        Connection::connect(self.address.url.expose(), ConnectionProperties::default())
            .await
            .unwrap()
    }

    pub(super) fn queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.address.namespace)
    }

    /// Waits until the broker has the queues, which somebody is about to declare.
    pub(super) async fn declared(&self, bus: &Bus) {
        eventually(|| async { bus.broker_trouble().is_none() }).await;
    }

    /// Puts a body into a queue as if the relay had sent it.
    pub(super) async fn inject(&self, consumer: &str, bodies: Vec<Vec<u8>>) {
        let connection = self.connection().await;
        let channel = connection.create_channel().await.unwrap();
        for body in bodies {
            channel
                .basic_publish(
                    "".into(),
                    self.queue(consumer).as_str().into(),
                    BasicPublishOptions::default(),
                    &body,
                    BasicProperties::default(),
                )
                .await
                .unwrap();
        }
        connection.close(200, "OK".into()).await.unwrap();
    }
}

fn group(consumer: &str) -> Group {
    Group {
        consumer: consumer.to_owned(),
        events: vec!["OrderUpdated".to_owned()],
    }
}

pub(in crate::events) async fn start(
    bus: Bus,
    producer: Option<&Store>,
    consumers: Vec<(Arc<dyn Consumer>, &Store)>,
) -> Bus {
    if let Some(producer) = producer {
        bus.attach(producer).unwrap();
    }
    for (consumer, store) in consumers {
        bus.subscribe(consumer, store).unwrap();
    }
    bus.start().await.unwrap();
    bus
}

/// Waits until the condition holds; what never holds fails the test.
pub(in crate::events) async fn eventually<F, Fut>(condition: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let clock = Clock::system();
    let waiting = async {
        while !condition().await {
            clock.sleep(Duration::from_millis(5)).await;
        }
    };
    clock
        .timeout(Duration::from_secs(60), waiting)
        .await
        .expect("the condition never held");
}

/// Events `from..to` over `keys` keys, each in a transaction of its own.
pub(in crate::events) async fn emit_range(store: &Store, from: i64, to: i64, keys: i64) {
    for number in from..to {
        emit(
            store,
            vec![numbered(&format!("k{}", number % keys), number)],
        )
        .await;
    }
}

/// Asserts that each event `0..to` had its effect once and in the order of its key.
pub(in crate::events) async fn assert_complete(store: &Store, consumer: &str, to: i64, keys: i64) {
    for key in 0..keys {
        let expected: Vec<i64> = (0..to).filter(|number| number % keys == key).collect();
        assert_eq!(noted(store, consumer, &format!("k{key}")).await, expected);
    }
}

pub(in crate::events) async fn effects(store: &Store, total: i64) {
    eventually(|| async { count(store, "journal").await >= total }).await;
}

#[tokio::test]
async fn what_is_declared_carries_the_namespace_and_goes_away() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let bus = realm.working(Some(&orders), vec![]).await;
        realm.declared(&bus).await;
        let text = realm.topology().to_string();
        assert!(
            text.lines()
                .all(|line| line.contains(&realm.address.namespace))
        );
        for line in [
            format!(
                "exchange {}.order-events topic durable",
                realm.address.namespace
            ),
            format!(
                "queue {} quorum single-active-consumer delivery-limit=20",
                realm.queue("shipping.a")
            ),
            format!(
                "binding {} <- {}.order-events OrderUpdated.*",
                realm.queue("shipping.a"),
                realm.address.namespace
            ),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        bus.shutdown(Duration::from_secs(10)).await;

        // The settings of a queue that exists stay, and events go on.
        let config = EventsConfig {
            delivery_limit: 3,
            ..realm.config.clone()
        };
        let bus = start(
            realm.bus_at(realm.address.clone(), config),
            Some(&orders),
            vec![],
        )
        .await;
        realm.declared(&bus).await;
        emit(&orders, vec![numbered("x", 1)]).await;
        eventually(|| async { bus.backlog().await.unwrap()[0].events == 0 }).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[test]
fn an_address_that_cannot_be_used_is_refused_without_its_password() {
    let clock = manual();
    let address = BrokerAddress {
        url: Secret::new("http://guest:hunter2@mq".to_owned()),
        ..BrokerAddress::default()
    };
    let ids = Ids::random(clock.clone());
    let refused = Bus::over(address, vec![], EventsConfig::default(), clock, ids);
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("AMQP_URL") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn classic_queues_have_no_delivery_limit() {
    let config = EventsConfig {
        queue_type: QueueType::Classic,
        ..EventsConfig::default()
    };
    let text = Topology::new("ns", [group("orders.own")], &config).to_string();
    assert!(
        text.contains("queue ns.orders.own classic single-active-consumer\n"),
        "{text}"
    );
}
