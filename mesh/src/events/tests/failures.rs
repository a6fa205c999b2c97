//! What happens to a delivery that cannot be handled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn a_failing_event_is_tried_on_schedule_and_then_given_up() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let attempts = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (seen, times) = (Arc::clone(&attempts), clock.clone());
    let stubborn = Journalist::new("orders.stubborn", move |event| match number_of(event) {
        1 => {
            seen.lock().push(times.now());
            Err(ReactError::retry("the provider is down"))
        }
        _ => Ok(()),
    });
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(stubborn, &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(
        &orders,
        vec![numbered("bad", 1), numbered("bad", 2), numbered("good", 3)],
    )
    .await;
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.stubborn", "good").await, [3]);
    assert!(
        noted(&orders, "orders.stubborn", "bad").await.is_empty(),
        "2 waits behind 1"
    );
    assert_eq!(count(&orders, "parked").await, 2);

    for (attempt, seconds) in [1, 5, 30, 120, 600].into_iter().enumerate() {
        // Not before nine tenths of the delay, at the latest after eleven tenths.
        clock.advance(Duration::from_millis(seconds * 900 - 1));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(attempts.lock().len(), attempt + 1);
        clock.advance(Duration::from_millis(seconds * 200 + 2));
        until(|| async { attempts.lock().len() == attempt + 2 }).await;
        // The record of the attempt is what the next delay counts from.
        until(|| async {
            let row = orders
                .one("SELECT attempts FROM parked WHERE attempts > 0", args![])
                .await
                .unwrap();
            row.is_none_or(|row| row.get::<usize>("attempts").unwrap() == attempt + 2)
        })
        .await;
    }
    unparked(&orders, &clock).await;
    assert_eq!(attempts.lock().len(), 6);
    assert_eq!(noted(&orders, "orders.stubborn", "bad").await, [2]);
    let letters = bus.dead_letters().list(&Default::default()).await.unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!(
        (letter.attempts, letter.error.as_str()),
        (6, "the provider is down")
    );
    assert_eq!(number_of(letter.envelope.as_ref().unwrap()), 1);
}

#[tokio::test]
async fn a_rejected_event_is_a_dead_letter_at_once() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let picky = Journalist::new("orders.picky", |event| match number_of(event) {
        1 => Err(ReactError::reject("no such order")),
        _ => Ok(()),
    });
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(picky, &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(&orders, vec![numbered("x", 1), numbered("x", 2)]).await;
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.picky", "x").await, [2]);
    assert_eq!(count(&orders, "parked").await, 0);
    let letters = bus.dead_letters().list(&Default::default()).await.unwrap();
    assert_eq!(letters[0].error, "no such order");
    assert_eq!(letters[0].attempts, 1);
}

#[tokio::test]
async fn a_failing_effect_is_undone_and_tried_again() {
    struct Clumsy(AtomicUsize);

    #[async_trait]
    impl Consumer for Clumsy {
        fn name(&self) -> &'static str {
            "orders.clumsy"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            let Effect { write } = note(self.name(), event);
            let attempt = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Effect::write(move |tx: Tx| async move {
                write.unwrap().run(tx.clone()).await?;
                match attempt {
                    0 => Err(ReactError::retry("dropped it")),
                    1 => panic!("fell over"),
                    2 => tx
                        .execute("INSERT INTO nowhere VALUES (1)", args![])
                        .await
                        .map(drop)
                        .map_err(Into::into),
                    _ => Ok(()),
                }
            }))
        }
    }

    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let clumsy = Arc::new(Clumsy(AtomicUsize::new(0)));
    let bus = bus_of(
        &clock,
        EventsConfig::default(),
        &orders,
        vec![(clumsy.clone(), &orders)],
    )
    .await;
    emit(&orders, vec![numbered("x", 1)]).await;
    settled(&bus).await;
    unparked(&orders, &clock).await;
    assert_eq!(noted(&orders, "orders.clumsy", "x").await, [1]);
    assert_eq!(clumsy.0.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_panic_counts_as_a_failed_attempt() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let calm = Arc::new(AtomicBool::new(false));
    let mood = Arc::clone(&calm);
    let nervous = Journalist::new("orders.nervous", move |_| {
        assert!(mood.load(Ordering::Relaxed), "boo");
        Ok(())
    });
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(nervous, &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(&orders, vec![numbered("x", 1)]).await;
    settled(&bus).await;
    let row = orders
        .one("SELECT last_error FROM parked", args![])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        row.get::<&str>("last_error").unwrap(),
        "the consumer panicked: boo"
    );
    calm.store(true, Ordering::Relaxed);
    unparked(&orders, &clock).await;
    assert_eq!(noted(&orders, "orders.nervous", "x").await, [1]);
}

