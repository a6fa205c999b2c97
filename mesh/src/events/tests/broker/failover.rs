//! Processes that end, and others that take over.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_crashes_again_and_again_loses_nothing() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let producer = realm.working(Some(&orders), vec![]).await;
        emit_range(&orders, 0, 600, 5).await;
        for round in 1..=4 {
            let bus = realm
                .working(None, vec![(Journalist::willing("shipping.a"), &shipping)])
                .await;
            effects(&shipping, round * 60).await;
            // No shutdown: tasks end wherever they are, and nothing more is acknowledged.
            drop(bus);
        }
        let bus = realm
            .working(None, vec![(Journalist::willing("shipping.a"), &shipping)])
            .await;
        effects(&shipping, 600).await;
        assert_complete(&shipping, "shipping.a", 600, 5).await;
        bus.shutdown(Duration::from_secs(10)).await;
        producer.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_consumers_is_active_and_the_other_takes_over() {
    in_realm(async |realm| {
        let orders = realm.store("orders").await;
        let shipping = realm.store("shipping").await;
        let producer = realm.working(Some(&orders), vec![]).await;
        let counted = |count: &Arc<AtomicUsize>| {
            let count = Arc::clone(count);
            Journalist::new("shipping.a", move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }) as Arc<dyn Consumer>
        };
        let (first_count, second_count) = (Arc::default(), Arc::default());
        let first = realm
            .working(None, vec![(counted(&first_count), &shipping)])
            .await;
        emit_range(&orders, 0, 100, 5).await;
        effects(&shipping, 50).await;
        let second = realm
            .working(None, vec![(counted(&second_count), &shipping)])
            .await;
        realm.declared(&second).await;
        emit_range(&orders, 100, 200, 5).await;
        effects(&shipping, 200).await;
        assert_eq!(
            (
                first_count.load(Ordering::Relaxed),
                second_count.load(Ordering::Relaxed)
            ),
            (200, 0)
        );
        first.shutdown(Duration::from_secs(10)).await;
        emit_range(&orders, 200, 300, 5).await;
        effects(&shipping, 300).await;
        assert_complete(&shipping, "shipping.a", 300, 5).await;
        assert!(second_count.load(Ordering::Relaxed) >= 100);
        second.shutdown(Duration::from_secs(10)).await;
        producer.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
