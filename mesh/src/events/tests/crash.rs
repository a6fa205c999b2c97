//! The process ends at any moment.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

/// Notes every event and passes it on once, so that effects in two stores can be compared.
struct PassOn {
    reactions: Arc<AtomicUsize>,
}

#[async_trait]
impl Consumer for PassOn {
    fn name(&self) -> &'static str {
        "shipping.pass-on"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &["OrderUpdated"]
    }
    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        // Every fifth reaction fails, so that parked deliveries cross crashes too.
        if self.reactions.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
            return Err(ReactError::retry("a bad moment"));
        }
        let next = completed(&event.ordering_key).caused_by(event);
        let Effect { write } = note(self.name(), event);
        Ok(Effect::write(move |tx: Tx| async move {
            if let Some(write) = write {
                write.run(tx.clone()).await?;
            }
            tx.emit(next).await?;
            Ok(())
        }))
    }
    fn lanes(&self) -> usize {
        4
    }
}

const KEYS: i64 = 7;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// After any number of crashes every event has had its effect once and in order.
    #[test]
    fn effects_are_exactly_once_across_crashes(
        crashes in prop::collection::vec((1_i64..40, 0_i64..60), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let clock = manual();
            let reactions = Arc::new(AtomicUsize::new(0));
            let mut emitted = 0;
            for (burst, let_pass) in crashes {
                let orders = open("orders", folder.path(), &clock).await;
                let shipping = open("shipping", folder.path(), &clock).await;
                let pass_on = PassOn { reactions: Arc::clone(&reactions) };
                let bus = Bus::new(EventsConfig::default(), clock.clone());
                bus.attach(&orders).unwrap();
                bus.attach(&shipping).unwrap();
                bus.subscribe(Arc::new(pass_on), &shipping).unwrap();
                bus.start().await.unwrap();
                for _ in 0..burst {
                    let event = numbered(&format!("k{}", emitted % KEYS), emitted);
                    emit(&orders, vec![event]).await;
                    emitted += 1;
                }
                let enough = count(&shipping, "journal").await + let_pass.min(burst);
                until(|| async {
                    clock.advance(Duration::from_millis(100));
                    let parked = count(&shipping, "parked").await;
                    count(&shipping, "journal").await + parked >= enough.min(emitted)
                })
                .await;
                // No shutdown, no close: tasks and threads end wherever they are.
                drop(bus);
            }
            let orders = open("orders", folder.path(), &clock).await;
            let shipping = open("shipping", folder.path(), &clock).await;
            let bus = Bus::new(EventsConfig::default(), clock.clone());
            bus.attach(&orders).unwrap();
            bus.attach(&shipping).unwrap();
            bus.subscribe(Arc::new(PassOn { reactions }), &shipping).unwrap();
            bus.start().await.unwrap();
            settled(&bus).await;
            unparked(&shipping, &clock).await;
            for key in 0..KEYS {
                let expected: Vec<i64> = (0..emitted).filter(|number| number % KEYS == key).collect();
                assert_eq!(noted(&shipping, "shipping.pass-on", &format!("k{key}")).await, expected);
            }
            assert_eq!(count(&shipping, "outbox").await, emitted);
            assert_eq!(count(&shipping, "dead_letters").await, 0);
        });
    }
}
