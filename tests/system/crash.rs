//! `kill -9` at a hundred random moments under checkout load.
//!
//! Each round lets shoppers order, kills the process at a random moment, starts it again, lets the
//! shoppers finish by repeating what failed with the same idempotency key, waits until every order has
//! ended, and checks what must never break: no unit sold twice or lost, no order charged twice or
//! charged without goods, one order per key.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Api, Hub, eventually, order_body};

use crate::shared::{PRODUCT, number};

const ROUNDS: u64 = 100;
const SHOPPERS: usize = 6;
/// States in which a saga has ended.
const ENDED: &[&str] = &["processing", "payment_failed", "out_of_stock", "cancelled"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_when_the_process_is_killed() {
    let mut hub = Hub::start().await.unwrap();
    let product = hub.api().product(PRODUCT).await;
    let shop = Shop::open(&hub, &product).await;
    let mut random = SmallRng::seed_from_u64(20_261_121);
    let mut orders: HashMap<String, Value> = HashMap::new();
    for round in 0..ROUNDS {
        let api = hub.api();
        let shoppers: Vec<_> = (0..SHOPPERS)
            .map(|shopper| tokio::spawn(shop_once(api.clone(), round, shopper)))
            .collect();
        let moment = Duration::from_micros(random.random_range(0..250_000));
        // Not a wait for something to happen: the moment of the crash is the test's input.
        tokio::time::sleep(moment).await;
        hub.crash_and_restart().await.unwrap();
        let mut fresh = Vec::new();
        for ended in join_all(shoppers).await {
            let order = ended.unwrap();
            let id = order["order_id"].as_str().unwrap().to_owned();
            fresh.push(id.clone());
            let before = orders.insert(id, order);
            assert!(before.is_none(), "two keys gave one order");
        }
        shop.check(&hub.api(), &orders, &fresh).await;
    }
}

/// Orders until it is done, whatever happens to the hub, and follows the order to its end.
async fn shop_once(api: Api, round: u64, shopper: usize) -> Value {
    let session = until_answered(&api, Method::POST, "/api/auth/guest", json!({}), None).await;
    let api = api.with_token(session["access_token"].as_str().unwrap());
    let key = format!("crash-{round}-{shopper}");
    let item = json!({"product_id": PRODUCT, "quantity": 1});
    until_answered(
        &api,
        Method::POST,
        "/api/cart/items",
        item,
        Some(&format!("{key}-add")),
    )
    .await;
    let method = match shopper {
        0 => "pm_card_chargeDeclined",
        _ => "pm_card_visa",
    };
    let order = until_answered(
        &api,
        Method::POST,
        "/api/orders",
        order_body(method),
        Some(&key),
    )
    .await;
    let path = format!("/api/orders/{}", order["order_id"].as_str().unwrap());
    if shopper == 1 {
        let cancel = format!("{path}/cancel");
        until_answered(
            &api,
            Method::POST,
            &cancel,
            json!({"reason": "crash test"}),
            None,
        )
        .await;
    }
    let end = eventually(&format!("{path} to end"), || async {
        let answer = api.request(Method::GET, &path).send().await.ok()?;
        let order: Value = answer.json().await.ok()?;
        ENDED.contains(&order["status"].as_str()?).then_some(order)
    })
    .await;
    // A shopper has one order, however often it was asked for.
    let mine = until_answered(&api, Method::GET, "/api/users/me/orders", Value::Null, None).await;
    assert_eq!(number(&mine["total"]), 1, "{mine}");
    end
}

/// Repeats a request until the hub has answered it with success.
async fn until_answered(
    api: &Api,
    method: Method,
    path: &str,
    body: Value,
    key: Option<&str>,
) -> Value {
    eventually(&format!("{method} {path}"), || async {
        let mut request = api.request(method.clone(), path);
        if !body.is_null() {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        // A claim that the crash left behind, a store that is opening: both pass.
        let passing = status.is_server_error() || status.as_u16() == 409;
        assert!(
            status.is_success() || passing,
            "{method} {path}: {status} {text}"
        );
        status
            .is_success()
            .then(|| serde_json::from_str(&text).unwrap_or(Value::Null))
    })
    .await
}

struct Shop {
    stock_path: String,
    units: i64,
}

impl Shop {
    async fn open(hub: &Hub, product: &Value) -> Self {
        let stock_path = format!(
            "/api/products/{}/inventory",
            product["product_id"].as_str().unwrap()
        );
        let variant = product["variants"][0]["variant_id"].as_str().unwrap();
        // Enough for every round.
        let staff = hub.api().demo("staff").await;
        let path = format!("/api/staff/inventory/{variant}/locations/dc-east");
        staff
            .put(&path, json!({"on_hand": 5_000, "reason": "crash test"}))
            .await
            .expect(200);
        let (available, reserved) = stock(&hub.api(), &stock_path).await;
        Self {
            stock_path,
            units: available + reserved,
        }
    }

    /// Waits until the stock agrees with the orders, then checks the money of each.
    async fn check(&self, api: &Api, orders: &HashMap<String, Value>, fresh: &[String]) {
        let packed = orders
            .values()
            .filter(|order| order["status"] == "processing")
            .count() as i64;
        eventually(
            "held units to equal units of orders being packed",
            || async {
                let (available, reserved) = stock(api, &self.stock_path).await;
                assert_eq!(
                    available + reserved,
                    self.units,
                    "units appeared or vanished"
                );
                (reserved == packed).then_some(())
            },
        )
        .await;
        let staff = api.demo("staff").await;
        for id in fresh {
            let order = &orders[id];
            let path = format!("/api/orders/{id}/payment");
            eventually(&format!("the money of {id} to be settled"), || async {
                let answer = staff.get(&path).await;
                is_settled(order, &answer.json).then_some(())
            })
            .await;
        }
    }
}

/// Whoever gets goods is charged the total once; whoever does not has all money back. A refund may
/// still be on its way, a wrong charge is never right.
fn is_settled(order: &Value, payment: &Value) -> bool {
    let total = &order["totals"]["total"]["amount"];
    if order["status"] == "processing" {
        assert_eq!(payment["status"], "succeeded", "{order} {payment}");
        assert_eq!(&payment["amount"]["amount"], total);
        assert_eq!(payment["refunded"]["amount"], "0.00");
        return true;
    }
    payment["status"] != "succeeded" && payment["status"] != "pending"
}

async fn stock(api: &Api, path: &str) -> (i64, i64) {
    let answer = api.get(path).await.expect(200);
    let variant = &answer["variants"][0];
    (number(&variant["available"]), number(&variant["reserved"]))
}
