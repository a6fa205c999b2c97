//! A shopper who pays an intent.

use std::time::Duration;

use mesh::{Money, Reason, Role};

use super::{ORDER, World, caller, flaky::Fails};
use crate::ledger::PaymentStatus;

#[tokio::test]
async fn a_shopper_pays_an_intent() {
    let world = World::new("intent").await;
    let shopper = world.shopper();
    let desk = &world.desk;
    world.charge().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    let wrong = Some(Money::new(1, mesh::Currency::USD));
    let refused = desk
        .create_intent(&shopper, ORDER, wrong)
        .await
        .unwrap_err();
    assert_eq!(refused.fields()[0].field, "amount");
    let stranger = caller(Role::Customer, "somebody", &world.clock);
    let hidden = desk
        .create_intent(&stranger, ORDER, None)
        .await
        .unwrap_err();
    assert_eq!(hidden.reason(), Reason::NotFound);

    let first = desk.create_intent(&shopper, ORDER, None).await.unwrap();
    let again = desk.create_intent(&shopper, ORDER, None).await.unwrap();
    assert_eq!(first.intent_id, again.intent_id);
    let intent = first.intent_id.unwrap();
    let hidden = desk
        .confirm(&stranger, &intent, "pm_card_visa")
        .await
        .unwrap_err();
    assert_eq!(hidden.reason(), Reason::NotFound);
    let number = desk
        .confirm(&shopper, &intent, "4242 4242 4242 4242")
        .await
        .unwrap_err();
    assert_eq!(number.reason(), Reason::InvalidArgument);

    let declined = desk
        .confirm(&shopper, &intent, "pm_card_chargeDeclinedInsufficientFunds")
        .await
        .unwrap_err();
    assert_eq!(declined.reason(), Reason::PaymentDeclined);
    assert_eq!(declined.metadata()["code"], "insufficient_funds");
    assert_eq!(world.audit().await.failed_events, 0);

    let paid = desk
        .confirm(&shopper, &intent, "pm_card_mastercard")
        .await
        .unwrap();
    assert_eq!(
        (paid.status, paid.card.last4.as_str()),
        (PaymentStatus::Succeeded, "4444")
    );
    desk.confirm(&shopper, &intent, "pm_card_visa")
        .await
        .unwrap();
    let over = desk.create_intent(&shopper, ORDER, None).await.unwrap_err();
    assert_eq!(over.reason(), Reason::Conflict);
    world.check().await;
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_settled_by_recovery() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    world.fails.set(Fails::After);
    world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_visa")
        .await
        .unwrap_err();
    world.fails.set(Fails::Never);
    let busy = world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_visa")
        .await
        .unwrap_err();
    assert_eq!(busy.reason(), Reason::Conflict);
    world.clock.advance(Duration::from_secs(91));
    world.desk.recover().await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Succeeded));
    world.check().await;
}
