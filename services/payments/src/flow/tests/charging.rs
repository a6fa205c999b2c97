//! The saga's step.

use std::sync::atomic::Ordering;

use mesh::Reason;

use super::{Asked, ORDER, TOTAL, World, flaky::Fails};
use crate::ledger::{self, PaymentStatus};

#[tokio::test]
async fn an_order_is_charged_once_however_often_it_is_asked_for() {
    let world = World::new("pm_card_visa").await;
    for _ in 0..3 {
        world.charge().await.unwrap();
    }
    let audit = world.audit().await;
    assert_eq!(
        (audit.charges, audit.charged, audit.paid_events),
        (1, TOTAL, 1)
    );
    let key = "SELECT count(*) FROM processor_charges WHERE idempotency_key = 'order:0199a3c0-7b1e-7000-8000-000000000001'";
    assert_eq!(world.number(key).await, 1);
    world.check().await;
}

#[tokio::test]
async fn a_crash_after_the_charge_does_not_charge_again() {
    let world = World::new("pm_card_visa").await;
    world.charge_and_die().await;
    world.fails.set(Fails::After);
    world.charge().await.unwrap_err();
    world.fails.set(Fails::Never);
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    world.check().await;
}

#[tokio::test]
async fn a_charge_whose_order_is_cancelled_meanwhile_goes_back() {
    let world = World::new("pm_card_visa").await;
    world.charge_and_die().await;
    world.cancel().await.unwrap();
    world.charge().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.charged, audit.refunded), (TOTAL, TOTAL));
    world.check().await;
}

#[tokio::test]
async fn a_cancellation_that_comes_first_forbids_the_charge() {
    let world = World::new("pm_card_visa").await;
    world.cancel().await.unwrap();
    world.book.open.store(true, Ordering::SeqCst);
    world.charge().await.unwrap();
    assert_eq!(world.audit().await.charged, 0);
    assert_eq!(world.status().await, Some(PaymentStatus::Canceled));
}

#[tokio::test]
async fn declines_fail_the_payment_with_their_code() {
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_nobody_knows", "invalid_payment_method"),
        ("4242424242424242", "invalid_payment_method"),
        (
            "0199a3c0-7b1e-7000-8000-0000000000ff",
            "invalid_payment_method",
        ),
    ] {
        let world = World::new(method).await;
        for _ in 0..2 {
            world.charge().await.unwrap();
        }
        let payment = ledger::by_order(&world.desk.store, ORDER)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (payment.status, payment.failure_code.as_str()),
            (PaymentStatus::Failed, code),
            "{method}"
        );
        assert_eq!(world.audit().await.failed_events, 1, "{method}");
        world.check().await;
    }
}

#[tokio::test]
async fn a_saga_that_missed_the_end_is_told_again() {
    let world = World::new("pm_card_visa").await;
    world.charge().await.unwrap();
    world.charge_as(Asked::Again).await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.charges, audit.paid_events), (1, 2));
    world.cancel().await.unwrap();
    world.cancel().await.unwrap();
    let audit = world.audit().await;
    assert_eq!((audit.refunded, audit.refund_events), (TOTAL, 2));
    let same = "SELECT count(DISTINCT refund_id) FROM refunds";
    assert_eq!(world.number(same).await, 1);

    let world = World::new("pm_card_chargeDeclined").await;
    world.charge().await.unwrap();
    world.charge_as(Asked::Again).await.unwrap();
    assert_eq!(world.audit().await.failed_events, 2);
}

#[tokio::test]
async fn a_provider_that_is_away_fails_no_payment() {
    let world = World::new("pm_card_visa").await;
    world.fails.set(Fails::Before);
    for _ in 0..3 {
        world.charge().await.unwrap_err();
    }
    assert_eq!(world.audit().await.failed_events, 0);
    world.fails.set(Fails::Never);
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
}

#[tokio::test]
async fn an_order_that_costs_nothing_is_paid_without_the_provider() {
    let world = World::with_total("pm_card_visa", 0).await;
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    let audit = world.audit().await;
    assert_eq!((audit.charges, audit.paid_events), (0, 1));
    let refused = world.refund(None).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AlreadyRefunded);
}
