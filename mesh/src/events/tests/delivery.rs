//! What arrives, how often and in which order.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::{Delivery, Redelivery, subscription::Subscription, window::Window};

#[tokio::test]
async fn every_subscriber_gets_every_event_of_its_types_in_order() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let shipping = temporary("shipping", &clock).await;
    let bus = bus_of(
        &clock,
        EventsConfig::default(),
        &orders,
        vec![
            (Journalist::willing("orders.own"), &orders),
            (Journalist::willing("shipping.a"), &shipping),
            (Journalist::willing("shipping.b"), &shipping),
        ],
    )
    .await;
    for number in 0..20 {
        emit(
            &orders,
            vec![
                numbered("x", number),
                completed("x"),
                numbered("y", -number),
            ],
        )
        .await;
    }
    settled(&bus).await;
    let forward: Vec<i64> = (0..20).collect();
    let backward: Vec<i64> = (0..20).map(|number| -number).collect();
    for (store, consumer) in [
        (&orders, "orders.own"),
        (&shipping, "shipping.a"),
        (&shipping, "shipping.b"),
    ] {
        assert_eq!(noted(store, consumer, "x").await, forward);
        assert_eq!(noted(store, consumer, "y").await, backward);
    }
    assert_eq!(count(&shipping, "inbox").await, 80);
}

#[tokio::test]
async fn the_envelope_tells_where_an_event_comes_from() {
    struct Chain(Arc<Mutex<Vec<Envelope>>>);

    #[async_trait]
    impl Consumer for Chain {
        fn name(&self) -> &'static str {
            "orders.chain"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated", "OrderCompleted"]
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            self.0.lock().push(event.clone());
            if event.event_type == "OrderCompleted" {
                return Ok(Effect::none());
            }
            let next = completed(&event.ordering_key).caused_by(event);
            Ok(Effect::write(move |tx: Tx| async move {
                tx.emit(next).await?;
                Ok(())
            }))
        }
    }

    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let chain = Arc::new(Chain(Arc::clone(&seen)));
    let bus = bus_of(
        &clock,
        EventsConfig::default(),
        &orders,
        vec![(chain, &orders)],
    )
    .await;
    let first = numbered("o-1", 1)
        .correlation("flow")
        .causation("request")
        .traceparent("00-aa-bb-01");
    emit(&orders, vec![first]).await;
    until(|| async { seen.lock().len() == 2 }).await;
    settled(&bus).await;

    let seen = seen.lock();
    let [cause, effect] = seen.as_slice() else {
        panic!()
    };
    assert_eq!(cause.event_type, "OrderUpdated");
    assert_eq!(cause.source, "orders");
    assert_eq!(cause.causation_id, "request");
    assert_eq!(
        (cause.schema_version.as_str(), cause.event_version.as_str()),
        ("1.0", "1.0")
    );
    assert_eq!(cause.timestamp.as_ref().unwrap().seconds, 1_800_000_000);
    assert_eq!(effect.event_type, "OrderCompleted");
    assert_eq!(effect.correlation_id, "flow");
    assert_eq!(effect.causation_id, cause.event_id);
    assert_eq!(effect.traceparent, "00-aa-bb-01");
}

#[tokio::test]
async fn what_was_rolled_back_is_never_announced() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    let refused: Result<(), StoreError> = orders
        .write(|tx: Tx| async move {
            tx.emit(numbered("x", 1)).await?;
            Err(StoreError::Closed)
        })
        .await;
    refused.unwrap_err();
    emit(&orders, vec![numbered("x", 2)]).await;
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.own", "x").await, [2]);
}

#[tokio::test]
async fn a_second_delivery_has_no_second_effect() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let reactions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reactions);
    let journalist = Journalist::new("orders.own", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let subscription = Subscription::new(
        journalist,
        orders.clone(),
        clock.clone(),
        EventsConfig::default().retry_schedule(),
    );
    let envelope =
        Arc::new(numbered("x", 1).into_envelope("orders", orders.ids().uuid(), clock.now()));
    let window = Arc::new(Window::new(8, 0));
    let stop = CancellationToken::new();
    for (seq, redelivery) in [
        (1, Redelivery::First),
        // As if the transport did not know that it delivers again: only the inbox row can stop it.
        (2, Redelivery::First),
        (3, Redelivery::Possible),
    ] {
        let delivery = Delivery {
            envelope: Arc::clone(&envelope),
            encoded: Default::default(),
            redelivery,
            receipt: window.admit(seq),
        };
        subscription.accept(delivery, &stop).await;
        assert_eq!(window.low_mark(), seq);
    }
    assert_eq!(noted(&orders, "orders.own", "x").await, [1]);
    assert_eq!(reactions.load(Ordering::Relaxed), 2);
}

