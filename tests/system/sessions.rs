//! Sessions of browsers: cookies, proof against forged requests, and the cart that survives a login.

use std::collections::HashMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use system_tests::{Answer, Api};

use crate::shared::{PRODUCT, api, fresh_email, id, number};

/// What a browser knows: cookies, and the one that its scripts can read.
struct Browser {
    api: Api,
    cookies: HashMap<String, String>,
}

impl Browser {
    async fn open() -> Self {
        Self {
            api: api().await,
            cookies: HashMap::new(),
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = if cookies.is_empty() {
            request
        } else {
            request.header("cookie", cookies.join("; "))
        };
        let answer = Answer::to(request).await;
        self.cookies.extend(answer.cookies());
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = self.api.request(Method::GET, path);
        self.send(request).await
    }

    /// As a script of the shop's own pages posts.
    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let mut request = self.api.request(Method::POST, path).json(&body);
        if let Some(token) = self.cookies.get("hub_csrf") {
            request = request.header("x-csrf-token", token);
        }
        self.send(request).await
    }

    /// As a form on somebody else's page posts.
    async fn post_from_elsewhere(&mut self, path: &str, body: Value) -> Answer {
        let request = self.api.request(Method::POST, path).json(&body);
        self.send(request).await
    }
}

fn one_product() -> Value {
    json!({"product_id": PRODUCT, "quantity": 1})
}

#[tokio::test]
async fn a_first_visit_fills_a_cart_without_signing_in() {
    let mut browser = Browser::open().await;
    let added = browser.post("/api/cart/items", one_product()).await;
    assert!(added.headers.contains_key("x-hub-guest-token"));
    let flags: Vec<String> = added
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect();
    for cookie in &flags {
        assert!(
            cookie.contains("Secure") && cookie.contains("SameSite=Strict"),
            "{cookie}"
        );
        let scripts_read_it = cookie.starts_with("hub_csrf=");
        assert_eq!(cookie.contains("HttpOnly"), !scripts_read_it, "{cookie}");
    }
    added.expect(201);
    let cart = browser.get("/api/cart").await.expect(200);
    assert_eq!(number(&cart["items"][0]["quantity"]), 1, "{cart}");

    let forged = browser
        .post_from_elsewhere("/api/cart/items", one_product())
        .await;
    let error = forged.expect_error(403, "FORBIDDEN");
    assert_eq!(error["details"]["reason"], "CSRF_REJECTED");
    browser
        .post("/api/cart/items", one_product())
        .await
        .expect(201);
    let cart = browser.get("/api/cart").await.expect(200);
    assert_eq!(number(&cart["items"][0]["quantity"]), 2, "{cart}");
}

#[tokio::test]
async fn a_browser_renews_its_session_from_its_cookie() {
    let mut browser = Browser::open().await;
    let body =
        json!({"name": "Browser", "email": fresh_email(), "password": "quiet-larch-hollow-7"});
    browser.post("/api/auth/signup", body).await.expect(201);
    let before = browser.cookies.clone();
    browser.get("/api/users/me").await.expect(200);

    browser
        .post_from_elsewhere("/api/auth/refresh", json!({}))
        .await
        .expect_error(403, "FORBIDDEN");
    browser
        .post("/api/auth/refresh", json!({}))
        .await
        .expect(200);
    assert_ne!(browser.cookies["hub_refresh"], before["hub_refresh"]);
    browser.get("/api/users/me").await.expect(200);

    browser
        .post("/api/auth/logout", json!({}))
        .await
        .expect(204);
    browser
        .get("/api/users/me")
        .await
        .expect_error(401, "UNAUTHORIZED");
    // The cart of somebody who is signed out is not quietly the cart of a new guest: the browser is told,
    // and forgets what is worth nothing. Browsing goes on, where everybody gets the same answer.
    browser.cookies = before.clone();
    let cart = browser.get("/api/cart").await;
    assert_eq!(cart.cookies()["hub_access"], "");
    cart.expect_error(401, "UNAUTHORIZED");
    browser.cookies = before;
    let browsing = browser.get("/api/products?limit=1").await;
    assert_eq!(browsing.cookies()["hub_access"], "");
    browsing.expect(200);
}

#[tokio::test]
async fn the_cart_of_a_guest_becomes_the_customers() {
    let guest = api().await.guest().await;
    guest.add_to_cart(PRODUCT, "", 2).await.expect(201);
    guest.add_to_cart("PUZ-KID", "", 1).await.expect(201);
    let customer = api().await.sign_up(&fresh_email()).await;
    customer.add_to_cart(PRODUCT, "", 1).await.expect(201);

    let body = json!({"guest_token": guest.token().unwrap()});
    let cart = customer
        .post("/api/cart/merge", body.clone())
        .await
        .expect(200);
    let mut lines: Vec<(&str, i64)> = cart["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (id(item, "sku"), number(&item["quantity"])))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [("PUZ-KID-STD", 1), ("SLED-TOT-STD", 3)]);
    assert_eq!(guest.get("/api/cart").await.expect(200)["items"], json!([]));
    // A second time there is nothing left to move.
    let again = customer.post("/api/cart/merge", body).await.expect(200);
    assert_eq!(again["items"], cart["items"]);
    let forged = json!({"guest_token": "not-a-token"});
    assert!(
        customer
            .post("/api/cart/merge", forged)
            .await
            .status
            .is_client_error()
    );
}

#[tokio::test]
async fn a_cart_is_changed_line_by_line() {
    let guest = api().await.guest().await;
    let cart = guest
        .add_to_cart(PRODUCT, "SLED-TOT-STD", 2)
        .await
        .expect(201);
    assert_eq!(
        cart["items"][0]["unit_price"],
        json!({"amount": "74.50", "currency": "USD"})
    );
    assert_eq!(cart["items"][0]["line_total"]["amount"], "149.00");
    assert_eq!(cart["totals"]["subtotal"]["amount"], "149.00");
    // 149.00 at 8.25 %, half to even.
    assert_eq!(cart["totals"]["tax_estimate"]["amount"], "12.29");
    assert_eq!(cart["totals"]["total_estimate"]["amount"], "161.29");
    let line = format!("/api/cart/items/{}", id(&cart["items"][0], "cart_item_id"));
    let cart = guest.put(&line, json!({"quantity": 5})).await.expect(200);
    assert_eq!(number(&cart["items"][0]["quantity"]), 5);
    let stranger = api().await.guest().await;
    stranger
        .put(&line, json!({"quantity": 1}))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(guest.delete(&line).await.expect(200)["items"], json!([]));

    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    assert_eq!(
        guest.delete("/api/cart").await.expect(200)["items"],
        json!([])
    );
    let unknown = guest.add_to_cart("NO-SUCH-PRODUCT", "", 1).await;
    unknown.expect_error(404, "RESOURCE_NOT_FOUND");
}
