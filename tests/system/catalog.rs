//! Browsing, and keeping what is browsed.

use std::collections::HashSet;

use serde_json::{Value, json};
use system_tests::{Hub, HubOptions, Mode, eventually};

use crate::shared::{api, fresh_email, id, number};

fn skus(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    items
        .iter()
        .map(|item| id(item, "sku").to_owned())
        .collect()
}

#[tokio::test]
async fn pages_by_token_show_everything_once() {
    let shop = api().await;
    let mut seen = HashSet::new();
    let mut path = "/api/products?sort=price&limit=50".to_owned();
    loop {
        let page = shop.get(&path).await.expect(200);
        assert!(number(&page["total"]) >= 200, "{}", page["total"]);
        for sku in skus(&page) {
            assert!(seen.insert(sku.clone()), "{sku} twice");
        }
        let token = id(&page, "next_page_token");
        if token.is_empty() {
            break;
        }
        path = format!("/api/products?sort=price&limit=50&page_token={token}");
    }
    assert!(seen.len() >= 200, "{}", seen.len());
    // A token belongs to the list that it came from.
    let first = shop.get("/api/products?sort=price").await.expect(200);
    let token = id(&first, "next_page_token");
    let other = shop
        .get(&format!("/api/products?sort=name&page_token={token}"))
        .await;
    other.expect_error(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn lists_are_narrowed_by_category_brand_price_and_attributes() {
    let shop = api().await;
    let query = |filters: &Value| {
        let text: String = filters
            .to_string()
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        format!("/api/products?limit=100&filters={text}")
    };
    let drifthorn = shop
        .get(&query(&json!({"brand": "Drifthorn"})))
        .await
        .expect(200);
    assert!(number(&drifthorn["total"]) > 0);
    for item in drifthorn["items"].as_array().unwrap() {
        assert_eq!(item["brand"], "Drifthorn");
    }
    let cheap = shop
        .get(&query(&json!({"price": {"min": "10", "max": "20.00"}})))
        .await
        .expect(200);
    assert!(number(&cheap["total"]) > 0);
    for item in cheap["items"].as_array().unwrap() {
        let amount: f64 = id(&item["price"], "amount").parse().unwrap();
        assert!((10.0..=20.0).contains(&amount), "{amount}");
    }
    let wooden = shop
        .get(&query(&json!({"attributes": {"material": ["Wood"]}})))
        .await
        .expect(200);
    assert!(
        skus(&wooden).contains(&"DEAL-SLED".to_owned()),
        "{:?}",
        skus(&wooden)
    );
    let kitchen = shop
        .get("/api/products?category=kitchen&limit=100")
        .await
        .expect(200);
    for item in kitchen["items"].as_array().unwrap() {
        assert!(id(item, "category_slug").starts_with("kitchen"), "{item}");
    }
    let dear_first = shop
        .get("/api/products?sort=price&order=desc&limit=100")
        .await
        .expect(200);
    let prices: Vec<f64> = dear_first["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| id(&item["price"], "amount").parse().unwrap())
        .collect();
    assert!(prices.is_sorted_by(|a, b| a >= b), "{prices:?}");
}

#[tokio::test]
async fn facets_categories_and_neighbours() {
    let shop = api().await;
    let facets = shop
        .get("/api/products/filters?category=winter-sports")
        .await
        .expect(200);
    let total = number(&facets["total"]);
    let banded: i64 = facets["price_ranges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|band| number(&band["count"]))
        .sum();
    assert_eq!(banded, total, "{facets}");
    let brands = facets["brands"].as_array().unwrap();
    assert!(
        brands.iter().any(|brand| brand["value"] == "Drifthorn"),
        "{facets}"
    );
    assert!(
        facets["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|facet| facet["name"] == "material")
    );

    let categories = shop.get("/api/categories").await.expect(200);
    let all = categories["items"].as_array().unwrap();
    assert!(all.len() >= 12, "{}", all.len());
    let winter = shop.get("/api/categories/winter-sports").await.expect(200);
    assert_eq!(number(&winter["product_count"]), total);
    shop.get("/api/categories/no-such-category")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");

    let featured = shop.get("/api/products/featured?limit=5").await.expect(200);
    assert_eq!(skus(&featured).len(), 5);
    let related = shop
        .get("/api/products/SLED-TOT/related?limit=4")
        .await
        .expect(200);
    let related = skus(&related);
    assert!(
        !related.is_empty() && !related.contains(&"SLED-TOT".to_owned()),
        "{related:?}"
    );
    // By id, by slug and by SKU it is the same product.
    let by_sku = shop.product("SLED-TOT").await;
    for name in ["product_id", "slug"] {
        assert_eq!(shop.product(id(&by_sku, name)).await["sku"], "SLED-TOT");
    }
}

#[tokio::test]
async fn search_forgives_and_suggests() {
    let shop = api().await;
    let found = shop
        .get("/api/products/search?q=snwboard&limit=5")
        .await
        .expect(200);
    assert_eq!(found["source"], "catalog-search", "{found}");
    let names: Vec<&str> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| id(item, "name"))
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.to_lowercase().contains("board")),
        "{names:?}"
    );
    let nothing = shop
        .get("/api/products/search?q=zzzzqqqqxxxx")
        .await
        .expect(200);
    assert_eq!(nothing["items"], json!([]), "{nothing}");
    for path in ["/api/products/suggest?q=sle", "/catalog/suggest?q=sle"] {
        let suggestions = shop.get(path).await.expect(200);
        let items = suggestions["items"].as_array().unwrap();
        assert!(
            items
                .iter()
                .any(|item| id(item, "text").to_lowercase().contains("sle")),
            "{suggestions}"
        );
    }
}

#[tokio::test]
async fn staff_put_a_product_on_sale_and_take_it_off() {
    let shop = api().await;
    let staff = shop.demo("staff").await;
    let sku = format!("TEST-{}", uuid::Uuid::from_u128(rand::random()).simple());
    let word = sku[5..17].to_owned();
    let draft = json!({
        "sku": sku, "name": format!("Quixotic Lantern {word}"), "description": "Glows.", "brand": "Testhaus",
        "category_slug": "outdoor", "attributes": {"material": "Brass"},
        "price": {"amount": "19.90", "currency": "USD", "compare_at": "25.00", "tax_rate": "0.0825"},
        "variants": [{"sku": format!("{sku}-S"), "attributes": {"size": "S"}, "stock": 4}]
    });
    let customer = shop.sign_up(&fresh_email()).await;
    customer
        .post("/api/staff/products", draft.clone())
        .await
        .expect_error(403, "FORBIDDEN");
    let product = staff
        .post("/api/staff/products", draft.clone())
        .await
        .expect(201);
    assert_eq!(product["status"], "draft");
    staff
        .post("/api/staff/products", draft)
        .await
        .expect_error(409, "CONFLICT");
    shop.get(&format!("/api/products/{sku}"))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    staff.get(&format!("/api/products/{sku}")).await.expect(200);

    let product_id = id(&product, "product_id");
    let manage = format!("/api/staff/products/{product_id}");
    let published = staff
        .post(&format!("{manage}/publish"), json!({}))
        .await
        .expect(200);
    assert_eq!(published["status"], "active");
    let shown = shop.product(&sku).await;
    assert_eq!(shown["price"]["amount"], "19.90");
    assert_eq!(shown["price"]["compare_at"], "25.00");
    let search = format!("/api/products/search?q={word}");
    eventually("the search to find the product", || async {
        let found = staff.get(&search).await.expect(200);
        skus(&found).contains(&sku).then_some(())
    })
    .await;

    let price = json!({"amount": "17.50", "currency": "USD", "tax_rate": "0.0825"});
    let lost = json!({"price": price, "version": 1});
    staff.put(&manage, lost).await.expect_error(409, "CONFLICT");
    let changed = staff
        .put(
            &manage,
            json!({"price": price, "version": published["version"]}),
        )
        .await
        .expect(200);
    assert_eq!(changed["price"]["amount"], "17.50");
    // What others share is not older than what staff did.
    assert_eq!(shop.product(&sku).await["price"]["amount"], "17.50");

    staff
        .post(&format!("{manage}/archive"), json!({}))
        .await
        .expect(200);
    shop.get(&format!("/api/products/{sku}"))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    let guest = shop.guest().await;
    assert!(
        guest
            .add_to_cart(&sku, "", 1)
            .await
            .status
            .is_client_error()
    );
    eventually("the search to forget the product", || async {
        let found = staff.get(&search).await.expect(200);
        (!skus(&found).contains(&sku)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn stock_is_counted_per_location_and_never_below_what_is_promised() {
    let shop = api().await;
    let staff = shop.demo("staff").await;
    let product = shop.product("GINGER-KIT").await;
    let variant = id(&product["variants"][0], "variant_id");
    let inventory = format!("/api/products/{}/inventory", id(&product, "product_id"));
    let before = shop.get(&inventory).await.expect(200);
    let (available, east) = shelves(&before, "dc-east");
    assert_eq!(available, 28);
    let shelf = format!("/api/staff/inventory/{variant}/locations/dc-east");
    let counted = staff
        .put(
            &shelf,
            json!({"on_hand": 11, "reason": "found behind the oven"}),
        )
        .await
        .expect(200);
    let after = shop.get(&inventory).await.expect(200);
    assert_eq!(
        shelves(&after, "dc-east"),
        (available - east + 11, 11),
        "{after}"
    );
    assert_eq!(number(&counted["available"]), available - east + 11);
    let nowhere = format!("/api/staff/inventory/{variant}/locations/dc-nowhere");
    staff
        .put(&nowhere, json!({"on_hand": 1}))
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    shop.put(&shelf, json!({"on_hand": 1}))
        .await
        .expect_error(401, "UNAUTHORIZED");
    staff
        .put(&shelf, json!({"on_hand": -1}))
        .await
        .expect_error(400, "INVALID_REQUEST");
    let scarce = staff
        .get("/api/staff/inventory?available_at_most=10&limit=100")
        .await
        .expect(200);
    for item in scarce["items"].as_array().unwrap() {
        assert!(number(&item["available"]) <= 10, "{item}");
    }
}

/// Units of the first variant that can be promised: over all locations, and at one.
fn shelves(inventory: &Value, location: &str) -> (i64, i64) {
    let variant = &inventory["variants"][0];
    let here = variant["locations"].as_array().unwrap();
    let here = here.iter().find(|shelf| shelf["location_id"] == location);
    let units = here.map_or(0, |shelf| number(&shelf["available"]));
    (number(&variant["available"]), units)
}

#[tokio::test]
async fn every_picture_that_the_shop_names_is_there() {
    // One that draws its pictures itself: the shops of the other modes are copied, without their blobs.
    let hub = Hub::start_with(HubOptions::unlimited().in_mode(Mode::Embedded))
        .await
        .unwrap();
    let shop = hub.api();
    let products = shop.get("/api/products?limit=40").await.expect(200);
    let categories = shop.get("/api/categories").await.expect(200);
    let mut paths: Vec<String> = Vec::new();
    for product in products["items"].as_array().unwrap() {
        let slug = id(product, "slug");
        let product = shop.get(&format!("/api/products/{slug}")).await.expect(200);
        let images = product["images"].as_array().unwrap();
        paths.extend(images.iter().map(|image| id(image, "url").to_owned()));
    }
    for category in categories["items"].as_array().unwrap() {
        paths.push(id(category, "image_url").to_owned());
    }
    assert!(paths.len() > 20, "{paths:?}");
    let mut pictures = HashSet::new();
    for path in &paths {
        let picture = shop.get(path).await;
        assert_eq!(picture.status, 200, "{path}: {}", picture.text);
        assert_eq!(picture.header("content-type"), "image/svg+xml", "{path}");
        assert_eq!(picture.header("x-content-type-options"), "nosniff");
        assert!(
            picture
                .header("content-security-policy")
                .contains("sandbox")
        );
        assert!(picture.text.contains("<title id=\"title\">"), "{path}");
        pictures.insert(picture.text);
    }
    let distinct: HashSet<&String> = paths.iter().collect();
    assert_eq!(
        pictures.len(),
        distinct.len(),
        "each is a picture of its own"
    );
    shop.get("/images/products/none.svg")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
}
