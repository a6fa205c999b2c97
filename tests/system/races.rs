//! Many hands at once: one winner, one effect, nothing sold twice.

use std::collections::HashMap;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Api, Hub, eventually, order_body};

use crate::shared::{PRODUCT, api, fresh_email, number};

/// How a buyer's attempt ended.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Ended {
    Bought,
    ToldOutOfStock,
}

#[tokio::test]
async fn two_hundred_buyers_get_the_fifty_units_there_are() {
    let hub = Hub::start().await.unwrap();
    let shop = hub.api();
    let deal = shop.product("DEAL-SLED").await;
    let product_id = deal["product_id"].as_str().unwrap();

    let buyers = join_all((0..200).map(|_| shop.guest())).await;
    let ends = join_all(buyers.iter().map(buy_one_sled)).await;
    let mut count: HashMap<&Ended, usize> = HashMap::new();
    for (end, _) in &ends {
        *count.entry(end).or_default() += 1;
    }
    assert_eq!(count.get(&Ended::Bought), Some(&50), "{count:?}");
    assert_eq!(count.get(&Ended::ToldOutOfStock), Some(&150), "{count:?}");

    let stock = shop
        .get(&format!("/api/products/{product_id}/inventory"))
        .await
        .expect(200);
    assert_eq!(number(&stock["variants"][0]["available"]), 0, "{stock}");
    assert_eq!(number(&stock["variants"][0]["reserved"]), 50, "{stock}");

    // Nobody is charged without an order that is being packed.
    for (end, order) in &ends {
        if let Some(order) = order {
            let paid = order["payment_status"] == "paid";
            assert_eq!(paid, *end == Ended::Bought, "{order}");
        }
    }
}

async fn buy_one_sled(buyer: &Api) -> (Ended, Option<Value>) {
    let key = uuid::Uuid::from_u128(rand::random()).to_string();
    let item = json!({"product_id": "DEAL-SLED", "variant_id": "DEAL-SLED-50", "quantity": 1});
    let added = insist(buyer, "/api/cart/items", &format!("{key}-cart"), item).await;
    if added.status.as_u16() == 409 {
        return (told_out_of_stock(added), None);
    }
    added.expect(201);
    let ordered = insist(buyer, "/api/orders", &key, order_body("pm_card_visa")).await;
    if ordered.status.as_u16() == 409 {
        return (told_out_of_stock(ordered), None);
    }
    let order = ordered.expect(201);
    let id = order["order_id"].as_str().unwrap();
    let order = buyer
        .order_reaches(id, &["processing", "out_of_stock"])
        .await;
    let end = if order["status"] == "processing" {
        Ended::Bought
    } else {
        Ended::ToldOutOfStock
    };
    (end, Some(order))
}

/// Posts, and again with the same key while the answer is that the hub is too busy: what a rush may cost is time.
async fn insist(buyer: &Api, path: &str, key: &str, body: Value) -> Answer {
    eventually("an answer to a buyer", || async {
        let request = buyer.request(Method::POST, path);
        let request = request.header("idempotency-key", key).json(&body);
        let answer = Answer::to(request).await;
        let is_busy = answer.status == 503
            || answer.json["error"]["details"]["reason"] == "IDEMPOTENCY_IN_PROGRESS";
        (!is_busy).then_some(answer)
    })
    .await
}

fn told_out_of_stock(answer: Answer) -> Ended {
    let error = answer.expect_error(409, "CONFLICT");
    assert_eq!(error["details"]["reason"], "OUT_OF_STOCK", "{error}");
    Ended::ToldOutOfStock
}

#[tokio::test]
async fn thirty_parallel_adds_of_one_item_are_thirty_units() {
    let shopper = api().await.guest().await;
    let adds = join_all((0..30).map(|_| shopper.add_to_cart(PRODUCT, "", 1))).await;
    for add in adds {
        add.expect(201);
    }
    let cart = shopper.get("/api/cart").await.expect(200);
    assert_eq!(cart["items"].as_array().unwrap().len(), 1, "{cart}");
    assert_eq!(number(&cart["items"][0]["quantity"]), 30, "{cart}");
}

