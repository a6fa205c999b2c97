//! Dead letters in the hands of an operator.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::*;
use crate::events::{DeadLetterError, DeadLetterQuery, Discards};

struct Scene {
    clock: Clock,
    orders: Store,
    shipping: Store,
    mended: Arc<AtomicBool>,
    bus: Bus,
}

/// Three dead letters of `orders.own` and two of `shipping.a`; both handle everything once mended.
async fn scene() -> Scene {
    let clock = manual();
    let orders = temporary("orders", &clock).await;
    let shipping = temporary("shipping", &clock).await;
    let mended = Arc::new(AtomicBool::new(false));
    let consumer = |name: &'static str, up_to: i64| {
        let mended = Arc::clone(&mended);
        Journalist::new(name, move |event| {
            if number_of(event) > up_to || mended.load(Ordering::Relaxed) {
                return Ok(());
            }
            Err(ReactError::reject("broken"))
        }) as Arc<dyn Consumer>
    };
    let consumers = vec![
        (consumer("orders.own", 3), &orders),
        (consumer("shipping.a", 2), &shipping),
    ];
    let bus = bus_of(&clock, EventsConfig::default(), &orders, consumers).await;
    for number in 1..=5 {
        emit(&orders, vec![numbered(&format!("k{number}"), number)]).await;
        settled(&bus).await;
        clock.advance(Duration::from_millis(5));
    }
    Scene {
        clock,
        orders,
        shipping,
        mended,
        bus,
    }
}

#[tokio::test]
async fn they_are_listed_over_all_stores_newest_first() {
    let scene = scene().await;
    let letters = scene.bus.dead_letters();
    let all = DeadLetterQuery::default();
    let listed = letters.list(&all).await.unwrap();
    assert_eq!(listed.len(), 5);
    assert_eq!(letters.count(&all).await.unwrap(), 5);
    assert!(listed.is_sorted_by_key(|letter| std::cmp::Reverse(letter.id)));
    let ids: Vec<Uuid> = listed.iter().map(|letter| letter.id).collect();

    let mut by_offset = Vec::new();
    let mut by_cursor: Vec<Uuid> = Vec::new();
    for page in 0..3 {
        let query = DeadLetterQuery {
            limit: 2,
            offset: page * 2,
            ..all.clone()
        };
        by_offset.extend(
            letters
                .list(&query)
                .await
                .unwrap()
                .into_iter()
                .map(|letter| letter.id),
        );
        let query = DeadLetterQuery {
            limit: 2,
            before: by_cursor.last().copied(),
            ..all.clone()
        };
        by_cursor.extend(
            letters
                .list(&query)
                .await
                .unwrap()
                .into_iter()
                .map(|letter| letter.id),
        );
    }
    assert_eq!(by_offset, ids);
    assert_eq!(by_cursor, ids);

    let of_shipping = DeadLetterQuery {
        consumer: Some("shipping.a".to_owned()),
        ..all.clone()
    };
    assert_eq!(letters.count(&of_shipping).await.unwrap(), 2);
    let of_key = DeadLetterQuery {
        ordering_key: Some("k3".to_owned()),
        ..all.clone()
    };
    let listed = letters.list(&of_key).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].store, "orders");
    assert_eq!(letters.show(listed[0].id).await.unwrap(), listed[0]);
    let of_type = DeadLetterQuery {
        event_type: Some("OrderCreated".to_owned()),
        ..all
    };
    assert_eq!(letters.count(&of_type).await.unwrap(), 0);
}

#[tokio::test]
async fn a_replayed_one_is_handled_and_gone() {
    let scene = scene().await;
    let letters = scene.bus.dead_letters();
    let query = DeadLetterQuery {
        ordering_key: Some("k3".to_owned()),
        ..Default::default()
    };
    let id = letters.list(&query).await.unwrap()[0].id;
    scene.mended.store(true, Ordering::Relaxed);
    letters.replay(id).await.unwrap();
    until(|| async { noted(&scene.orders, "orders.own", "k3").await == [3] }).await;
    assert_eq!(letters.count(&query).await.unwrap(), 0);
    assert_eq!(count(&scene.orders, "parked").await, 0);
    assert_eq!(letters.replay(id).await, Err(DeadLetterError::NotFound(id)));
}