/// Waits for a permit in every reaction.
struct Gated {
    gate: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

#[async_trait]
impl Consumer for Gated {
    fn name(&self) -> &'static str {
        "orders.gated"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &["OrderUpdated"]
    }
    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.unwrap().forget();
        Ok(note(self.name(), event))
    }
}

#[tokio::test]
async fn a_slow_consumer_makes_the_relay_wait() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::new(AtomicUsize::new(0));
    let gated = Arc::new(Gated {
        gate: Arc::clone(&gate),
        waiting: Arc::clone(&waiting),
    });
    let config = EventsConfig {
        window: 4,
        ..EventsConfig::default()
    };
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![
        (gated, &orders),
        (Journalist::willing("orders.quick"), &orders),
    ];
    let bus = bus_of(&clock, config, &orders, consumers).await;
    let emissions = (0..40).map(|number| numbered(&format!("k{number}"), number));
    emit(&orders, emissions.collect()).await;
    until(|| async { count(&orders, "journal").await == 4 }).await;
    assert!(waiting.load(Ordering::Relaxed) <= 4);
    gate.add_permits(40);
    settled(&bus).await;
    assert_eq!(count(&orders, "journal").await, 80);
}

#[tokio::test]
async fn one_delivery_that_hangs_does_not_hold_up_the_others() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let gate = Arc::new(Semaphore::new(0));
    struct Hanging(Arc<Semaphore>);

    #[async_trait]
    impl Consumer for Hanging {
        fn name(&self) -> &'static str {
            "orders.hanging"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            if event.ordering_key == "slow" {
                self.0.acquire().await.unwrap().forget();
            }
            Ok(note(self.name(), event))
        }
        fn lanes(&self) -> usize {
            64
        }
    }

    let config = EventsConfig {
        window: 8,
        ..EventsConfig::default()
    };
    let consumers: Vec<(Arc<dyn Consumer>, _)> =
        vec![(Arc::new(Hanging(Arc::clone(&gate))), &orders)];
    let bus = bus_of(&clock, config, &orders, consumers).await;
    emit(&orders, vec![numbered("slow", 0)]).await;
    // Few enough keys that none shares the lane of the slow one.
    for number in 1..=100 {
        emit(&orders, vec![numbered("quick", number)]).await;
    }
    until(|| async { noted(&orders, "orders.hanging", "quick").await.len() == 100 }).await;
    gate.add_permits(1);
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.hanging", "slow").await, [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_at_once_lose_nothing() {
    let clock = Clock::system();
    let orders = temporary("orders", &clock).await;
    let shipping = temporary("shipping", &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> =
        vec![(Journalist::willing("shipping.a"), &shipping)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    let producers = (0..20).map(|producer| {
        let orders = orders.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                emit(&orders, vec![numbered(&format!("p{producer}"), number)]).await;
            }
        })
    });
    join_all(producers).await;
    settled(&bus).await;
    let expected: Vec<i64> = (0..50).collect();
    for producer in 0..20 {
        assert_eq!(
            noted(&shipping, "shipping.a", &format!("p{producer}")).await,
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However attempts fail, each key's effects come once and in the order of its events.
    #[test]
    fn order_per_key_survives_failures(
        failures in prop::collection::vec((0_usize..4, 0_u32..4), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let clock = manual();
            let orders = temporary("orders", &clock).await;
            let left: Vec<_> = failures.iter().map(|(_, times)| Mutex::new(*times)).collect();
            let fickle = Journalist::new("orders.fickle", move |event| {
                let mut left = left[number_of(event) as usize].lock();
                if *left == 0 {
                    return Ok(());
                }
                *left -= 1;
                Err(ReactError::retry("not yet"))
            });
            let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(fickle, &orders)];
            let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
            for (number, (key, _)) in failures.iter().enumerate() {
                emit(&orders, vec![numbered(&format!("k{key}"), number as i64)]).await;
            }
            settled(&bus).await;
            unparked(&orders, &clock).await;
            for key in 0..4 {
                let expected: Vec<i64> = failures
                    .iter()
                    .enumerate()
                    .filter(|(_, (of, _))| *of == key)
                    .map(|(number, _)| number as i64)
                    .collect();
                assert_eq!(noted(&orders, "orders.fickle", &format!("k{key}")).await, expected);
            }
            assert_eq!(count(&orders, "dead_letters").await, 0);
        });
    }
}
