//! Server streams over HTTP.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use contracts::hub::orders::v1::StreamOrderEventsRequest;
use http::Request;
use http_body_util::BodyExt;
use mesh::Failure;
use prost::Message;

use super::fixture::Fixture;

const EVENTS: &str = "/api/orders/0190b0f2-7e2b-7c3a-8000-000000000001/events";

#[tokio::test]
async fn the_client_chooses_the_form() {
    let fixture = Fixture::new().await;
    let array = fixture.get(EVENTS).await;
    assert_eq!(
        (array.status, array.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(array.json()[1]["event_id"], "e-2");
    let lines = fixture
        .send(
            Request::get(EVENTS).header("accept", "application/x-ndjson"),
            "",
        )
        .await;
    assert_eq!(String::from_utf8_lossy(&lines.body).lines().count(), 2);
    let events = fixture
        .send(
            Request::get(EVENTS).header("accept", "text/event-stream"),
            "",
        )
        .await;
    let text = String::from_utf8_lossy(&events.body);
    assert!(
        text.contains("id: e-1\nevent: OrderCreated\ndata: {\"event_id\":\"e-1\""),
        "{text}"
    );
    assert_eq!(events.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event() {
    let request = StreamOrderEventsRequest::default();
    let field = crate::routes::tests::routes()
        .get("/hub.orders.v1.OrderService/StreamOrderEvents")
        .unwrap()
        .resumes_after
        .unwrap();
    let filled = crate::wire::with_text_field(&request.encode_to_vec(), field, "e-1");
    assert_eq!(
        StreamOrderEventsRequest::decode(filled)
            .unwrap()
            .after_event_id,
        "e-1"
    );
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_an_error() {
    let fixture = Fixture::new().await;
    fixture.fail("StreamOrderEvents", Failure::not_found("order", "o-1"));
    let missing = fixture
        .send(
            Request::get(EVENTS).header("accept", "text/event-stream"),
            "",
        )
        .await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (404, "application/json")
    );
}

#[tokio::test]
async fn messages_are_sent_when_they_come() {
    let fixture = Fixture::new().await;
    let request = Request::get(EVENTS).header("accept", "text/event-stream");
    let mut body = fixture.open(1, request, "").await.into_body();
    let mut seen = String::new();
    while !seen.contains("e-1") {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
}

#[tokio::test]
async fn streams_end_when_the_hub_stops() {
    let fixture = Fixture::new().await;
    let begun = |accept| fixture.open(1, Request::get(EVENTS).header("accept", accept), "");
    let events = begun("text/event-stream").await.into_body();
    let lines = begun("application/x-ndjson").await.into_body();
    fixture.hub.shutdown_token().cancel();
    let events = events.collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&events).contains("event: error"));
    let lines = lines.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&lines).contains("SERVICE_UNAVAILABLE"));
    let late = fixture.get(EVENTS).await;
    assert_eq!((late.status, late.header("retry-after")), (503, "1"));
}
