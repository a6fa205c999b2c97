//! What cannot be handled: poison, events that end their process, and what operators do about it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::events::{DeadLetterQuery, lanes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_message_becomes_a_dead_letter_with_its_bytes() {
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
        // Twice: it is one letter all the same.
        realm
            .inject("shipping.a", vec![vec![0xff; 9], vec![0xff; 9]])
            .await;
        emit_range(&orders, 0, 10, 2).await;
        effects(&shipping, 10).await;
        assert_complete(&shipping, "shipping.a", 10, 2).await;
        eventually(|| async { count(&shipping, "dead_letters").await == 1 }).await;
        let letters = bus.dead_letters().list(&Default::default()).await.unwrap();
        assert_eq!(letters[0].consumer, "shipping.a");
        assert_eq!(letters[0].envelope, None);
        assert!(
            letters[0].error.contains("cannot be decoded"),
            "{}",
            letters[0].error
        );
        let row = shipping
            .one("SELECT envelope FROM dead_letters", args![])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<&[u8]>("envelope").unwrap(), [0xff; 9]);
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_ends_its_process_each_time_is_listed_and_can_be_replayed() {
    /// Never finishes with the first event, as a process does that crashes over it.
    struct Fatal(Arc<AtomicUsize>);

    #[async_trait]
    impl Consumer for Fatal {
        fn name(&self) -> &'static str {
            "shipping.a"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            if number_of(event) == 0 {
                self.0.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            Ok(note(self.name(), event))
        }
    }

    in_realm(async |realm| {
        let config = EventsConfig {
            delivery_limit: 3,
            ..realm.config.clone()
        };
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let bus_of = || realm.bus_at(realm.address.clone(), config.clone());
        let producer = start(bus_of(), Some(&orders), vec![]).await;
        // Whatever waits in the lane of the fatal event comes to nothing with it.
        let lane = |key: &str| lanes::index(key, 32);
        let good = (0..)
            .map(|n| format!("good{n}"))
            .find(|key| lane(key) != lane("bad"));
        let good = good.unwrap();
        emit(&orders, vec![numbered("bad", 0), numbered(&good, 1)]).await;
        let crashes = Arc::new(AtomicUsize::new(0));
        // Versions of the broker differ by one in what they count.
        let mut bus = None;
        for crash in 1..=6 {
            drop(bus.take());
            let fatal = Arc::new(Fatal(Arc::clone(&crashes)));
            bus = Some(start(bus_of(), None, vec![(fatal, &shipping)]).await);
            let over = || async { count(&shipping, "dead_letters").await == 1 };
            eventually(|| async { crashes.load(Ordering::Relaxed) >= crash || over().await }).await;
            if over().await {
                break;
            }
        }
        let crashed = crashes.load(Ordering::Relaxed);
        assert!(
            (3..=4).contains(&crashed),
            "given up after {crashed} crashes"
        );
        let bus = bus.unwrap();
        assert_eq!(noted(&shipping, "shipping.a", &good).await, [1]);
        let letter = bus
            .dead_letters()
            .list(&Default::default())
            .await
            .unwrap()
            .remove(0);
        assert_eq!(number_of(letter.envelope.as_ref().unwrap()), 0);
        assert_eq!(letter.ordering_key, "bad");
        assert!(letter.error.contains("crashed"), "{}", letter.error);
        bus.shutdown(Duration::from_millis(100)).await;

        // Mended, it is handled after a replay.
        let bus = start(
            bus_of(),
            None,
            vec![(Journalist::willing("shipping.a"), &shipping)],
        )
        .await;
        bus.dead_letters().replay(letter.id).await.unwrap();
        eventually(|| async { noted(&shipping, "shipping.a", "bad").await == [0] }).await;
        assert_eq!(crashes.load(Ordering::Relaxed), crashed);
        bus.shutdown(Duration::from_secs(10)).await;
        producer.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_event_parks_those_behind_it_and_is_replayed() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let mended = Arc::new(AtomicBool::new(false));
        let repaired = Arc::clone(&mended);
        let picky = Journalist::new("shipping.a", move |event| match number_of(event) {
            0 if !repaired.load(Ordering::Relaxed) => Err(ReactError::reject("no such order")),
            2 if !repaired.load(Ordering::Relaxed) => Err(ReactError::retry("not now")),
            _ => Ok(()),
        });
        let bus = realm.working(Some(&orders), vec![(picky, &shipping)]).await;
        emit_range(&orders, 0, 6, 2).await;
        // k0: 0 is a dead letter, 2 is parked, 4 waits behind it. k1: 1, 3, 5 pass.
        eventually(|| async { noted(&shipping, "shipping.a", "k1").await == [1, 3, 5] }).await;
        eventually(|| async { count(&shipping, "parked").await == 2 }).await;
        assert!(noted(&shipping, "shipping.a", "k0").await.is_empty());
        mended.store(true, Ordering::Relaxed);
        eventually(|| async { noted(&shipping, "shipping.a", "k0").await == [2, 4] }).await;
        let replayed = bus
            .dead_letters()
            .replay_all(&DeadLetterQuery::default())
            .await;
        assert_eq!(replayed.unwrap(), 1);
        eventually(|| async { noted(&shipping, "shipping.a", "k0").await == [2, 4, 0] }).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
