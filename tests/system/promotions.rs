//! Promo codes: what they take off, when they do not apply, and that one pricing rules everywhere.

use serde_json::{Value, json};
use system_tests::{Api, address, order_body};

use crate::shared::{PRODUCT, api, fresh_email, id};

async fn customer_with(quantity: i64) -> Api {
    let customer = api().await.sign_up(&fresh_email()).await;
    customer
        .add_to_cart(PRODUCT, "", quantity)
        .await
        .expect(201);
    customer
}

async fn apply(customer: &Api, code: &str) -> system_tests::Answer {
    customer
        .post("/api/checkout/promo", json!({"code": code}))
        .await
}

fn cents(money: &Value) -> i64 {
    id(money, "amount").replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn a_code_on_the_cart_is_priced_the_same_until_the_order() {
    let customer = customer_with(2).await;
    // Case does not matter.
    let applied = apply(&customer, "welcome10").await.expect(200);
    assert_eq!(applied["code"], "WELCOME10");
    assert_eq!(
        applied["discount"],
        json!({"amount": "14.90", "currency": "USD"})
    );
    assert_eq!(
        customer.get("/api/cart").await.expect(200)["promo_code"],
        "WELCOME10"
    );

    let check = json!({"shipping_address": address(), "shipping_method": "standard"});
    let validation = customer
        .post("/api/checkout/validate", check)
        .await
        .expect(200);
    assert_eq!(validation["valid"], true, "{validation}");
    let totals = &validation["totals"];
    assert_eq!(totals["subtotal"]["amount"], "149.00");
    assert_eq!(totals["discount"]["amount"], "14.90");
    let sum = cents(&totals["subtotal"]) - cents(&totals["discount"])
        + cents(&totals["shipping"])
        + cents(&totals["tax"]);
    assert_eq!(sum, cents(&totals["total"]), "{totals}");
    // 134.10 at 8.25 %.
    assert_eq!(totals["tax"]["amount"], "11.06");

    let order = customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    assert_eq!(&order["totals"], totals);
    assert_eq!(order["promo_code"], "WELCOME10");
    customer
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await;

    // Once per customer.
    customer.add_to_cart(PRODUCT, "", 2).await.expect(201);
    let error = apply(&customer, "WELCOME10")
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
    assert_eq!(error["details"]["reason"], "PROMO_INVALID");
    let mut body = order_body("pm_card_visa");
    body["promo_code"] = json!("WELCOME10");
    customer
        .post("/api/orders", body)
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
}

#[tokio::test]
async fn codes_that_do_not_apply_say_why() {
    let customer = customer_with(1).await;
    for code in ["EXPIRED23", "EARLYBIRD99", "CABIN50"] {
        let error = apply(&customer, code)
            .await
            .expect_error(422, "UNPROCESSABLE_ENTITY");
        assert_eq!(error["details"]["reason"], "PROMO_INVALID", "{code}");
        let mut body = order_body("pm_card_visa");
        body["promo_code"] = json!(code);
        customer
            .post("/api/orders", body)
            .await
            .expect_error(422, "UNPROCESSABLE_ENTITY");
    }
    apply(&customer, "NO-SUCH-CODE")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let mut body = order_body("pm_card_visa");
    body["promo_code"] = json!("NO-SUCH-CODE");
    let refused = customer.post("/api/orders", body).await;
    assert!(
        matches!(refused.status.as_u16(), 404 | 422),
        "{}",
        refused.text
    );
    // None of the attempts used the cart up.
    customer
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_failed_payment_gives_the_code_back() {
    let customer = customer_with(1).await;
    apply(&customer, "WELCOME10").await.expect(200);
    let declined = customer
        .post("/api/orders", order_body("pm_card_chargeDeclined"))
        .await
        .expect(201);
    customer
        .order_reaches(id(&declined, "order_id"), &["payment_failed"])
        .await;
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let mut body = order_body("pm_card_visa");
    body["promo_code"] = json!("WELCOME10");
    let order = system_tests::eventually("the code to be free again", || async {
        let answer = customer.post("/api/orders", body.clone()).await;
        answer.status.is_success().then_some(answer.json)
    })
    .await;
    assert_eq!(order["promo_code"], "WELCOME10");
}

#[tokio::test]
async fn shipping_can_be_free_and_faster_costs_more() {
    let customer = customer_with(1).await;
    let mut shipping = Vec::new();
    for method in ["standard", "express", "overnight"] {
        let check = json!({"shipping_address": address(), "shipping_method": method});
        let validation = customer
            .post("/api/checkout/validate", check)
            .await
            .expect(200);
        let options = validation["shipping_options"].as_array().unwrap();
        let option = options
            .iter()
            .find(|option| option["method"] == method)
            .unwrap();
        assert_eq!(option["rate"], validation["totals"]["shipping"]);
        shipping.push(cents(&validation["totals"]["shipping"]));
    }
    assert!(
        shipping.is_sorted() && shipping[0] < shipping[2],
        "{shipping:?}"
    );
    let check = json!({"shipping_address": address(), "shipping_method": "overnight", "promo_code": "FREESHIP"});
    let free = customer
        .post("/api/checkout/validate", check)
        .await
        .expect(200);
    let totals = &free["totals"];
    let paid = cents(&totals["shipping"]) - cents(&totals["discount"]);
    assert_eq!(paid, 0, "{totals}");
}

#[tokio::test]
async fn a_checkout_that_cannot_succeed_says_what_stands_in_the_way() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let check = json!({"shipping_address": address()});
    let empty = customer
        .post("/api/checkout/validate", check.clone())
        .await
        .expect(200);
    assert_eq!(empty["valid"], false);
    assert_eq!(empty["errors"][0]["code"], "cart_empty", "{empty}");
    customer.add_to_cart("BRUSH-DRY", "", 999).await;
    let scarce = customer
        .post("/api/checkout/validate", check)
        .await
        .expect(200);
    assert_eq!(scarce["valid"], false, "{scarce}");

    let address = json!({"name": "", "line1": "1 Street", "city": "Denver", "state": "CO",
        "postal_code": "80202", "country": "US"});
    let checked = api()
        .await
        .post("/api/addresses/validate", address)
        .await
        .expect(200);
    assert_eq!(checked["valid"], false);
    assert_eq!(checked["errors"][0]["subject"], "name", "{checked}");
}
