//! Bad input gets a clear answer that names the field.

use serde_json::{Value, json};
use system_tests::{Answer, Hub, HubOptions, order_body};

use crate::shared::{PRODUCT, api, fresh_email};

fn names(error: &Value, field: &str) -> bool {
    error["details"]["violations"]
        .as_array()
        .is_some_and(|violations| {
            violations
                .iter()
                .any(|violation| violation["field"] == field)
        })
}

#[tokio::test]
async fn numbers_out_of_range_name_their_field() {
    let shopper = api().await.guest().await;
    let product = shopper.product(PRODUCT).await;
    let body = json!({"product_id": product["product_id"], "quantity": -5});
    let error = shopper
        .post("/api/cart/items", body)
        .await
        .expect_error(400, "INVALID_REQUEST");
    assert!(names(&error, "quantity"), "{error}");

    for (path, field) in [
        ("/api/products?limit=-1", "limit"),
        ("/api/products?limit=1000", "limit"),
        ("/api/products?page=0", "page"),
        ("/api/products?limit=ten", "limit"),
        ("/api/products?filters=%7Bnot-json", "filters"),
        ("/api/products?nonsense=1", "nonsense"),
        ("/api/products?sort=colour", "sort"),
    ] {
        let error = api()
            .await
            .get(path)
            .await
            .expect_error(400, "INVALID_REQUEST");
        assert!(names(&error, field), "{path}: {error}");
    }
}

#[tokio::test]
async fn unknown_fields_and_broken_json_are_refused() {
    let shopper = api().await.guest().await;
    let body = json!({"product_id": PRODUCT, "quantty": 1});
    let error = shopper
        .post("/api/cart/items", body)
        .await
        .expect_error(400, "INVALID_REQUEST");
    assert!(names(&error, "quantty"), "{error}");

    let post = |body: String| {
        let request = shopper
            .request(reqwest::Method::POST, "/api/cart/items")
            .header("content-type", "application/json")
            .body(body);
        Answer::to(request)
    };
    post("{\"product_id\": ".to_owned())
        .await
        .expect_error(400, "INVALID_REQUEST");
    let deep = format!("{{\"product_id\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    post(deep).await.expect_error(400, "INVALID_REQUEST");
    let large = format!("{{\"product_id\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(post(large).await.status.as_u16(), 413);
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused_as_such() {
    let options = HubOptions::unlimited()
        .arg("up")
        .arg("--empty")
        .env("HUB__IDENTITY__ACCESS_MINUTES", "0")
        .env("HUB__AUTH__LEEWAY_SECONDS", "0");
    let hub = Hub::start_with(options).await.unwrap();
    let customer = hub.api().sign_up(&fresh_email()).await;
    let answer = customer.get("/api/users/me").await;
    assert!(answer.header("www-authenticate").contains("expired"));
    let error = answer.expect_error(401, "UNAUTHORIZED");
    assert_eq!(error["details"]["reason"], "TOKEN_EXPIRED");
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let shop = api().await;
    let customer = shop.demo("customer").await;
    let token = customer.token().unwrap();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{head}.{flipped}{}", &signature[1..]);
    // Somebody else's idea of an unsigned token.
    let unsigned =
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwicm9sZSI6ImFkbWluIiwiaXNzIjoiaHViIiwiYXVkIjoiaHViIn0.";
    for token in [forged.as_str(), unsigned, "no-token"] {
        let error = shop
            .with_token(token)
            .get("/api/users/me")
            .await
            .expect_error(401, "UNAUTHORIZED");
        assert!(error["message"].as_str().unwrap().len() > 5);
    }
}

#[tokio::test]
async fn a_logged_out_token_stops_working() {
    let customer = api().await.sign_up(&fresh_email()).await;
    customer.get("/api/users/me").await.expect(200);
    customer
        .post("/api/auth/logout", json!({}))
        .await
        .expect(204);
    customer
        .get("/api/users/me")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_second_use_ends_the_session() {
    let shop = api().await;
    let body =
        json!({"name": "Once Only", "email": fresh_email(), "password": "quiet-larch-hollow-7"});
    let session = shop.post("/api/auth/signup", body).await.expect(201);
    let first = json!({"refresh_token": session["refresh_token"]});
    let renewed = shop
        .post("/api/auth/refresh", first.clone())
        .await
        .expect(200);
    shop.post("/api/auth/refresh", first)
        .await
        .expect_error(401, "UNAUTHORIZED");
    // The thief and the owner look alike: both lose the session.
    let second = json!({"refresh_token": renewed["refresh_token"]});
    shop.post("/api/auth/refresh", second)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let owner = shop.with_token(renewed["access_token"].as_str().unwrap());
    owner
        .get("/api/users/me")
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn another_customers_order_looks_like_none() {
    let owner = api().await.sign_up(&fresh_email()).await;
    owner.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = owner
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let path = format!("/api/orders/{}", order["order_id"].as_str().unwrap());

    let stranger = api().await.sign_up(&fresh_email()).await;
    stranger
        .get(&path)
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    stranger
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    api()
        .await
        .get(&path)
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let email = "email=shopper@hub.test";
    assert_eq!(
        api()
            .await
            .get(&format!("{path}?{email}"))
            .await
            .expect(200)["order_id"],
        order["order_id"]
    );
    api()
        .await
        .get(&format!("{path}?email=other@hub.test"))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    api().await.demo("staff").await.get(&path).await.expect(200);
}

#[tokio::test]
async fn routes_that_do_not_exist_say_so() {
    let shop = api().await;
    shop.get("/api/nothing")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let wrong = shop.delete("/api/products").await;
    assert_eq!(wrong.status.as_u16(), 405);
    assert!(wrong.headers["allow"].to_str().unwrap().contains("GET"));
    shop.get("/api/products/no-such-product")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

#[tokio::test]
async fn an_empty_cart_and_a_card_number_cannot_be_ordered() {
    let shopper = api().await.guest().await;
    let empty = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await;
    assert!(empty.status.is_client_error(), "{}", empty.text);
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let number = shopper
        .post("/api/orders", order_body("4242424242424242"))
        .await;
    let error = number.expect_error(400, "INVALID_REQUEST");
    assert!(names(&error, "payment_method"), "{error}");
    let unsaid = json!({"shipping_address": system_tests::address(), "shipping_method": "teleport",
        "payment_method": "pm_card_visa", "email": "shopper@hub.test"});
    let error = shopper
        .post("/api/orders", unsaid)
        .await
        .expect_error(400, "INVALID_REQUEST");
    assert!(names(&error, "shipping_method"), "{error}");
}
