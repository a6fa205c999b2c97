//! A REST client: reqwest with the few things that every test needs.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::balancer::Balancer;

/// Password of the demo users.
const DEMO_PASSWORD: &str = "Holiday-Peak-2026!";

/// A caller of one hub: anonymous, or with a token.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Base,
    token: Option<String>,
}

#[derive(Clone)]
enum Base {
    One(String),
    Balanced(Arc<Balancer>),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as JSON; `Null` when it is empty or not JSON.
    pub json: Value,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// The status is another; the message shows the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// The value of a header.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        value.to_str().expect("a header of text")
    }

    /// The cookies that it sets, by name.
    pub fn cookies(&self) -> HashMap<String, String> {
        let values = self.headers.get_all("set-cookie").iter();
        values
            .filter_map(|value| value.to_str().ok()?.split(';').next()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Checks that this is a failure in the house format and returns its `error` object.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = self.json["error"].clone();
        assert_eq!(error["code"], code, "{}", self.text);
        for member in ["message", "timestamp", "request_id"] {
            assert!(error[member].is_string(), "no {member} in {}", self.text);
        }
        error
    }
}

impl Api {
    /// An anonymous caller of the hub at `address`.
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without special settings can be built");
        Self {
            http,
            base: Base::One(format!("http://{address}")),
            token: None,
        }
    }

    /// An anonymous caller behind a load balancer in front of `gateways`.
    ///
    /// # Panics
    /// There are none.
    pub fn balanced(gateways: &[SocketAddr]) -> Self {
        let first = gateways.first().expect("a balancer has backends");
        Self {
            base: Base::Balanced(Balancer::over(gateways)),
            ..Self::new(*first)
        }
    }

    /// The same caller with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The token, when there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `path` on the hub.
    pub fn url(&self, path: &str) -> String {
        match &self.base {
            Base::One(base) => format!("{base}{path}"),
            Base::Balanced(balancer) => format!("http://{}{path}", balancer.next()),
        }
    }

    /// A request that the test finishes itself.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Signs in.
    pub async fn login(&self, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let session = self.post("/api/auth/login", body).await.expect(200);
        self.with_session(&session)
    }

    /// Signs in as a demo user: `customer`, `staff` or `admin`.
    pub async fn demo(&self, who: &str) -> Self {
        self.login(&format!("{who}@hub.test"), DEMO_PASSWORD).await
    }

    /// Opens a guest session.
    pub async fn guest(&self) -> Self {
        let session = self.post("/api/auth/guest", json!({})).await.expect(201);
        self.with_session(&session)
    }

    /// Signs up a new customer with this e-mail address.
    pub async fn sign_up(&self, email: &str) -> Self {
        let body =
            json!({"name": "Test Shopper", "email": email, "password": "quiet-larch-hollow-7"});
        let session = self.post("/api/auth/signup", body).await.expect(201);
        self.with_session(&session)
    }

    fn with_session(&self, session: &Value) -> Self {
        let token = session["access_token"].as_str();
        self.with_token(token.expect("a session has an access token"))
    }

    /// A product by its SKU.
    pub async fn product(&self, sku: &str) -> Value {
        self.get(&format!("/api/products/{sku}")).await.expect(200)
    }

    /// Puts units of a variant into the cart, both by SKU.
    pub async fn add_to_cart(&self, product_sku: &str, variant_sku: &str, quantity: i64) -> Answer {
        let body =
            json!({"product_id": product_sku, "variant_id": variant_sku, "quantity": quantity});
        self.post("/api/cart/items", body).await
    }

    /// Follows an order until its status is one of `ends`, and returns it.
    pub async fn order_reaches(&self, order_id: &str, ends: &[&str]) -> Value {
        let path = format!("/api/orders/{order_id}");
        crate::eventually(&format!("order {order_id} to be {ends:?}"), || async {
            let order = self.get(&path).await;
            let status = order.json["status"].as_str()?;
            ends.contains(&status).then(|| order.json.clone())
        })
        .await
    }
}

/// Sends a request and reads the answer to its end.
///
/// # Panics
/// The hub does not answer.
async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the hub answers");
    let status = response.status();
    let headers = response.headers().clone();
    let text = response.text().await.expect("the answer is whole");
    Answer {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

impl Answer {
    /// Sends a request that a test has built and reads the answer.
    pub async fn to(request: RequestBuilder) -> Self {
        send(request).await
    }
}

/// An address that goods can be sent to.
pub fn address() -> Value {
    json!({
        "name": "Test Shopper", "line1": "12 Lantern Street", "line2": "", "city": "Denver",
        "state": "CO", "postal_code": "80202", "country": "US", "phone": "+1 303 555 0147"
    })
}

/// The body of an order paid with `payment_method`.
pub fn order_body(payment_method: &str) -> Value {
    json!({
        "shipping_address": address(),
        "shipping_method": "standard",
        "payment_method": payment_method,
        "email": "shopper@hub.test"
    })
}
