//! One hub that the tests share which leave no trace for each other.

use serde_json::{Value, json};
use system_tests::{Api, Hub};
use tokio::sync::OnceCell;

/// A product with one variant, of which the shared hub has more than all tests can buy.
pub const PRODUCT: &str = "SLED-TOT";

static HUB: OnceCell<Hub> = OnceCell::const_new();

/// The shared hub. It has no request limits and lives as long as the test process.
pub async fn hub() -> &'static Hub {
    HUB.get_or_init(|| async {
        let hub = Hub::start().await.unwrap();
        fill_shelves(&hub.api()).await;
        await_search(&hub.api()).await;
        hub
    })
    .await
}

/// Puts many units of [`PRODUCT`] on stock.
pub async fn fill_shelves(shop: &Api) {
    let staff = shop.demo("staff").await;
    let product = staff.product(PRODUCT).await;
    let variant = product["variants"][0]["variant_id"].as_str().unwrap();
    let path = format!("/api/staff/inventory/{variant}/locations/dc-east");
    let body = json!({"on_hand": 100_000, "reason": "tests"});
    staff.put(&path, body).await.expect(200);
    // Staff's answers are never shared ones, so they are not from before.
    system_tests::eventually("the catalog to know of the units", || async {
        let product = staff.product(PRODUCT).await;
        (number(&product["variants"][0]["stock"]) >= 100_000).then_some(())
    })
    .await;
}

/// Waits until the search knows the products that the first start has brought.
async fn await_search(shop: &Api) {
    let staff = shop.demo("staff").await;
    system_tests::eventually("the search to know the products", || async {
        let found = staff.get("/api/products/search?limit=1").await.expect(200);
        (found["source"] == "catalog-search" && number(&found["total"]) >= 200).then_some(())
    })
    .await;
}

/// An anonymous caller of the shared hub.
pub async fn api() -> Api {
    hub().await.api()
}

/// An e-mail address that no other test uses.
pub fn fresh_email() -> String {
    format!("shopper-{}@hub.test", uuid::Uuid::from_u128(rand::random()))
}

/// 64-bit integers are numbers, or strings where a double cannot hold them.
pub fn number(value: &Value) -> i64 {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

/// The id in `object[name]`.
pub fn id<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {object}"))
}
