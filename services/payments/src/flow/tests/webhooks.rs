//! What the provider tells by itself.

use mesh::{Failure, Reason};

use super::{ORDER, TOTAL, World};
use crate::{cause::Cause, flow::WebhookKey, ledger::PaymentStatus};

const SECRET: &str = "whsec_test";

fn signed(body: &str, seconds: i64) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

impl World {
    async fn webhook(&self, body: &str) -> Result<(), Failure> {
        let key = WebhookKey {
            secret: SECRET.to_owned().into(),
            tolerance_seconds: 300,
        };
        let header = signed(body, self.clock.now().timestamp());
        self.desk
            .webhook(&key, Some(&header), body.as_bytes(), &Cause::default())
            .await
    }
}

fn event(id: &str, kind: &str, object: &str) -> String {
    format!(r#"{{"id":"{id}","type":"{kind}","data":{{"object":{object}}}}}"#)
}

#[tokio::test]
async fn a_webhook_pays_only_what_the_order_costs() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    let paid = |id: &str, amount: i64, currency: &str| {
        let object = format!(
            r#"{{"id":"{intent}","status":"succeeded","amount":{amount},"amount_received":{amount},"currency":"{currency}"}}"#
        );
        event(id, "payment_intent.succeeded", &object)
    };
    world.webhook(&paid("evt_1", 1, "usd")).await.unwrap();
    world.webhook(&paid("evt_2", TOTAL, "eur")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    for _ in 0..2 {
        world.webhook(&paid("evt_3", TOTAL, "usd")).await.unwrap();
    }
    assert_eq!(world.audit().await.paid_events, 1);
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 3);
    assert_eq!(
        world
            .number("SELECT count(*) FROM webhook_events WHERE outcome = 'mismatch'")
            .await,
        2
    );
    world.refund(Some(100)).await.unwrap();
    let refunded = |id: &str, total: i64| {
        let object = format!(
            r#"{{"payment_intent":"{intent}","amount_refunded":{total},"currency":"usd"}}"#
        );
        event(id, "charge.refunded", &object)
    };
    // Our own refund, told back to us, is nothing new; the rest was given at the provider.
    world.webhook(&refunded("evt_4", 100)).await.unwrap();
    assert_eq!(world.audit().await.refund_events, 1);
    world.webhook(&refunded("evt_5", 700)).await.unwrap();
    assert_eq!(
        world.number("SELECT refunded_minor FROM payments").await,
        700
    );
}

#[tokio::test]
async fn a_webhook_is_proven_and_configured() {
    let world = World::new("intent").await;
    let body = event("evt_1", "ping", "{}");
    let key = |secret: &str| WebhookKey {
        secret: secret.to_owned().into(),
        tolerance_seconds: 300,
    };
    let cause = Cause::default();
    let none = world
        .desk
        .webhook(&key(""), None, body.as_bytes(), &cause)
        .await
        .unwrap_err();
    assert_eq!(none.reason(), Reason::Unavailable);
    for header in [None, Some("t=1,v1=00")] {
        let bad = world
            .desk
            .webhook(&key(SECRET), header, body.as_bytes(), &cause)
            .await
            .unwrap_err();
        assert_eq!(bad.reason(), Reason::InvalidArgument);
    }
    assert_eq!(
        world.webhook("{").await.unwrap_err().reason(),
        Reason::InvalidArgument
    );
    world.webhook(&body).await.unwrap();
}

#[tokio::test]
async fn a_decline_in_the_browser_fails_the_order_but_our_own_is_no_news() {
    let world = World::new("intent").await;
    world.charge().await.unwrap();
    let intent = world
        .desk
        .create_intent(&world.shopper(), ORDER, None)
        .await
        .unwrap()
        .intent_id
        .unwrap();
    world
        .desk
        .confirm(&world.shopper(), &intent, "pm_card_chargeDeclined")
        .await
        .unwrap_err();
    let declined = |id: &str| {
        let object = format!(
            r#"{{"id":"{intent}","last_payment_error":{{"type":"card_error","code":"expired_card"}}}}"#
        );
        event(id, "payment_intent.payment_failed", &object)
    };
    world.webhook(&declined("evt_1")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Pending));
    world.webhook(&declined("evt_2")).await.unwrap();
    assert_eq!(world.status().await, Some(PaymentStatus::Failed));
    assert_eq!(world.audit().await.failed_events, 1);
    world.check().await;
}
