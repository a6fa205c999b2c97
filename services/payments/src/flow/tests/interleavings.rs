//! Everything that may happen to an order, in any order and at once.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::{ORDER, TOTAL, World, flaky::Fails};
use crate::ledger;

/// What may happen to an order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Charge,
    ChargeAndDie,
    Cancel,
    Confirm(&'static str),
    Refund(Option<i64>),
    Recover,
    Wait(u64),
    Provider(Fails),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Charge),
        1 => Just(Step::ChargeAndDie),
        1 => Just(Step::Cancel),
        3 => prop::sample::select(vec!["pm_card_visa", "pm_card_chargeDeclined", "tok_amex"]).prop_map(Step::Confirm),
        2 => prop::option::of(1_i64..TOTAL + 100).prop_map(Step::Refund),
        2 => Just(Step::Recover),
        2 => (1_u64..200).prop_map(Step::Wait),
        3 => prop::sample::select(vec![Fails::Never, Fails::Before, Fails::After]).prop_map(Step::Provider),
    ]
}

async fn take(world: &World, step: Step) {
    match step {
        Step::Charge => drop(world.charge().await),
        Step::ChargeAndDie => world.charge_and_die().await,
        Step::Cancel => drop(world.cancel().await),
        Step::Confirm(method) => {
            if let Ok(Some(payment)) = ledger::by_order(&world.desk.store, ORDER).await
                && let Some(intent) = payment.intent_id
            {
                drop(world.desk.confirm(&world.shopper(), &intent, method).await);
            }
        }
        Step::Refund(minor) => drop(world.refund(minor).await),
        Step::Recover => world.desk.recover().await.unwrap(),
        Step::Wait(seconds) => world.clock.advance(Duration::from_secs(seconds)),
        Step::Provider(fails) => world.fails.set(fails),
    }
}

/// What the bus and the recovery task go on doing: events are delivered until they are handled, and
/// unfinished work is looked for.
async fn come_to_rest(world: &World) {
    world.fails.set(Fails::Never);
    let cancelled = !world.book.open.load(Ordering::SeqCst);
    for _ in 0..4 {
        drop(world.charge().await);
        if cancelled {
            world.cancel().await.unwrap();
        }
        world.clock.advance(Duration::from_secs(1000));
        world.desk.recover().await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nobody_is_charged_twice_in_any_order(
        steps in prop::collection::vec(step(), 1..25),
        method in prop::sample::select(vec!["pm_card_visa", "pm_card_chargeDeclined", "intent"]),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::new(method).await;
            for step in steps {
                take(&world, step).await;
            }
            come_to_rest(&world).await;
            world.check().await;
        });
    }

    #[test]
    fn nor_when_everything_happens_at_once(
        steps in prop::collection::vec(step(), 2..16),
        method in prop::sample::select(vec!["pm_card_visa", "intent"]),
    ) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
            let world = Arc::new(World::new(method).await);
            let mut running = VecDeque::new();
            for step in steps {
                let world = Arc::clone(&world);
                running.push_back(tokio::spawn(async move { take(&world, step).await }));
            }
            for task in running {
                task.await.unwrap();
            }
            come_to_rest(&world).await;
            world.check().await;
        });
    }
}
