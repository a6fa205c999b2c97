//! Shoppers who buy one unit and do not give up, and what must hold for all of them together.
//!
//! No unit is sold twice or lost, no order is charged twice or charged without goods, and a key gives one
//! order: whatever happened meanwhile to the hub.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::{Api, Hub, eventually, order_body};

use crate::shared::{PRODUCT, number};

/// States in which a saga has ended.
pub const ENDED: &[&str] = &["processing", "payment_failed", "out_of_stock", "cancelled"];

/// What shoppers were told while they insisted, by kind.
#[derive(Clone, Debug, Default)]
pub struct Complaints(Arc<Mutex<BTreeMap<String, u64>>>);

impl Complaints {
    fn note(&self, kind: impl Into<String>) {
        *self.0.lock().entry(kind.into()).or_default() += 1;
    }

    /// How often each kind was heard.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().clone()
    }
}

/// How a shopper differs from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Pays.
    Pays,
    /// Has a card that is declined.
    Declined,
    /// Changes its mind right after ordering.
    Cancels,
}

impl Habit {
    /// One of six has no money and one changes its mind.
    pub fn of(shopper: usize) -> Self {
        match shopper % 6 {
            0 => Self::Declined,
            1 => Self::Cancels,
            _ => Self::Pays,
        }
    }
}

/// Orders until it is done, whatever happens to the hub, and follows the order to its end. `key` is the
/// shopper's own.
pub async fn shop_once(api: Api, key: &str, habit: Habit, complaints: &Complaints) -> Value {
    let insist = |api: Api, method: Method, path: String, body: Value, key: Option<String>| {
        let complaints = complaints.clone();
        async move { until_answered(&api, method, &path, body, key.as_deref(), &complaints).await }
    };
    let session = insist(
        api.clone(),
        Method::POST,
        "/api/auth/guest".into(),
        json!({}),
        None,
    )
    .await;
    let api = api.with_token(session["access_token"].as_str().unwrap());
    let item = json!({"product_id": PRODUCT, "quantity": 1});
    let add = Some(format!("{key}-add"));
    insist(
        api.clone(),
        Method::POST,
        "/api/cart/items".into(),
        item,
        add,
    )
    .await;
    let method = match habit {
        Habit::Declined => "pm_card_chargeDeclined",
        Habit::Pays | Habit::Cancels => "pm_card_visa",
    };
    let body = order_body(method);
    let order = insist(
        api.clone(),
        Method::POST,
        "/api/orders".into(),
        body,
        Some(key.to_owned()),
    )
    .await;
    let path = format!("/api/orders/{}", order["order_id"].as_str().unwrap());
    if habit == Habit::Cancels {
        let reason = json!({"reason": "changed my mind"});
        let cancel = format!("{path}/cancel");
        insist(api.clone(), Method::POST, cancel, reason, None).await;
    }
    let end = eventually(&format!("{path} to end"), || async {
        let answer = api.request(Method::GET, &path).send().await.ok()?;
        let order: Value = answer.json().await.ok()?;
        ENDED.contains(&order["status"].as_str()?).then_some(order)
    })
    .await;
    // A shopper has one order, however often it was asked for.
    let orders = "/api/users/me/orders".into();
    let mine = insist(api, Method::GET, orders, Value::Null, None).await;
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
    complaints: &Complaints,
) -> Value {
    eventually(&format!("{method} {path}"), || async {
        let mut request = api.request(method.clone(), path);
        if !body.is_null() {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let Ok(answer) = request.send().await else {
            complaints.note("no connection");
            return None;
        };
        let status = answer.status();
        let patience = answer.headers().contains_key("retry-after");
        let Ok(text) = answer.text().await else {
            complaints.note("broken off");
            return None;
        };
        if status.is_success() {
            return Some(serde_json::from_str(&text).unwrap_or(Value::Null));
        }
        // A claim that a crash left behind, a part that is away, a deadline that has passed: all pass.
        let passing = matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT | StatusCode::GATEWAY_TIMEOUT
        );
        assert!(passing, "{method} {path}: {status} {text}");
        assert!(
            patience || status != StatusCode::SERVICE_UNAVAILABLE,
            "503 without Retry-After: {text}"
        );
        complaints.note(status.as_u16().to_string());
        None
    })
    .await
}

/// The stock of the product that shoppers buy.
pub struct Shop {
    stock_path: String,
    units: i64,
}

impl Shop {
    /// Puts `units` of the product on stock.
    pub async fn open(hub: &Hub, units: i64) -> Self {
        let product = hub.api().product(PRODUCT).await;
        let stock_path = format!(
            "/api/products/{}/inventory",
            product["product_id"].as_str().unwrap()
        );
        let variant = product["variants"][0]["variant_id"].as_str().unwrap();
        let staff = hub.api().demo("staff").await;
        let path = format!("/api/staff/inventory/{variant}/locations/dc-east");
        staff
            .put(&path, json!({"on_hand": units, "reason": "test"}))
            .await
            .expect(200);
        let (available, reserved) = stock(&hub.api(), &stock_path).await;
        Self {
            stock_path,
            units: available + reserved,
        }
    }

    /// Waits until the stock agrees with all `orders` ever made, then checks the money of those that are
    /// `fresh`.
    pub async fn check(&self, api: &Api, orders: &HashMap<String, Value>, fresh: &[String]) {
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
