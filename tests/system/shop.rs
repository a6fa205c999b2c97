//! A shopper's way from the first look to an order that is being packed.

use serde_json::json;
use system_tests::{address, order_body};

use crate::shared::{PRODUCT, api, fresh_email, number};

#[tokio::test]
async fn a_customer_signs_up_searches_with_a_typo_and_orders() {
    let anonymous = api().await;
    let customer = anonymous.sign_up(&fresh_email()).await;

    let found = anonymous
        .get("/api/products/search?q=snwboard")
        .await
        .expect(200);
    assert!(number(&found["total"]) > 0, "{found}");

    let added = customer.add_to_cart(PRODUCT, "", 2).await;
    let cart = added.expect(201);
    assert_eq!(number(&cart["items"][0]["quantity"]), 2, "{cart}");

    let check = json!({"shipping_address": address(), "shipping_method": "standard"});
    let validation = customer
        .post("/api/checkout/validate", check)
        .await
        .expect(200);
    assert_eq!(validation["valid"], true, "{validation}");

    let order = customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    assert_eq!(order["status"], "pending", "{order}");
    assert_eq!(order["totals"], validation["totals"]);
    let id = order["order_id"].as_str().unwrap();
    let packed = customer.order_reaches(id, &["processing"]).await;
    assert_eq!(packed["payment_status"], "paid");
    assert_eq!(packed["payment"]["last4"], "4242");
    assert!(
        packed["shipping"]["tracking_number"]
            .as_str()
            .unwrap()
            .len()
            > 5
    );
}

#[tokio::test]
async fn a_guest_orders() {
    let guest = api().await.guest().await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = guest
        .post("/api/orders", order_body("pm_card_mastercard"))
        .await
        .expect(201);
    let id = order["order_id"].as_str().unwrap();
    guest.order_reaches(id, &["processing"]).await;
    let empty = guest.get("/api/cart").await.expect(200);
    assert_eq!(empty["items"], json!([]));
}

#[tokio::test]
async fn a_declined_card_ends_the_order_and_frees_the_stock() {
    let guest = api().await.guest().await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let body = order_body("pm_card_chargeDeclinedInsufficientFunds");
    let order = guest.post("/api/orders", body).await.expect(201);
    let id = order["order_id"].as_str().unwrap();
    let ended = guest.order_reaches(id, &["payment_failed"]).await;
    assert_eq!(ended["payment_status"], "failed");
}
