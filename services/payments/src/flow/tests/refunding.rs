//! Money that goes back.

use std::{sync::Arc, time::Duration};

use mesh::Reason;

use super::{ORDER, TOTAL, World, flaky::Fails};
use crate::{cause::Cause, ledger};

#[tokio::test]
async fn eight_parallel_refunds_give_one() {
    let world = Arc::new(World::new("pm_card_visa").await);
    world.charge().await.unwrap();
    let refunds = (0..8).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.refund(None).await })
    });
    let mut given = 0;
    for refund in futures::future::join_all(refunds).await {
        match refund.unwrap() {
            Ok(()) => given += 1,
            Err(failure) => assert_eq!(failure.reason(), Reason::AlreadyRefunded),
        }
    }
    assert_eq!(given, 1);
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (TOTAL, 1));
    world.check().await;
}

#[tokio::test]
async fn refunds_never_exceed_the_payment() {
    let world = World::new("pm_card_visa").await;
    assert_eq!(
        world.refund(None).await.unwrap_err().reason(),
        Reason::NotFound
    );
    world.charge().await.unwrap();
    world.refund(Some(4_000)).await.unwrap();
    let too_much = world.refund(Some(6_001)).await.unwrap_err();
    assert_eq!(too_much.reason(), Reason::RefundExceedsPayment);
    assert_eq!(too_much.metadata()["left"], "60.00 USD");
    world.refund(Some(6_000)).await.unwrap();
    assert_eq!(
        world.refund(Some(1)).await.unwrap_err().reason(),
        Reason::AlreadyRefunded
    );
    assert_eq!(
        world.refund(Some(0)).await.unwrap_err().reason(),
        Reason::InvalidArgument
    );
    world.check().await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_finished_once() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    world.fails.set(Fails::After);
    world.refund(Some(2_500)).await.unwrap();
    assert_eq!(world.audit().await.refund_events, 0);
    world.fails.set(Fails::Never);
    world.clock.advance(Duration::from_secs(120));
    world.desk.recover().await.unwrap();
    world.desk.recover().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (2_500, 1));
    world.check().await;
}

#[tokio::test]
async fn a_refund_that_two_finish_counts_once() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    let due = world
        .desk
        .write(&Cause::default(), |tx, moment| async move {
            let new = ledger::NewRefund {
                key: None,
                reason: String::new(),
            };
            let size = ledger::RefundSize::Exactly(2_500);
            ledger::reserve_refund(&tx, &moment, ORDER, size, new, moment.now).await
        })
        .await
        .unwrap()
        .unwrap();
    for _ in 0..2 {
        world.desk.give(&due).await.unwrap();
    }
    world.desk.recover().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (2_500, 1));
    world.check().await;
}
