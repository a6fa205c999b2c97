//! Events and consumers that are made to go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fault::Faults;

/// A bus with these faults, armed, which relays `store` to `consumers`.
async fn rigged(
    clock: &Clock,
    rules: &[&str],
    store: &Store,
    consumers: Vec<Arc<dyn Consumer>>,
) -> Bus {
    let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let faults = Faults::of(rules, clock, &Ids::seeded(clock.clone(), 7));
    let config = EventsConfig {
        retry_delays_ms: vec![10, 20],
        ..EventsConfig::default()
    };
    let bus = Bus::new(config, clock.clone());
    bus.rig(faults.clone());
    bus.attach(store).unwrap();
    for consumer in consumers {
        bus.subscribe(consumer, store).unwrap();
    }
    bus.start().await.unwrap();
    faults.arm();
    bus
}

/// As [`settled`], while time goes on.
async fn settled_in_time(bus: &Bus, clock: &Clock) {
    until(|| async {
        clock.advance(Duration::from_millis(10));
        let backlog = bus.backlog().await.unwrap();
        backlog.iter().all(|store| store.events == 0)
    })
    .await;
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Eight events of each key, the keys in turn.
fn events() -> Vec<Emission> {
    let numbers = 1..=8;
    numbers
        .flat_map(|number| KEYS.map(|key| numbered(key, number)))
        .collect()
}

/// Hears and writes nothing, so that it hears again what comes again.
struct Listener(AtomicUsize);

#[async_trait]
impl Consumer for Listener {
    fn name(&self) -> &'static str {
        "orders.listener"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["OrderUpdated"]
    }

    async fn react(&self, _: &Envelope) -> Result<Effect, ReactError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Effect::none())
    }
}

#[tokio::test]
async fn whatever_happens_to_events_each_has_its_effect_once_and_in_order() {
    let often = ["delay=10ms..500ms", "fail", "cut", "duplicate", "reorder"];
    for fault in often {
        let clock = manual();
        let orders = temporary("orders", &clock).await;
        let rule = format!("publish=order-events/OrderUpdated:{fault},probability=0.5");
        let listener = Arc::new(Listener(AtomicUsize::new(0)));
        let consumers: Vec<Arc<dyn Consumer>> =
            vec![Journalist::willing("orders.own"), listener.clone()];
        let bus = rigged(&clock, &[&rule], &orders, consumers).await;
        emit(&orders, events()).await;
        settled_in_time(&bus, &clock).await;
        for key in KEYS {
            let noted = noted(&orders, "orders.own", key).await;
            assert_eq!(noted, (1..=8).collect::<Vec<i64>>(), "{fault}");
        }
        let heard = listener.0.load(Ordering::SeqCst);
        let twice = ["cut", "duplicate"].contains(&fault);
        assert_eq!(heard > 32, twice, "{fault}: {heard}");
    }
}

#[tokio::test]
async fn an_event_that_is_held_back_is_overtaken_by_others() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let consumers: Vec<Arc<dyn Consumer>> = vec![Journalist::willing("orders.own")];
    let rules = ["publish=order-events/OrderUpdated:reorder,probability=0.3"];
    let bus = rigged(&clock, &rules, &orders, consumers).await;
    emit(&orders, events()).await;
    settled_in_time(&bus, &clock).await;
    let rows = orders
        .all("SELECT number FROM journal ORDER BY id", args![])
        .await
        .unwrap();
    let numbers: Vec<i64> = rows.iter().map(|row| row.get("number").unwrap()).collect();
    assert!(!numbers.is_sorted(), "{numbers:?}");
}

#[tokio::test]
async fn a_consumer_that_always_fails_gives_its_events_up() {
    for (fault, asked) in [("fail", 0), ("cut", 3)] {
        let clock = manual();
        let orders = temporary("orders", &clock).await;
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let unlucky = Journalist::new("orders.unlucky", move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let consumers: Vec<Arc<dyn Consumer>> = vec![unlucky, Journalist::willing("orders.other")];
        let rule = format!("consumer=orders.unlucky:{fault}");
        let bus = rigged(&clock, &[&rule], &orders, consumers).await;
        emit(&orders, vec![numbered("x", 1)]).await;
        settled_in_time(&bus, &clock).await;
        unparked(&orders, &clock).await;
        assert_eq!(noted(&orders, "orders.other", "x").await, [1]);
        assert!(noted(&orders, "orders.unlucky", "x").await.is_empty());
        assert_eq!(attempts.load(Ordering::SeqCst), asked);
        let letters = bus.dead_letters().list(&Default::default()).await.unwrap();
        let [letter] = letters.as_slice() else {
            panic!("{letters:?}")
        };
        assert_eq!(
            (letter.consumer.as_str(), letter.attempts),
            ("orders.unlucky", 3)
        );
    }
}
