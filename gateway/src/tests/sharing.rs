//! Answers that are shared, and those that must not be.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::Request;
use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn anonymous_answers_are_shared_for_a_while() {
    let fixture = Fixture::new().await;
    let first = fixture.get("/api/products/p-1").await;
    assert_eq!(first.json()["name"], "call 1");
    assert_eq!(first.header("cache-control"), "public, max-age=600");
    let second = fixture.get("/api/products/p-1").await;
    assert_eq!(second.body, first.body);
    assert_eq!(fixture.calls("GetProduct"), 1);
    fixture.get("/api/products/p-2").await;
    assert_eq!(fixture.calls("GetProduct"), 2);
    fixture.advance(Duration::from_secs(11));
    assert_eq!(
        fixture.get("/api/products/p-1").await.json()["name"],
        "call 3"
    );
}

#[tokio::test]
async fn a_client_that_has_the_answer_is_not_sent_it_again() {
    let fixture = Fixture::new().await;
    let first = fixture.get("/api/products/p-1").await;
    let etag = first.header("etag").to_owned();
    let again = Request::get("/api/products/p-1").header("if-none-match", &etag);
    let again = fixture.send(again, "").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), etag);
}

#[tokio::test]
async fn answers_to_somebody_are_for_nobody_else() {
    let fixture = Fixture::new().await;
    let staff = fixture.token("staff", "s-1");
    let own =
        || Request::get("/api/products/p-1").header("authorization", format!("Bearer {staff}"));
    let first = fixture.send(own(), "").await;
    assert_eq!(first.header("cache-control"), "private, no-cache");
    assert!(first.header("vary").contains("authorization"));
    fixture.get("/api/products/p-1").await;
    fixture.send(own(), "").await;
    assert_eq!(fixture.calls("GetProduct"), 3);
}

#[tokio::test]
async fn staff_see_their_changes_and_so_does_everybody() {
    let fixture = Fixture::new().await;
    fixture.get("/api/products/p-1").await;
    let change = super::fixture::json_post("/api/staff/categories").header(
        "authorization",
        format!("Bearer {}", fixture.token("staff", "s-1")),
    );
    let body = json!({"slug": "toys", "name": "Toys"}).to_string();
    let answer = fixture.send(change, body).await;
    assert!(answer.status < 300, "{:?}", answer.body);
    fixture.get("/api/products/p-1").await;
    assert_eq!(fixture.calls("GetProduct"), 2);
}

#[tokio::test]
async fn errors_are_not_shared() {
    let fixture = Fixture::new().await;
    fixture.fail("GetProduct", mesh::Failure::not_found("product", "p-1"));
    let missing = fixture.get("/api/products/p-1").await;
    assert_eq!(
        (missing.status, missing.header("cache-control")),
        (404, "no-store")
    );
    fixture.script.lock().failures.clear();
    assert_eq!(fixture.get("/api/products/p-1").await.status, 200);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let fixture = Fixture::new().await;
    let get = fixture.get("/api/products/p-1").await;
    let head = fixture.send(Request::head("/api/products/p-1"), "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert_eq!(head.header("etag"), get.header("etag"));
}
