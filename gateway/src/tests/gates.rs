//! What is refused, and how.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{Method, Request};
use mesh::{Failure, Reason};
use serde_json::json;

use super::fixture::{Fixture, cart_item, json_post, order};

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let fixture = Fixture::new().await;
    let nowhere = fixture.get("/api/nowhere").await;
    assert_eq!(
        (nowhere.status, nowhere.reason().as_str()),
        (404, "ROUTE_NOT_FOUND")
    );
    let wrong = fixture.send(Request::delete("/api/products/p-1"), "").await;
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
    let options = fixture
        .send(Request::options("/api/products/p-1"), "")
        .await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, "GET, HEAD, OPTIONS")
    );
}

#[tokio::test]
async fn every_response_has_an_id_and_guards() {
    let fixture = Fixture::new().await;
    let answer = fixture
        .send(
            Request::get("/api/nowhere").header("x-request-id", "mine-1"),
            "",
        )
        .await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(answer.json()["error"]["request_id"], "mine-1");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("traceparent").starts_with("00-"));
    assert!(!answer.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn bad_bodies_name_the_field() {
    let fixture = Fixture::new().await;
    let unknown = fixture
        .post(
            "/api/auth/login",
            &json!({"email": "a@b.c", "passwort": "x"}),
        )
        .await;
    assert_eq!(unknown.status, 400);
    assert_eq!(
        unknown.json()["error"]["details"]["violations"][0]["field"],
        "passwort"
    );
    let invalid = fixture
        .post("/api/auth/login", &json!({"email": "no", "password": "x"}))
        .await;
    assert_eq!(
        (invalid.status, invalid.reason().as_str()),
        (400, "INVALID_ARGUMENT")
    );
    assert_eq!(
        invalid.json()["error"]["details"]["violations"][0]["field"],
        "email"
    );
    let broken = fixture.send(json_post("/api/auth/login"), "{").await;
    assert_eq!(
        (broken.status, broken.reason().as_str()),
        (400, "INVALID_JSON")
    );
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(
        fixture
            .send(json_post("/api/auth/login"), deep)
            .await
            .status,
        400
    );
    let text = Request::post("/api/auth/login").header("content-type", "text/plain");
    assert_eq!(
        fixture.send(text, "{\"email\":\"a@b.c\"}").await.status,
        415
    );
    let packed = json_post("/api/auth/login").header("content-encoding", "gzip");
    assert_eq!(fixture.send(packed, "\u{1f}").await.status, 415);
    let page = fixture.get("/api/products?limit=-1").await;
    assert_eq!(page.status, 400);
    assert_eq!(fixture.get("/api/products?nonsense=1").await.status, 400);
    assert_eq!(fixture.calls("Login"), 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let fixture = Fixture::new().await;
    let body = format!("{{\"email\":\"{}\"}}", "a".repeat(2 * 1024 * 1024));
    let large = fixture.send(json_post("/api/auth/login"), body).await;
    assert_eq!(
        (large.status, large.reason().as_str()),
        (413, "PAYLOAD_TOO_LARGE")
    );
    let head = Request::get("/api/products").header("x-long", "a".repeat(17 * 1024));
    assert_eq!(fixture.send(head, "").await.status, 431);
    let target = format!("/api/products?search={}", "a".repeat(20 * 1024));
    assert_eq!(fixture.get(&target).await.status, 400);
    let target = format!("/api/products?search={}", "a".repeat(40 * 1024));
    assert_eq!(fixture.get(&target).await.status, 414);
}

#[tokio::test]
async fn errors_are_problem_details_on_request() {
    let fixture = Fixture::new().await;
    let request = Request::get("/api/nowhere").header("accept", "application/problem+json");
    let answer = fixture.send(request, "").await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["status"], 404);
}

#[tokio::test]
async fn roles_are_checked_before_anything_is_read() {
    let fixture = Fixture::new().await;
    let anonymous = fixture.send(json_post("/api/payments/refund"), "{").await;
    assert_eq!(
        (anonymous.status, anonymous.reason().as_str()),
        (401, "UNAUTHENTICATED")
    );
    assert!(anonymous.header("www-authenticate").starts_with("Bearer"));
    let customer = json_post("/api/payments/refund").header(
        "authorization",
        format!("Bearer {}", fixture.token("customer", "u-1")),
    );
    let refused = fixture.send(customer, "{").await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (403, "PERMISSION_DENIED")
    );
}

#[tokio::test]
async fn tokens_are_checked() {
    let fixture = Fixture::new().await;
    let me = |token: String| {
        Request::get("/api/users/me").header("authorization", format!("Bearer {token}"))
    };
    let good = fixture.token("customer", "u-1");
    assert_eq!(fixture.send(me(good.clone()), "").await.status, 200);
    let (context, headers) = fixture.last("GetMe");
    assert_eq!(context.principal().subject(), "u-1");
    assert!(!headers.contains_key("authorization"));

    let expired = fixture.token_with("customer", "u-1", |claims| {
        claims["exp"] = 1_700_000_000.into()
    });
    let answer = fixture.send(me(expired), "").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (401, "TOKEN_EXPIRED")
    );
    let mut forged = good.clone();
    forged.truncate(good.len() - 4);
    forged.push_str("AAAA");
    assert_eq!(fixture.send(me(forged.clone()), "").await.status, 401);
    assert_eq!(fixture.send(me("garbage".into()), "").await.status, 401);
    // Nor does a bad token pass where none is needed.
    let open =
        Request::get("/api/products/p-1").header("authorization", format!("Bearer {forged}"));
    assert_eq!(fixture.send(open, "").await.status, 401);

    fixture
        .hub
        .cache()
        .put("revoked-session:s-u-1", "1", Duration::from_secs(900))
        .await;
    let revoked = fixture.send(me(good), "").await;
    assert_eq!(
        (revoked.status, revoked.reason().as_str()),
        (401, "TOKEN_REVOKED")
    );
}