#[tokio::test]
async fn five_parallel_orders_of_one_cart_are_one_order() {
    let shopper = api().await.sign_up(&fresh_email()).await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let attempts =
        join_all((0..5).map(|_| shopper.post("/api/orders", order_body("pm_card_visa")))).await;
    let (placed, refused): (Vec<_>, Vec<_>) = attempts
        .into_iter()
        .partition(|attempt| attempt.status.is_success());
    assert_eq!(placed.len(), 1);
    for refusal in refused {
        refusal.expect_error(409, "CONFLICT");
    }
    let orders = shopper.get("/api/users/me/orders").await.expect(200);
    assert_eq!(number(&orders["total"]), 1, "{orders}");
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_order() {
    let shopper = api().await.sign_up(&fresh_email()).await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let key = uuid::Uuid::from_u128(rand::random()).to_string();
    let place = |body: Value| {
        let request = shopper
            .request(reqwest::Method::POST, "/api/orders")
            .header("idempotency-key", key.clone())
            .json(&body);
        Answer::to(request)
    };
    let first = place(order_body("pm_card_visa")).await.expect(201);
    let again = place(order_body("pm_card_visa")).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.expect(201)["order_id"], first["order_id"]);
    let other = place(order_body("pm_card_mastercard")).await;
    other.expect_error(422, "UNPROCESSABLE_ENTITY");
}

#[tokio::test]
async fn eight_parallel_refunds_are_one_refund() {
    let shopper = api().await.sign_up(&fresh_email()).await;
    let staff = api().await.demo("staff").await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let id = order["order_id"].as_str().unwrap();
    let order = shopper.order_reaches(id, &["processing"]).await;
    let intent = order["payment"]["payment_intent_id"].as_str().unwrap();

    let body = json!({"payment_intent_id": intent, "reason": "eight at once"});
    let attempts = join_all((0..8).map(|_| staff.post("/api/payments/refund", body.clone()))).await;
    let (given, refused): (Vec<_>, Vec<_>) = attempts
        .into_iter()
        .partition(|attempt| attempt.status.is_success());
    assert_eq!(given.len(), 1);
    for refund in given {
        assert_eq!(refund.json["amount"], order["totals"]["total"]);
    }
    for refusal in refused {
        refusal.expect_error(409, "CONFLICT");
    }
    let payment = shopper
        .get(&format!("/api/orders/{id}/payment"))
        .await
        .expect(200);
    assert_eq!(payment["refunded"], order["totals"]["total"], "{payment}");
    let refunded = shopper.order_reaches(id, &["refunded"]).await;
    assert_eq!(refunded["payment_status"], "refunded");
}

#[tokio::test]
async fn cancelling_before_shipping_gives_money_and_stock_back() {
    let hub = Hub::start().await.unwrap();
    let shopper = hub.api().sign_up(&fresh_email()).await;
    let product = shopper.product(PRODUCT).await;
    let stock_path = format!(
        "/api/products/{}/inventory",
        product["product_id"].as_str().unwrap()
    );
    let before = shopper.get(&stock_path).await.expect(200);
    shopper.add_to_cart(PRODUCT, "", 2).await.expect(201);
    let order = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let id = order["order_id"].as_str().unwrap();
    shopper.order_reaches(id, &["processing"]).await;

    let body = json!({"reason": "changed my mind"});
    let cancel = format!("/api/orders/{id}/cancel");
    let cancels = join_all((0..4).map(|_| shopper.post(&cancel, body.clone()))).await;
    for cancel in cancels {
        assert_eq!(cancel.expect(200)["status"], "cancelled");
    }
    let path = format!("/api/orders/{id}");
    system_tests::eventually("the refund", || async {
        let order = shopper.get(&path).await.expect(200);
        (order["payment_status"] == "refunded").then_some(())
    })
    .await;
    system_tests::eventually("the stock to be as before", || async {
        (shopper.get(&stock_path).await.expect(200) == before).then_some(())
    })
    .await;
}
