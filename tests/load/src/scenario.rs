//! What a shopper does.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use rand::{RngExt, seq::IndexedRandom};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    client::{Client, outcome},
    schedule::Start,
};

/// How long a followed order may take to `processing`.
const FOLLOW_FOR: Duration = Duration::from_secs(30);

/// A kind of shopper.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scenario {
    /// Reads one product.
    Product,
    /// Reads a page of a category or of everything, in some order.
    List,
    /// Reads the facets of a category or of everything.
    Facets,
    /// Types the beginning of a word.
    Suggest,
    /// Reads a list, a product and its stock.
    Browse,
    /// Searches, one query in four with a typo.
    Search,
    /// Opens a guest session and fills a cart.
    Cart,
    /// Orders one unit as a guest.
    Checkout,
    /// Of ten shoppers six browse, two search, one fills a cart and one orders.
    Mixed,
}

impl Scenario {
    /// Plays the scenario once.
    pub async fn run(self, client: &Client, mut start: Start, follow: f64) {
        let mut due = start.due;
        let scenario = match self {
            Self::Mixed => match start.random.random_range(0..10) {
                0..6 => Self::Browse,
                6..8 => Self::Search,
                8 => Self::Cart,
                _ => Self::Checkout,
            },
            other => other,
        };
        let shopper = Shopper { client, start };
        // A failed step ends the scenario; it is in the report already.
        let _ = match scenario {
            Self::Product => shopper.product(due).await,
            Self::List => shopper.list(due).await,
            Self::Facets => shopper.facets(due).await,
            Self::Suggest => shopper.suggest(due).await,
            Self::Browse => shopper.browse(&mut due).await,
            Self::Search => shopper.search(due).await,
            Self::Cart | Self::Mixed => shopper.cart(&mut due).await.map(drop),
            Self::Checkout => shopper.checkout(&mut due, follow).await,
        };
    }
}

struct Shopper<'a> {
    client: &'a Client,
    start: Start,
}

/// The scenario cannot go on.
struct Failed;