#[tokio::test]
async fn a_reaction_that_takes_too_long_counts_as_a_failed_attempt() {
    struct Stuck(AtomicUsize);

    #[async_trait]
    impl Consumer for Stuck {
        fn name(&self) -> &'static str {
            "orders.stuck"
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["OrderUpdated"]
        }
        async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(note(self.name(), event))
        }
    }

    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let stuck = Arc::new(Stuck(AtomicUsize::new(0)));
    let bus = bus_of(
        &clock,
        EventsConfig::default(),
        &orders,
        vec![(stuck.clone(), &orders)],
    )
    .await;
    emit(&orders, vec![numbered("x", 1)]).await;
    until(|| async { stuck.0.load(Ordering::Relaxed) == 1 }).await;
    clock.advance(Duration::from_secs(30));
    settled(&bus).await;
    unparked(&orders, &clock).await;
    assert_eq!(noted(&orders, "orders.stuck", "x").await, [1]);
}

#[tokio::test]
async fn a_delivery_survives_a_store_that_is_gone() {
    let clock = manual();
    let folder = tempfile::tempdir().unwrap();
    let orders = open("orders", folder.path(), &clock).await;
    let shipping = open("shipping", folder.path(), &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> =
        vec![(Journalist::willing("shipping.a"), &shipping)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    shipping.close().await.unwrap();
    emit(&orders, vec![numbered("x", 1), numbered("x", 2)]).await;
    for _ in 0..200 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        bus.backlog().await.unwrap()[0].events,
        2,
        "nobody has taken them"
    );
    drop((bus, shipping));

    let shipping = open("shipping", folder.path(), &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> =
        vec![(Journalist::willing("shipping.a"), &shipping)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    settled(&bus).await;
    assert_eq!(noted(&shipping, "shipping.a", "x").await, [1, 2]);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_does_not_stop_the_relay() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    orders
        .write(|tx: Tx| async move {
            tx.execute(
                "INSERT INTO outbox (event_id, event_type, ordering_key, envelope, created_at) \
                 VALUES ('e', 'OrderUpdated', 'x', $1, 0)",
                args![vec![0xff_u8; 8]],
            )
            .await
        })
        .await
        .unwrap();
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    emit(&orders, vec![numbered("x", 1)]).await;
    settled(&bus).await;
    assert_eq!(noted(&orders, "orders.own", "x").await, [1]);
    let letters = bus.dead_letters().list(&Default::default()).await.unwrap();
    assert_eq!(letters[0].consumer, "relay");
    assert_eq!(letters[0].envelope, None);
}

#[tokio::test]
async fn an_event_that_cannot_be_set_aside_is_tried_again() {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let consumers: Vec<(Arc<dyn Consumer>, _)> = vec![(Journalist::willing("orders.own"), &orders)];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    let execute = |sql: &'static str| {
        orders.write(move |tx: Tx| async move { tx.execute(sql, args![]).await })
    };
    execute("ALTER TABLE dead_letters RENAME TO hidden")
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    orders
        .write(|tx: Tx| async move {
            tx.execute(
                "INSERT INTO outbox (event_id, event_type, ordering_key, envelope, created_at) \
                 VALUES ('e', 'OrderUpdated', 'k', x'ff', 0)",
                args![],
            )
            .await?;
            tx.emit(numbered("x", 1)).await
        })
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(noted(&orders, "orders.own", "x").await.is_empty());
    execute("ALTER TABLE hidden RENAME TO dead_letters")
        .await
        .map_err(|error: StoreError| error)
        .unwrap();
    until(|| async {
        clock.advance(Duration::from_millis(500));
        noted(&orders, "orders.own", "x").await == [1]
    })
    .await;
    assert_eq!(count(&orders, "dead_letters").await, 1);
    bus.shutdown(Duration::from_secs(5)).await;
}
