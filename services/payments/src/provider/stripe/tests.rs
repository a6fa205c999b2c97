#![allow(clippy::unwrap_used)]
//! Against a server that answers as Stripe's documentation says.

use std::time::Duration;

use mesh::{Currency, Money};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{body_string_contains, header, method, path},
};

use super::*;
use crate::{domain::decline::Decline, provider::Card};

async fn stripe(server: &MockServer) -> Stripe {
    Stripe::new(
        &server.uri(),
        Secret::new("sk_test_1".to_owned()),
        Duration::from_millis(500),
    )
    .unwrap()
}

fn intent() -> Intent {
    Intent {
        intent_id: "pi_1".to_owned(),
        amount: Money::new(119_900, Currency::USD),
    }
}

fn visa() -> Token {
    Token::parse("pm_card_visa").unwrap()
}

fn paid() -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 119_900,
        "latest_charge": {"id": "ch_1", "payment_method_details": {
            "type": "card", "card": {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2030}
        }}
    })
}

fn visa_card() -> Card {
    Card {
        brand: "visa".to_owned(),
        last4: "4242".to_owned(),
    }
}

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(server)
        .await;
}

fn form(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

#[tokio::test]
async fn an_intent_is_opened_under_its_key() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/payment_intents"))
        .and(header("authorization", "Bearer sk_test_1"))
        .and(header("idempotency-key", "order:1:intent"))
        .and(header("stripe-version", "2024-06-20"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"id": "pi_1", "client_secret": "pi_1_secret_x", "status": "requires_payment_method"}),
        ))
        .expect(1)
        .mount(&server)
        .await;
    let new = NewIntent {
        order_id: "1".to_owned(),
        amount: Money::new(119_900, Currency::USD),
        customer: Some("cus_1".to_owned()),
    };
    let open = stripe(&server)
        .await
        .create_intent(&new, "order:1:intent")
        .await
        .unwrap();
    assert_eq!(
        (open.intent_id.as_str(), open.client_secret.as_str()),
        ("pi_1", "pi_1_secret_x")
    );
    let sent = form(&server.received_requests().await.unwrap()[0]);
    for part in [
        "amount=119900",
        "currency=usd",
        "metadata%5Border_id%5D=1",
        "customer=cus_1",
        "capture_method=automatic",
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
}

#[tokio::test]
async fn a_confirmation_says_which_card_paid() {
    let server = MockServer::start().await;
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/confirm",
        200,
        paid(),
    )
    .await;
    let state = stripe(&server)
        .await
        .confirm(&intent(), Some(&visa()), "order:1")
        .await
        .unwrap();
    assert_eq!(state, IntentState::Paid(visa_card()));
    let sent = form(&server.received_requests().await.unwrap()[0]);
    assert!(sent.contains("payment_method=pm_card_visa"), "{sent}");
}

#[tokio::test]
async fn a_token_is_sent_as_the_data_of_a_method() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string_contains(
            "payment_method_data%5Bcard%5D%5Btoken%5D=tok_visa",
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(paid()))
        .expect(1)
        .mount(&server)
        .await;
    let token = Token::parse("tok_visa").unwrap();
    stripe(&server)
        .await
        .confirm(&intent(), Some(&token), "k")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_decline_is_an_answer() {
    let server = MockServer::start().await;
    let error = json!({"error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "payment_intent": {"id": "pi_1", "status": "requires_payment_method"}
    }});
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/confirm",
        402,
        error,
    )
    .await;
    let state = stripe(&server)
        .await
        .confirm(&intent(), Some(&visa()), "k")
        .await
        .unwrap();
    assert_eq!(
        state,
        IntentState::Open(Some(Decline::of("insufficient_funds")))
    );
}

#[tokio::test]
async fn what_is_over_is_told_as_it_is() {
    let server = MockServer::start().await;
    let error = json!({"error": {
        "type": "invalid_request_error", "code": "payment_intent_unexpected_state", "payment_intent": paid()
    }});
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/confirm",
        400,
        error.clone(),
    )
    .await;
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/cancel",
        400,
        error,
    )
    .await;
    let stripe = stripe(&server).await;
    let confirmed = stripe.confirm(&intent(), Some(&visa()), "k").await.unwrap();
    assert_eq!(confirmed, IntentState::Paid(visa_card()));
    let cancelled = stripe.cancel(&intent()).await.unwrap();
    assert_eq!(cancelled, IntentState::Paid(visa_card()));
}

#[tokio::test]
async fn money_that_is_only_set_aside_is_not_paid() {
    let server = MockServer::start().await;
    let body = json!({"id": "pi_1", "status": "requires_capture"});
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/confirm",
        200,
        body,
    )
    .await;
    let state = stripe(&server)
        .await
        .confirm(&intent(), Some(&visa()), "k")
        .await
        .unwrap();
    assert!(matches!(state, IntentState::Open(Some(_))));
}