impl Shopper<'_> {
    async fn step(
        &self,
        name: &'static str,
        since: Instant,
        request: RequestBuilder,
    ) -> Result<Value, Failed> {
        let answer = outcome(request.send().await).await;
        self.start
            .note(name, since, answer.as_ref().map(drop).map_err(Clone::clone));
        answer.map_err(|_| Failed)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(path)
    }

    async fn list(mut self, due: Instant) -> Result<(), Failed> {
        const SORTS: [&str; 5] = ["popularity", "price", "name", "rating", "created_at"];
        let sort = SORTS.choose(&mut self.start.random).unwrap_or(&"price");
        let category = self.category();
        let path = format!("/api/products?sort={sort}&{category}");
        self.step("list", due, self.get(&path)).await.map(drop)
    }

    async fn facets(mut self, due: Instant) -> Result<(), Failed> {
        let path = format!("/api/products/filters?{}", self.category());
        self.step("facets", due, self.get(&path)).await.map(drop)
    }

    async fn suggest(mut self, due: Instant) -> Result<(), Failed> {
        let word = self.word();
        let typed: String = word
            .chars()
            .take(self.start.random.random_range(2..6))
            .collect();
        let request = self.get("/api/products/suggest").query(&[("q", typed)]);
        self.step("suggest", due, request).await.map(drop)
    }

    /// A category as a query parameter; one time in four all of them.
    fn category(&mut self) -> String {
        if self.start.random.random_bool(0.25) {
            return String::new();
        }
        let slug = self.client.categories.choose(&mut self.start.random);
        slug.map_or_else(String::new, |slug| format!("category={slug}"))
    }

    fn word(&mut self) -> String {
        self.client
            .words
            .choose(&mut self.start.random)
            .cloned()
            .unwrap_or_default()
    }

    async fn product(mut self, due: Instant) -> Result<(), Failed> {
        let path = format!("/api/products/{}", self.offer().0);
        self.step("product", due, self.get(&path)).await.map(drop)
    }

    async fn browse(mut self, due: &mut Instant) -> Result<(), Failed> {
        let (product, _) = self.offer();
        let category = self.client.categories.choose(&mut self.start.random);
        let list = category.map_or_else(
            || "/api/products".to_owned(),
            |slug| format!("/api/products?category={slug}"),
        );
        for (name, path) in [
            ("list", list),
            ("product", format!("/api/products/{product}")),
            ("inventory", format!("/api/products/{product}/inventory")),
        ] {
            self.step(name, *due, self.get(&path)).await?;
            *due = Instant::now();
        }
        Ok(())
    }

    async fn search(mut self, due: Instant) -> Result<(), Failed> {
        let mut word = self.word();
        if self.start.random.random_bool(0.25) && word.is_ascii() && word.len() > 4 {
            word.remove(2);
        }
        let request = self.get("/api/products/search").query(&[("q", word)]);
        self.step("search", due, request).await.map(drop)
    }

    async fn cart(mut self, due: &mut Instant) -> Result<(Self, String), Failed> {
        let guest = self
            .client
            .request(Method::POST, "/api/auth/guest")
            .json(&json!({}));
        let session = self.step("guest", *due, guest).await?;
        let token = session["access_token"].as_str().ok_or(Failed)?.to_owned();
        *due = Instant::now();
        let (product_id, variant_id) = self.offer();
        let add = self
            .client
            .request(Method::POST, "/api/cart/items")
            .bearer_auth(&token)
            .json(&json!({"product_id": product_id, "variant_id": variant_id, "quantity": 1}));
        self.step("cart add", *due, add).await?;
        *due = Instant::now();
        Ok((self, token))
    }

    async fn checkout(self, due: &mut Instant, follow: f64) -> Result<(), Failed> {
        let (mut shopper, token) = self.cart(due).await?;
        let ordered = *due;
        let request = shopper
            .client
            .request(Method::POST, "/api/orders")
            .bearer_auth(&token)
            .json(&order());
        let order = shopper.step("order", ordered, request).await?;
        if follow > 0.0 && shopper.start.random.random_bool(follow) {
            let id = order["order_id"].as_str().ok_or(Failed)?;
            shopper.follow(id, &token, ordered).await;
        }
        Ok(())
    }

    /// Reads the order's event stream until it says `processing`.
    async fn follow(&self, order_id: &str, token: &str, since: Instant) {
        let outcome = tokio::time::timeout(FOLLOW_FOR, self.until_processing(order_id, token))
            .await
            .unwrap_or_else(|_| Err("not processing in time".to_owned()));
        self.start.note("to processing", since, outcome);
    }

    async fn until_processing(&self, order_id: &str, token: &str) -> Result<(), String> {
        let mut response = self
            .get(&format!("/api/orders/{order_id}/events"))
            .header("accept", "application/x-ndjson")
            .bearer_auth(token)
            .send()
            .await
            .map_err(|_| "broken connection".to_owned())?;
        let mut text = String::new();
        loop {
            let chunk = response.chunk().await;
            let Ok(Some(bytes)) = chunk else {
                return Err("stream ended early".to_owned());
            };
            text.push_str(&String::from_utf8_lossy(&bytes));
            for line in text.lines() {
                let status = serde_json::from_str::<Value>(line).unwrap_or_default();
                match status["status"].as_str() {
                    Some("processing") => return Ok(()),
                    Some(end @ ("payment_failed" | "out_of_stock" | "cancelled")) => {
                        return Err(end.to_owned());
                    }
                    _ => {}
                }
            }
        }
    }

    fn offer(&mut self) -> (String, String) {
        self.client
            .offers
            .choose(&mut self.start.random)
            .map(|offer| (offer.product_id.clone(), offer.variant_id.clone()))
            .unwrap_or_default()
    }
}

fn order() -> Value {
    json!({
        "shipping_address": {
            "name": "Load Shopper", "line1": "1 Summit Road", "city": "Denver", "state": "CO",
            "postal_code": "80202", "country": "US", "phone": "+1 303 555 0100"
        },
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
        "email": "load@hub.test"
    })
}
