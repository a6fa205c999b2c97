//! After payment: shipments that move, orders that follow, and the stream that tells of it.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Api, eventually, order_body};

use crate::shared::{PRODUCT, api, fresh_email, id};

async fn packed_order(customer: &Api) -> Value {
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    customer
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await
}

#[tokio::test]
async fn an_order_follows_its_shipment_to_the_door() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let staff = api().await.demo("staff").await;
    let order = packed_order(&customer).await;
    let order_id = id(&order, "order_id");
    let shipment_id = id(&order["shipping"], "shipment_id");
    let path = format!("/api/staff/shipments/{shipment_id}");
    let shipment = staff.get(&path).await.expect(200);
    assert_eq!(shipment["order_id"], order["order_id"]);
    assert_eq!(shipment["status"], "label_created", "{shipment}");
    assert_eq!(
        shipment["tracking_number"],
        order["shipping"]["tracking_number"]
    );
    assert!(!id(&shipment, "selection_reason").is_empty());

    // Parcels do not go backwards or skip the pick-up.
    let early = staff
        .put(
            &format!("{path}/status"),
            json!({"new_status": "delivered"}),
        )
        .await;
    early.expect_error(409, "CONFLICT");
    for (status, follows) in [
        ("picked_up", "shipped"),
        ("in_transit", "shipped"),
        ("out_for_delivery", "shipped"),
        ("delivered", "delivered"),
    ] {
        let scan = json!({"new_status": status, "location": "Denver, CO"});
        let moved = staff.put(&format!("{path}/status"), scan).await.expect(200);
        assert_eq!(moved["status"], status);
        customer
            .order_reaches(order_id, &[follows, "completed"])
            .await;
    }
    let back = staff
        .put(
            &format!("{path}/status"),
            json!({"new_status": "in_transit"}),
        )
        .await;
    back.expect_error(409, "CONFLICT");
    let late = customer
        .post(&format!("/api/orders/{order_id}/cancel"), json!({}))
        .await;
    late.expect_error(409, "CONFLICT");

    let held = format!("/api/staff/orders/{order_id}/reservations");
    eventually("the units to have left the shelf", || async {
        let held = staff.get(&held).await.expect(200);
        (held["items"][0]["status"] == "consumed").then_some(())
    })
    .await;
    let tracking = customer
        .get(&format!("/api/orders/{order_id}/tracking"))
        .await
        .expect(200);
    let types: Vec<&str> = tracking["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| id(event, "event_type"))
        .collect();
    assert_eq!(types.first(), Some(&"OrderCreated"), "{types:?}");
    assert!(types.contains(&"ShipmentScheduled"), "{types:?}");
    assert!(!id(&tracking, "summary").is_empty(), "{tracking}");
    let listed = staff
        .get("/api/staff/shipments?limit=100")
        .await
        .expect(200);
    let all = listed["items"].as_array().unwrap();
    assert!(
        all.iter()
            .any(|listed| listed["shipment_id"] == shipment_id),
        "{shipment_id}"
    );
}

#[tokio::test]
async fn events_of_an_order_arrive_as_they_happen_in_either_format() {
    let customer = api().await.sign_up(&fresh_email()).await;
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let path = format!("/api/orders/{}/events", id(&order, "order_id"));

    let lines = until_processing(&customer, &path, "application/x-ndjson", None).await;
    let events: Vec<Value> = lines
        .lines()
        .filter(|line| !line.is_empty())
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(events[0]["event_type"], "OrderCreated", "{lines}");
    for event in &events {
        for member in ["event_id", "event_type", "timestamp", "status", "message"] {
            assert!(event[member].is_string(), "no {member} in {event}");
        }
    }
    let text = until_processing(&customer, &path, "text/event-stream", None).await;
    assert!(text.contains("event: OrderCreated\n"), "{text}");
    assert!(text.contains("data: {"), "{text}");

    // Whoever lost the connection goes on after what it has seen.
    let first = id(&events[0], "event_id");
    assert!(text.contains(&format!("id: {first}\n")), "{text}");
    let rest = until_processing(&customer, &path, "text/event-stream", Some(first)).await;
    assert!(!rest.contains("event: OrderCreated\n"), "{rest}");

    let stranger = api().await.sign_up(&fresh_email()).await;
    stranger
        .get(&path)
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

/// Reads the stream until it tells of `processing`.
async fn until_processing(customer: &Api, path: &str, accept: &str, last: Option<&str>) -> String {
    let mut request = customer.request(Method::GET, path).header("accept", accept);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with(accept)
    );
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    let read = async {
        while let Some(chunk) = chunks.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            if text.contains("\"processing\"") && text.ends_with('\n') {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read)
        .await
        .unwrap();
    assert!(text.contains("\"processing\""), "{text}");
    text
}

#[tokio::test]
async fn customers_see_their_orders_and_staff_see_all() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let first = packed_order(&customer).await;
    let second = packed_order(&customer).await;
    let mine = customer
        .get("/api/users/me/orders?limit=1")
        .await
        .expect(200);
    assert_eq!(
        mine["items"][0]["order_id"], second["order_id"],
        "newest first"
    );
    let token = id(&mine, "next_page_token");
    let next = customer
        .get(&format!("/api/users/me/orders?limit=1&page_token={token}"))
        .await
        .expect(200);
    assert_eq!(next["items"][0]["order_id"], first["order_id"]);
    assert_eq!(next["next_page_token"], "");
    let none = customer
        .get("/api/users/me/orders?status=cancelled")
        .await
        .expect(200);
    assert_eq!(none["items"], json!([]));

    customer
        .get("/api/staff/orders")
        .await
        .expect_error(403, "FORBIDDEN");
    let staff = api().await.demo("staff").await;
    let path = format!(
        "/api/staff/orders?user_id={}&status=processing",
        id(&first, "user_id")
    );
    let all = staff.get(&path).await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    let by_patch = customer.request(
        Method::PATCH,
        &format!("/api/orders/{}/cancel", id(&second, "order_id")),
    );
    let cancelled = Answer::to(by_patch.json(&json!({"reason": "two were too many"})))
        .await
        .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
}

#[tokio::test]
async fn carriers_have_rate_cards() {
    let carriers = api()
        .await
        .demo("staff")
        .await
        .get("/api/staff/carriers")
        .await
        .expect(200);
    let carriers = carriers.as_array().unwrap();
    assert!(carriers.len() >= 2);
    for carrier in carriers {
        assert!(
            !carrier["services"][0]["zones"]
                .as_array()
                .unwrap()
                .is_empty(),
            "{carrier}"
        );
    }
}