#[tokio::test]
async fn no_answer_is_no_decline() {
    let busy = json!({"error": {"type": "invalid_request_error", "code": "lock_timeout"}});
    let in_use = json!({"error": {"type": "idempotency_error", "code": "idempotency_key_in_use"}});
    let broken = json!({"error": {"type": "api_error"}});
    for (status, body) in [
        (429, busy),
        (409, in_use),
        (500, broken),
        (503, json!("gone")),
        (200, json!([])),
    ] {
        let server = MockServer::start().await;
        answer(
            &server,
            "POST",
            "/v1/payment_intents/pi_1/confirm",
            status,
            body,
        )
        .await;
        let error = stripe(&server)
            .await
            .confirm(&intent(), Some(&visa()), "k")
            .await
            .unwrap_err();
        assert!(
            matches!(error, ProviderError::Unavailable(_)),
            "{status}: {error}"
        );
    }
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(paid())
                .set_delay(Duration::from_secs(5)),
        )
        .mount(&server)
        .await;
    let error = stripe(&server)
        .await
        .confirm(&intent(), Some(&visa()), "k")
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("pi_1"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_our_fault() {
    let server = MockServer::start().await;
    let error =
        json!({"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}});
    answer(&server, "GET", "/v1/payment_intents/pi_1", 401, error).await;
    let error = stripe(&server).await.retrieve(&intent()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)));
    assert!(matches!(
        Stripe::new(
            "https://api.stripe.com",
            Secret::default(),
            Duration::from_secs(1)
        ),
        Err(StripeError::NoKey)
    ));
}

#[tokio::test]
async fn an_unknown_method_is_invalid() {
    let server = MockServer::start().await;
    let error = json!({"error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method"
    }});
    answer(
        &server,
        "POST",
        "/v1/payment_intents/pi_1/confirm",
        400,
        error,
    )
    .await;
    let error = stripe(&server)
        .await
        .confirm(&intent(), Some(&visa()), "k")
        .await
        .unwrap_err();
    assert_eq!(error, ProviderError::InvalidMethod);
}

#[tokio::test]
async fn refunds_carry_their_key_and_excess_is_refused() {
    let server = MockServer::start().await;
    let earlier = json!({"data": [
        {"id": "re_0", "status": "succeeded", "metadata": {"key": "r-0"}},
        {"id": "re_x", "status": "failed", "metadata": {"key": "r-x"}},
    ]});
    answer(&server, "GET", "/v1/refunds", 200, earlier).await;
    Mock::given(method("POST"))
        .and(path("/v1/refunds"))
        .and(header("idempotency-key", "r-1"))
        .and(body_string_contains("amount=500"))
        .and(body_string_contains("metadata%5Bkey%5D=r-1"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"id": "re_1", "status": "succeeded"})),
        )
        .expect(1)
        .mount(&server)
        .await;
    let error =
        json!({"error": {"type": "invalid_request_error", "code": "charge_already_refunded"}});
    answer(&server, "POST", "/v1/refunds", 400, error).await;
    let stripe = stripe(&server).await;
    let part = Money::new(500, Currency::USD);
    stripe.refund(&intent(), part, "r-1").await.unwrap();
    // Made before, longer ago than Stripe remembers keys: it is found and not made again.
    stripe.refund(&intent(), part, "r-0").await.unwrap();
    for key in ["r-2", "r-x"] {
        let refused = stripe.refund(&intent(), part, key).await.unwrap_err();
        assert!(matches!(refused, ProviderError::Refused(_)), "{key}");
    }
}

#[tokio::test]
async fn a_method_is_kept_for_a_customer() {
    let server = MockServer::start().await;
    answer(
        &server,
        "POST",
        "/v1/customers",
        200,
        json!({"id": "cus_9"}),
    )
    .await;
    answer(
        &server,
        "POST",
        "/v1/payment_methods",
        200,
        json!({"id": "pm_9"}),
    )
    .await;
    let kept = json!({"id": "pm_9", "customer": "cus_9",
        "card": {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2030}});
    answer(
        &server,
        "POST",
        "/v1/payment_methods/pm_9/attach",
        200,
        kept,
    )
    .await;
    let token = Token::parse("tok_visa").unwrap();
    let kept = stripe(&server)
        .await
        .keep_method("u-1", None, &token)
        .await
        .unwrap();
    assert_eq!(kept.token.as_str(), "pm_9");
    assert_eq!(
        (kept.customer.as_str(), kept.exp_month, kept.exp_year),
        ("cus_9", 8, 2030)
    );
    assert_eq!(kept.card, visa_card());
}