#[tokio::test]
async fn the_operator_is_an_administrator() {
    let fixture = Fixture::new().await;
    let token = fixture
        .hub
        .seal()
        .operator_token(fixture.clock.now())
        .unwrap();
    let me = || Request::get("/api/users/me").header("authorization", format!("Bearer {token}"));
    assert_eq!(fixture.send(me(), "").await.status, 200);
    assert_eq!(fixture.last("GetMe").0.principal().role_name(), "admin");
    fixture.advance(Duration::from_secs(120));
    assert_eq!(fixture.send(me(), "").await.status, 401);
}

#[tokio::test]
async fn budgets_run_out_on_every_face() {
    let fixture = Fixture::with(&[("rate_limits.anonymous", "2")]).await;
    let get = || Request::get("/api/products/p-1");
    let first = fixture.send_from(900, get(), "").await;
    assert_eq!(first.header("ratelimit-policy"), "\"anonymous\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"anonymous\";r=1;t=30");
    fixture.send_from(900, get(), "").await;
    let refused = fixture.send_from(900, get(), "").await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (429, "RATE_LIMITED")
    );
    assert_eq!(refused.header("retry-after"), "30");
    let grpc = Request::post("/hub.catalog.v1.CatalogService/GetProduct")
        .header("content-type", "application/grpc");
    let refused = fixture.send_from(900, grpc, crate::wire::frame(b"")).await;
    assert_eq!((refused.status, refused.header("grpc-status")), (200, "8"));
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(fixture.send_from(901, get(), "").await.status, 200);
}

#[tokio::test]
async fn identity_headers_of_clients_are_worth_nothing() {
    let fixture = Fixture::new().await;
    let request = Request::get("/api/users/me")
        .header("x-hub-principal", "admin")
        .header("x-user-role", "admin")
        .header("x-user-id", "u-1");
    assert_eq!(fixture.send(request, "").await.status, 401);
}

#[tokio::test]
async fn a_request_with_a_key_runs_once() {
    let fixture = Fixture::new().await;
    let token = fixture.token("customer", "u-1");
    let post = |key: &str| {
        json_post("/api/orders")
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", key)
    };
    let body = order().to_string();
    let first = fixture.send(post("k-1"), body.clone()).await;
    assert_eq!(first.status, 201, "{:?}", first.body);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let second = fixture.send(post("k-1"), body.clone()).await;
    assert_eq!(
        (second.status, second.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(first.body, second.body);
    assert_eq!(fixture.calls("CreateOrder"), 1);
    assert_eq!(fixture.last("CreateOrder").0.idempotency_key(), Some("k-1"));

    let mut other = order();
    other["shipping_method"] = "express".into();
    let reused = fixture.send(post("k-1"), other.to_string()).await;
    assert_eq!(
        (reused.status, reused.reason().as_str()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
    // Another caller's key is another key.
    let stranger = json_post("/api/orders")
        .header(
            "authorization",
            format!("Bearer {}", fixture.token("customer", "u-2")),
        )
        .header("idempotency-key", "k-1");
    assert_eq!(fixture.send(stranger, body.clone()).await.status, 201);
    assert_eq!(fixture.calls("CreateOrder"), 2);

    fixture.fail("CreateOrder", Failure::unavailable("down"));
    assert_eq!(fixture.send(post("k-2"), body.clone()).await.status, 503);
    fixture.script.lock().failures.clear();
    let again = fixture.send(post("k-2"), body.clone()).await;
    assert_eq!(
        (
            again.status,
            again.headers.contains_key("idempotent-replayed")
        ),
        (201, false)
    );

    fixture.fail(
        "CreateOrder",
        Failure::conflict(Reason::OutOfStock, "only 2 left"),
    );
    assert_eq!(fixture.send(post("k-3"), body.clone()).await.status, 409);
    fixture.script.lock().failures.clear();
    let refused = fixture.send(post("k-3"), body).await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (409, "OUT_OF_STOCK")
    );
    assert_eq!(refused.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let fixture = Fixture::with(&[("gateway.cors_origins", "[\"https://shop.example\"]")]).await;
    let preflight = |origin: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri("/api/cart/items")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
    };
    let good = fixture.send(preflight("https://shop.example"), "").await;
    assert_eq!(
        (good.status, good.header("access-control-allow-origin")),
        (204, "https://shop.example")
    );
    let bad = fixture.send(preflight("https://evil.example"), "").await;
    assert_eq!(bad.header("access-control-allow-origin"), "");
    let post = json_post("/api/cart/items").header("origin", "https://shop.example");
    let answer = fixture.send(post, cart_item().to_string()).await;
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("x-hub-guest-token")
    );
}

#[tokio::test]
async fn the_signature_of_a_webhook_reaches_the_service() {
    let fixture = Fixture::new().await;
    let request = json_post("/api/payments/webhook").header("stripe-signature", "t=1,v1=abc");
    assert_eq!(fixture.send(request, "{\"id\": 1}").await.status, 200);
    assert_eq!(
        fixture.last("HandleWebhook").1["stripe-signature"],
        "t=1,v1=abc"
    );
}

#[tokio::test]
async fn guessing_tokens_draws_from_the_budget_of_the_address() {
    let fixture = Fixture::with(&[("rate_limits.anonymous", "2")]).await;
    let guess = || Request::get("/api/users/me").header("authorization", "Bearer a.b.c");
    assert_eq!(fixture.send_from(900, guess(), "").await.status, 401);
    assert_eq!(fixture.send_from(900, guess(), "").await.status, 401);
    assert_eq!(fixture.send_from(900, guess(), "").await.status, 429);
}
