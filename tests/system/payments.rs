//! Money: saved cards, payment intents, cards that fail, refunds in part.

use serde_json::{Value, json};
use system_tests::{Api, order_body};

use crate::shared::{PRODUCT, api, fresh_email, id};

async fn order_paid_with(customer: &Api, method: &str) -> Value {
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    customer
        .post("/api/orders", order_body(method))
        .await
        .expect(201)
}

#[tokio::test]
async fn a_saved_card_pays_for_an_order() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let wallet = "/api/users/me/payment-methods";
    assert_eq!(customer.get(wallet).await.expect(200), json!([]));
    let declined = json!({"stripe_token": "pm_card_chargeDeclined"});
    let refused = customer.post(wallet, declined).await;
    assert!(
        matches!(refused.status.as_u16(), 201 | 402),
        "{}",
        refused.text
    );
    let card = customer
        .post(
            wallet,
            json!({"stripe_token": "pm_card_mastercard", "is_default": true}),
        )
        .await;
    let card = card.expect(201);
    assert_eq!(
        (&card["brand"], &card["last4"]),
        (&json!("mastercard"), &json!("4444"))
    );
    let number = customer
        .post(wallet, json!({"stripe_token": "4242 4242 4242 4242"}))
        .await;
    number.expect_error(400, "INVALID_REQUEST");

    let card_id = id(&card, "payment_method_id");
    let order = order_paid_with(&customer, card_id).await;
    let order = customer
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await;
    assert_eq!(
        (&order["payment"]["brand"], &order["payment"]["last4"]),
        (&json!("mastercard"), &json!("4444"))
    );

    // Somebody else's card is no card.
    let stranger = api().await.sign_up(&fresh_email()).await;
    stranger
        .delete(&format!("{wallet}/{card_id}"))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    stranger.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let stolen = stranger.post("/api/orders", order_body(card_id)).await;
    if stolen.status.is_success() {
        let order = stranger
            .order_reaches(id(&stolen.json, "order_id"), &["payment_failed"])
            .await;
        assert_eq!(order["payment_status"], "failed");
    }
    customer
        .delete(&format!("{wallet}/{card_id}"))
        .await
        .expect(204);
}

#[tokio::test]
async fn cards_fail_in_ways_that_the_shopper_is_told() {
    for card in [
        "pm_card_chargeDeclined",
        "pm_card_chargeDeclinedInsufficientFunds",
        "pm_card_chargeDeclinedProcessingError",
        "pm_card_authenticationRequired",
    ] {
        let customer = api().await.sign_up(&fresh_email()).await;
        let order = order_paid_with(&customer, card).await;
        let order_id = id(&order, "order_id");
        let order = customer.order_reaches(order_id, &["payment_failed"]).await;
        assert_eq!(order["payment_status"], "failed", "{card}");
        assert!(!id(&order, "status_reason").is_empty(), "{card}");
        let payment = customer
            .get(&format!("/api/orders/{order_id}/payment"))
            .await
            .expect(200);
        assert_eq!(payment["status"], "failed", "{payment}");
        assert!(!id(&payment, "failure_code").is_empty(), "{payment}");
        let path = format!("/api/staff/orders/{order_id}/reservations");
        let staff = api().await.demo("staff").await;
        system_tests::eventually("the units to be free", || async {
            let held = staff.get(&path).await.expect(200);
            let held = held["items"].as_array().unwrap().clone();
            held.iter()
                .all(|held| held["status"] == "released")
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_order_can_be_paid_in_a_second_step() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let order = order_paid_with(&customer, "intent").await;
    let order_id = id(&order, "order_id");
    let reserved = customer.order_reaches(order_id, &["reserved"]).await;

    let wrong = json!({"order_id": order_id, "amount": {"amount": "0.01", "currency": "USD"}});
    let wrong = customer.post("/api/payments/create-intent", wrong).await;
    assert!(wrong.status.is_client_error(), "{}", wrong.text);
    let stranger = api().await.sign_up(&fresh_email()).await;
    let body = json!({"order_id": order_id});
    let stolen = stranger
        .post("/api/payments/create-intent", body.clone())
        .await;
    stolen.expect_error(404, "RESOURCE_NOT_FOUND");

    let intent = customer
        .post("/api/payments/create-intent", body)
        .await
        .expect(201);
    assert_eq!(intent["amount"], reserved["totals"]["total"]);
    let confirm = |card: &'static str| {
        let body =
            json!({"payment_intent_id": intent["payment_intent_id"], "payment_method": card});
        customer.post("/api/payments/confirm", body)
    };
    let declined = confirm("pm_card_chargeDeclined")
        .await
        .expect_error(402, "UNPROCESSABLE_ENTITY");
    assert_eq!(declined["details"]["reason"], "PAYMENT_DECLINED");
    assert_eq!(
        confirm("pm_card_visa").await.expect(200)["status"],
        "succeeded"
    );
    customer.order_reaches(order_id, &["processing"]).await;
}

#[tokio::test]
async fn refunds_in_part_never_exceed_the_payment() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let order = order_paid_with(&customer, "pm_card_visa").await;
    let order_id = id(&order, "order_id");
    let order = customer.order_reaches(order_id, &["processing"]).await;
    let intent = id(&order["payment"], "payment_intent_id");
    let staff = api().await.demo("staff").await;
    let refund = |amount: &str| {
        let amount = json!({"amount": amount, "currency": "USD"});
        staff.post(
            "/api/payments/refund",
            json!({"payment_intent_id": intent, "amount": amount}),
        )
    };
    let first = refund("10.00").await.expect(200);
    assert_eq!(first["amount"]["amount"], "10.00");
    refund("100000.00").await.expect_error(409, "CONFLICT");
    refund("-1.00").await.expect_error(400, "INVALID_REQUEST");
    let path = format!("/api/orders/{order_id}");
    system_tests::eventually("the order to know of the refund", || async {
        let order = customer.get(&path).await.expect(200);
        (order["payment_status"] == "partially_refunded").then_some(())
    })
    .await;
    let payment = customer.get(&format!("{path}/payment")).await.expect(200);
    assert_eq!(payment["refunded"]["amount"], "10.00");
    assert_eq!(payment["status"], "partially_refunded");
    let body = json!({"payment_intent_id": intent});
    customer
        .post("/api/payments/refund", body)
        .await
        .expect_error(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_webhook_without_a_signature_is_refused() {
    let event = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {}});
    let answer = api().await.post("/api/payments/webhook", event).await;
    assert!(
        answer.status.is_client_error() || answer.status.as_u16() == 503,
        "{}",
        answer.text
    );
}
