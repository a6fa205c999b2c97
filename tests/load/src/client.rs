//! A shopper's view of the hub: its REST face.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// A variant that can be bought.
pub struct Offer {
    /// Id of the product.
    pub product_id: String,
    /// Id of the variant.
    pub variant_id: String,
}

/// Connections to one hub and what there is to buy.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    /// Variants with plenty of stock.
    pub offers: Vec<Offer>,
    /// Words to search for.
    pub words: Vec<String>,
    /// Slugs of categories.
    pub categories: Vec<String>,
}

/// Pages of products that are read to find offers; bounds the preparation on large catalogues.
const OFFER_PAGES: usize = 5;

impl Client {
    /// Connects and reads what there is to buy.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(256)
            .no_proxy()
            .build()?;
        let mut client = Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            token: None,
            offers: Vec::new(),
            words: Vec::new(),
            categories: Vec::new(),
        };
        client.read_shop().await.with_context(|| {
            format!(
                "cannot read the shop at {url}: is a hub running there (`cargo run --release`)?"
            )
        })?;
        anyhow::ensure!(!client.offers.is_empty(), "nothing is in stock at {url}");
        Ok(client)
    }

    /// Opens a guest session that browsing requests carry from now on.
    pub async fn sign_in(&mut self) -> anyhow::Result<()> {
        let session: Value = self
            .request(Method::POST, "/api/auth/guest")
            .json(&serde_json::json!({}))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        self.token = session["access_token"].as_str().map(str::to_owned);
        Ok(())
    }

    /// A browsing request to `path`.
    pub fn get(&self, path: &str) -> RequestBuilder {
        let request = self.request(Method::GET, path);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn read_shop(&mut self) -> anyhow::Result<()> {
        let categories = self.get_json("/api/categories?limit=100").await?;
        self.categories = strings(&categories["items"], "slug");
        for page in 1..=OFFER_PAGES {
            let products = self
                .get_json(&format!("/api/products?limit=100&page={page}"))
                .await?;
            let items = products["items"].as_array().cloned().unwrap_or_default();
            for product in &items {
                self.words.extend(
                    product["name"]
                        .as_str()
                        .unwrap_or_default()
                        .split_whitespace()
                        .filter(|word| word.len() > 3)
                        .map(str::to_lowercase),
                );
                self.offers.extend(offers(product));
            }
            if items.len() < 100 {
                break;
            }
        }
        Ok(())
    }

    async fn get_json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self
            .get(path)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// A request to `path` on the hub.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }
}

/// Reads an answer to its end and tells a success from the kinds of failure.
pub async fn outcome(response: reqwest::Result<Response>) -> Result<Value, String> {
    let response = response.map_err(|error| transport_kind(&error))?;
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|error| transport_kind(&error))?;
    let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(json);
    }
    let code = json["error"]["code"].as_str().unwrap_or("?").to_owned();
    Err(format!("{} {code}", StatusCode::as_u16(&status)))
}

fn transport_kind(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else {
        "broken connection"
    };
    kind.to_owned()
}

fn offers(product: &Value) -> Vec<Offer> {
    let Some(product_id) = product["product_id"].as_str() else {
        return Vec::new();
    };
    let variants = product["variants"].as_array().cloned().unwrap_or_default();
    variants
        .iter()
        .filter(|variant| as_number(&variant["stock"]) >= 10)
        .filter_map(|variant| {
            Some(Offer {
                product_id: product_id.to_owned(),
                variant_id: variant["variant_id"].as_str()?.to_owned(),
            })
        })
        .collect()
}

fn as_number(value: &Value) -> i64 {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or(0)
}

fn strings(items: &Value, field: &str) -> Vec<String> {
    items
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item[field].as_str()?.to_owned()))
        .collect()
}
