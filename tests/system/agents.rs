//! Agents: each answers from data in one form, says why, and keeps to the caller's rights.

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{address, order_body};

use crate::shared::{PRODUCT, api, fresh_email, id};

/// Checks what every agent says about its answer.
#[track_caller]
fn assert_explained(answer: &Value, agent: &str) {
    assert_eq!(answer["agent"], agent, "{answer}");
    assert!(answer["result"].is_object(), "{answer}");
    assert!(!id(answer, "summary").is_empty(), "{answer}");
    let notes = &answer["notes"];
    assert!(id(notes, "algorithm").contains('@'), "{notes}");
    assert!(
        !notes["explanation"].as_array().unwrap().is_empty(),
        "{notes}"
    );
    assert!(
        !notes["data_sources"].as_array().unwrap().is_empty(),
        "{notes}"
    );
    assert!(!id(notes, "trace_id").is_empty(), "{notes}");
}

#[tokio::test]
async fn five_agents_answer_in_one_form() {
    let shop = api().await;
    let customer = shop.sign_up(&fresh_email()).await;
    let staff = shop.demo("staff").await;
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    customer
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await;
    let variant = shop.product(PRODUCT).await["variants"][0]["variant_id"].clone();

    let listed = shop.get("/api/agents").await.expect(200);
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| id(agent, "name"))
        .collect();
    for (agent, caller, input) in [
        ("ecommerce-catalog-search", &shop, json!({"query": "sled"})),
        (
            "inventory-reservation-validation",
            &customer,
            json!({"lines": [{"variant_id": variant, "quantity": 2}]}),
        ),
        (
            "logistics-carrier-selection",
            &staff,
            json!({"destination": address(), "weight_grams": 1800, "shipping_method": "express"}),
        ),
        (
            "logistics-eta-computation",
            &shop,
            json!({"destination": address(), "shipping_method": "standard"}),
        ),
        (
            "ecommerce-order-status",
            &customer,
            json!({"order_id": order["order_id"]}),
        ),
    ] {
        assert!(names.contains(&agent), "{agent} is not in {names:?}");
        let path = format!("/api/agents/{agent}/invoke");
        let answer = caller
            .post(&path, json!({"input": input, "session_id": "s-1"}))
            .await
            .expect(200);
        assert_explained(&answer, agent);
        assert_eq!(answer["session_id"], "s-1");
    }
}

#[tokio::test]
async fn an_agent_keeps_to_the_rights_of_its_caller() {
    let shop = api().await;
    let owner = shop.sign_up(&fresh_email()).await;
    owner.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = owner
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let body = json!({"input": {"order_id": order["order_id"]}});
    let path = "/api/agents/ecommerce-order-status/invoke";
    let stranger = shop.sign_up(&fresh_email()).await;
    stranger
        .post(path, body.clone())
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    shop.post(path, body)
        .await
        .expect_error(401, "UNAUTHORIZED");

    let parcel = json!({"input": {"destination": address(), "weight_grams": 500, "shipping_method": "standard"}});
    let path = "/api/agents/logistics-carrier-selection/invoke";
    stranger
        .post(path, parcel)
        .await
        .expect_error(403, "FORBIDDEN");
    let unknown = shop
        .post("/api/agents/no-such-agent/invoke", json!({}))
        .await;
    unknown.expect_error(404, "RESOURCE_NOT_FOUND");
    let wrong = json!({"input": {"qery": "sled"}});
    shop.post("/api/agents/catalog-search/invoke", wrong)
        .await
        .expect_error(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn typed_operations_have_routes_of_their_own() {
    let shop = api().await;
    let staff = shop.demo("staff").await;
    for path in ["/api/agents/catalog-search/search", "/catalog/search"] {
        let found = shop
            .post(
                path,
                json!({"query": "sled under $50", "with_facets": true}),
            )
            .await
            .expect(200);
        assert!(
            !found["result"]["hits"].as_array().unwrap().is_empty(),
            "{found}"
        );
        assert!(
            !found["result"]["facets"].as_array().unwrap().is_empty(),
            "{found}"
        );
    }
    let parcel =
        json!({"destination": address(), "weight_grams": 1800, "shipping_method": "standard"});
    let choice = staff
        .post("/logistics/carrier/select", parcel)
        .await
        .expect(200);
    assert_eq!(choice["result"]["feasible"], true, "{choice}");
    assert!(
        choice["result"]["options"].as_array().unwrap().len() > 1,
        "{choice}"
    );
    let eta = json!({"destination": address(), "shipping_method": "overnight"});
    let eta = shop.post("/logistics/eta", eta).await.expect(200);
    let result = &eta["result"];
    assert!(id(result, "earliest") <= id(result, "median"), "{eta}");
    assert!(id(result, "median") <= id(result, "latest"), "{eta}");
    let variant = shop.product("BRUSH-DRY").await["variants"][0]["variant_id"].clone();
    let lines = json!({"lines": [{"variant_id": variant, "quantity": 500}]});
    let guest = shop.guest().await;
    let refused = guest
        .post("/inventory/reservations/validate", lines)
        .await
        .expect(200);
    assert_eq!(refused["result"]["approved"], false, "{refused}");
}

#[tokio::test]
async fn an_answer_comes_in_pieces_when_asked_so() {
    let body = json!({"messages": [{"role": "user", "content": "a sled for two"}]});
    let request = api()
        .await
        .request(Method::POST, "/api/agents/catalog-search/invoke/stream");
    let response = request
        .header("accept", "application/x-ndjson")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let chunks: Vec<_> = response.bytes_stream().collect().await;
    let bytes: Vec<u8> = chunks
        .into_iter()
        .flat_map(|chunk| chunk.unwrap().to_vec())
        .collect();
    let text = String::from_utf8(bytes).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| id(&serde_json::from_str(line).unwrap(), "event").to_owned())
        .collect();
    assert_eq!(kinds, ["result", "notes", "done"], "{text}");
}
