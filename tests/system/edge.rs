//! What HTTP offers beyond the calls themselves: validators, problem details, keys, documents.

use reqwest::Method;
use serde_json::json;
use system_tests::{Answer, order_body};

use crate::shared::{PRODUCT, api, fresh_email};

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let shop = api().await;
    let path = "/api/products/PUZ-WOOD";
    let first = shop.get(path).await;
    assert!(
        first.header("cache-control").contains("max-age="),
        "{:?}",
        first.headers
    );
    let etag = first.header("etag").to_owned();
    let again = Answer::to(
        shop.request(Method::GET, path)
            .header("if-none-match", &etag),
    )
    .await;
    assert_eq!(again.status.as_u16(), 304);
    assert_eq!(again.text, "");
    assert_eq!(again.header("etag"), etag);
    let other = Answer::to(
        shop.request(Method::GET, path)
            .header("if-none-match", "\"other\""),
    )
    .await;
    other.expect(200);
    let head = Answer::to(shop.request(Method::HEAD, path)).await;
    assert_eq!(head.status.as_u16(), 200);
    assert_eq!(head.text, "");
    assert_eq!(head.header("etag"), etag);

    // Answers to somebody are not for everybody.
    let customer = shop.demo("customer").await;
    assert!(
        !customer
            .get(path)
            .await
            .header("cache-control")
            .contains("public")
    );
    assert_eq!(
        customer.get("/api/users/me").await.header("cache-control"),
        "no-store"
    );
}

#[tokio::test]
async fn problem_details_are_spoken_to_whoever_asks_for_them() {
    let request = api().await.request(Method::GET, "/api/products?limit=-1");
    let answer = Answer::to(request.header("accept", "application/problem+json")).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.expect(400);
    assert_eq!(problem["status"], 400);
    assert_eq!(problem["violations"][0]["field"], "limit");
    for member in ["type", "title", "detail", "instance"] {
        assert!(problem[member].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict_that_passes() {
    let customer = api().await.sign_up(&fresh_email()).await;
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let key = uuid::Uuid::from_u128(rand::random()).to_string();
    let place = || {
        let request = customer
            .request(Method::POST, "/api/orders")
            .header("idempotency-key", &key);
        Answer::to(request.json(&order_body("pm_card_visa")))
    };
    let attempts = futures::future::join_all((0..6).map(|_| place())).await;
    let mut ids = Vec::new();
    for attempt in attempts {
        if attempt.status.as_u16() == 409 {
            assert!(attempt.headers.contains_key("retry-after"));
            let error = attempt.expect_error(409, "CONFLICT");
            assert_eq!(error["details"]["reason"], "IDEMPOTENCY_IN_PROGRESS");
        } else {
            ids.push(attempt.expect(201)["order_id"].clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(place().await.expect(201)["order_id"], ids[0]);

    let bad = customer
        .request(Method::POST, "/api/orders")
        .header("idempotency-key", "two words");
    let error = Answer::to(bad.json(&order_body("pm_card_visa")))
        .await
        .expect_error(400, "INVALID_REQUEST");
    assert_eq!(
        error["details"]["violations"][0]["field"],
        "Idempotency-Key"
    );
}

#[tokio::test]
async fn input_may_be_written_in_either_case_of_names_and_enums() {
    let guest = api().await.guest().await;
    let body = json!({"productId": PRODUCT, "quantity": "2"});
    guest.post("/api/cart/items", body).await.expect(201);
    let mut order = order_body("pm_card_visa");
    order["shipping_method"] = json!("SHIPPING_METHOD_EXPRESS");
    let order = guest.post("/api/orders", order).await.expect(201);
    assert_eq!(order["shipping"]["method"], "express");
}

#[tokio::test]
async fn the_reference_works_without_the_internet() {
    let shop = api().await;
    let landing = shop.get("/").await;
    assert!(landing.header("content-type").starts_with("text/html"));
    assert!(landing.text.contains("/docs"), "{}", landing.text);
    let docs = shop.get("/docs").await;
    let docs = match docs.status.as_u16() {
        301..=308 => shop.get(docs.header("location")).await,
        _ => docs,
    };
    assert_eq!(docs.status.as_u16(), 200);
    for outside in ["src=\"http", "href=\"http"] {
        assert!(!docs.text.contains(outside), "{}", docs.text);
    }
    let document = shop.get("/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let keys = shop.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys["keys"][0]["kty"], "EC");
    assert_eq!(keys["keys"][0]["use"], "sig");
}

#[tokio::test]
async fn other_content_types_and_large_heads_are_refused() {
    let guest = api().await.guest().await;
    let form = guest
        .request(Method::POST, "/api/cart/items")
        .header("content-type", "text/xml")
        .body("<a/>");
    assert_eq!(Answer::to(form).await.status.as_u16(), 415);
    let large = guest
        .request(Method::GET, "/api/cart")
        .header("x-large", "x".repeat(20_000));
    assert_eq!(Answer::to(large).await.status.as_u16(), 431);
}