#[tokio::test]
async fn a_replay_that_fails_again_is_a_dead_letter_again() {
    let scene = scene().await;
    let letters = scene.bus.dead_letters();
    let query = DeadLetterQuery {
        ordering_key: Some("k3".to_owned()),
        ..Default::default()
    };
    let id = letters.list(&query).await.unwrap()[0].id;
    letters.replay(id).await.unwrap();
    until(|| async { letters.count(&query).await.unwrap() == 1 }).await;
    assert_ne!(letters.list(&query).await.unwrap()[0].id, id);
    assert_eq!(
        letters
            .replay_all(&DeadLetterQuery::default())
            .await
            .unwrap(),
        5
    );
    scene.mended.store(true, Ordering::Relaxed);
    until(|| async {
        letters
            .replay_all(&DeadLetterQuery::default())
            .await
            .unwrap();
        unparked(&scene.orders, &scene.clock).await;
        unparked(&scene.shipping, &scene.clock).await;
        count(&scene.orders, "journal").await == 5 && count(&scene.shipping, "journal").await == 5
    })
    .await;
    assert_eq!(letters.count(&DeadLetterQuery::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_discarded_one_stays_on_record_and_never_comes_back() {
    let scene = scene().await;
    let letters = scene.bus.dead_letters();
    let query = DeadLetterQuery {
        ordering_key: Some("k3".to_owned()),
        ..Default::default()
    };
    let letter = letters.list(&query).await.unwrap().remove(0);
    letters
        .discard(letter.id, "customer was called")
        .await
        .unwrap();
    assert_eq!(
        letters.discard(letter.id, "again").await,
        Err(DeadLetterError::NotFound(letter.id))
    );
    assert_eq!(
        letters.replay(letter.id).await,
        Err(DeadLetterError::NotFound(letter.id))
    );
    assert_eq!(letters.count(&query).await.unwrap(), 0);
    let shown = DeadLetterQuery {
        discards: Discards::Shown,
        ..query
    };
    let record = letters
        .list(&shown)
        .await
        .unwrap()
        .remove(0)
        .discarded
        .unwrap();
    assert_eq!(record.reason, "customer was called");
    assert_eq!(record.at, scene.clock.now());

    // The relay forgets that it delivered anything, and the consumer would handle the event now.
    scene.mended.store(true, Ordering::Relaxed);
    scene.bus.shutdown(Duration::from_secs(5)).await;
    let forget = |tx: Tx| async move { tx.execute("DELETE FROM relay_watermark", args![]).await };
    scene.orders.write(forget).await.unwrap();
    let consumers: Vec<(Arc<dyn Consumer>, _)> =
        vec![(Journalist::willing("orders.own"), &scene.orders)];
    let bus = bus_of(
        &scene.clock,
        EventsConfig::default(),
        &scene.orders,
        consumers,
    )
    .await;
    settled(&bus).await;
    assert!(noted(&scene.orders, "orders.own", "k3").await.is_empty());
    assert!(
        noted(&scene.orders, "orders.own", "k1").await.is_empty(),
        "it still is a dead letter"
    );
}

#[tokio::test]
async fn one_of_a_consumer_that_is_gone_can_only_be_discarded() {
    let scene = scene().await;
    scene.bus.shutdown(Duration::from_secs(5)).await;
    let bus = bus_of(&scene.clock, EventsConfig::default(), &scene.orders, vec![]).await;
    let letters = bus.dead_letters();
    let id = letters.list(&Default::default()).await.unwrap()[0].id;
    assert_eq!(
        letters.replay(id).await,
        Err(DeadLetterError::NoConsumer("orders.own".to_owned()))
    );
    letters
        .discard(id, "the consumer was removed")
        .await
        .unwrap();
    let unknown = Uuid::nil();
    assert_eq!(
        letters.show(unknown).await,
        Err(DeadLetterError::NotFound(unknown))
    );
}
