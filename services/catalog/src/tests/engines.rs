//! One shop on two engines: whatever is asked of both gets the same answer.

use std::fmt::Debug;

use contracts::hub::catalog::v1::{
    ArchiveProductRequest, BatchGetVariantsRequest, CreateCategoryRequest, GetCategoryRequest,
    GetProductRequest, ListCategoriesRequest, ListFeaturedProductsRequest,
    ListProductFiltersRequest, ListProductsRequest, ListRelatedProductsRequest, Product,
    SearchProductsRequest, UpdateProductRequest, VariantRef,
    catalog_management_service_server::CatalogManagementService,
    catalog_service_server::CatalogService,
};
use mesh::{Rendered, store::Tx};
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use tonic::{Request, Response, Status};

use super::{Engine, Shop, as_staff, row};
use crate::{import_file, interest, store::stock};

const QUERIES: usize = 600;
const SYNTHETIC: usize = 300;

/// The demo shop, products that look like nothing else, and changes of both.
async fn furnish(shop: &Shop) -> Vec<Product> {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../hub/demo/products.ndjson");
    let mut rows: Vec<_> = import_file::read_rows(std::path::Path::new(demo))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    rows.extend((0..SYNTHETIC).map(row).map(|mut row| {
        row.line += 100_000;
        row
    }));
    for batch in rows.chunks(200) {
        let answer = shop.import(batch.to_vec()).await;
        assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    }
    // A second import changes some.
    let mut again: Vec<_> = (0..SYNTHETIC).step_by(7).map(row).collect();
    for row in &mut again {
        row.name = format!("{} Crème brûlée à l'été", row.name);
        row.brand = "Äußerst \"gut\" {x}\\".to_owned();
        row.variants.truncate(1);
    }
    shop.import(again).await;
    let category = CreateCategoryRequest {
        slug: "everything".to_owned(),
        name: "Everything".to_owned(),
        ..CreateCategoryRequest::default()
    };
    shop.management
        .create_category(as_staff(category))
        .await
        .unwrap();
    for slug in ["sleds", "boots"] {
        let below = contracts::hub::catalog::v1::UpdateCategoryRequest {
            slug: slug.to_owned(),
            parent_slug: Some("everything".to_owned()),
            ..Default::default()
        };
        shop.management
            .update_category(as_staff(below))
            .await
            .unwrap();
    }
    for number in [3, 33, 133] {
        let product_id = format!("SKU-{number}");
        let gone = ArchiveProductRequest {
            product_id: product_id.clone(),
        };
        shop.management
            .archive_product(as_staff(gone))
            .await
            .unwrap();
        let renamed = UpdateProductRequest {
            product_id: format!("SKU-{}", number + 1),
            name: Some("Zusätzlich Ünder".to_owned()),
            ..UpdateProductRequest::default()
        };
        shop.management
            .update_product(as_staff(renamed))
            .await
            .unwrap();
    }
    let synthetic = (0..SYNTHETIC)
        .step_by(5)
        .map(|number| format!("SKU-{number}"));
    let demo = rows.iter().step_by(9).map(|row| row.sku.clone());
    let mut products = Vec::new();
    for product_id in synthetic.chain(demo) {
        let request = GetProductRequest { product_id };
        // Some are archived.
        if let Ok(product) = shop.browsing.get_product(Request::new(request)).await {
            products.push(product.into_inner());
        }
    }
    for (product, available) in products
        .iter()
        .step_by(3)
        .zip([0, 5, 0, 0, 9].iter().cycle())
    {
        let (variant_id, available) = (product.variants[0].variant_id.clone(), *available);
        shop.catalog
            .store()
            .write(move |tx: Tx| async move { stock::note(&tx, &variant_id, available).await })
            .await
            .unwrap();
    }
    interest::write(&shop.catalog).await.unwrap();
    shop.catalog.changed();
    products
}

/// What both answered, which must be the same.
fn same<T: PartialEq + Debug>(
    what: &impl Debug,
    one: Result<Response<T>, Status>,
    two: Result<Response<T>, Status>,
) -> Option<T> {
    match (one, two) {
        (Ok(one), Ok(two)) => {
            let (one, two) = (one.into_inner(), two.into_inner());
            assert_eq!(one, two, "SQLite and PostgreSQL differ on {what:?}");
            Some(one)
        }
        (Err(one), Err(two)) => {
            let (one, two) = (Rendered::of(&one), Rendered::of(&two));
            assert_eq!(
                (one.reason, one.message),
                (two.reason, two.message),
                "{what:?}"
            );
            None
        }
        (one, two) => panic!("{what:?}: {one:?} and {two:?}"),
    }
}

struct Questions {
    random: SmallRng,
    products: Vec<Product>,
}

impl Questions {
    fn pick<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn product(&mut self) -> Product {
        self.products.choose(&mut self.random).cloned().unwrap()
    }

    fn category(&mut self) -> String {
        let demo = self.product().category_slug;
        let known = [
            "",
            "",
            "everything",
            "sleds",
            "boots",
            "electronics",
            "nowhere",
            &demo,
        ];
        self.pick(&known).to_owned()
    }

    fn sort(&mut self) -> (String, String) {
        let sorts = ["", "popularity", "price", "name", "rating", "created_at"];
        (
            self.pick(&sorts).to_owned(),
            self.pick(&["", "asc", "desc"]).to_owned(),
        )
    }

    fn filters(&mut self) -> String {
        let product = self.product();
        let mut filters = serde_json::Map::new();
        if self.random.random_bool(0.25) {
            filters.insert(
                "brand".into(),
                serde_json::json!([product.brand, "Norrfell"]),
            );
        }
        if self.random.random_bool(0.25) {
            let least = self.random.random_range(0..60);
            let most = least + self.random.random_range(0..900);
            filters.insert(
                "price".into(),
                serde_json::json!({"min": least, "max": most}),
            );
        }
        if self.random.random_bool(0.2) {
            filters.insert("rating".into(), self.random.random_range(0..5).into());
        }
        if self.random.random_bool(0.3) {
            filters.insert("in_stock".into(), true.into());
        }
        if self.random.random_bool(0.3) {
            let color = ["red", "blue", "green", "white", "violet"];
            let colors = serde_json::json!([self.pick(&color), self.pick(&color)]);
            filters.insert("attributes".into(), serde_json::json!({"color": colors}));
        }
        match filters.is_empty() {
            true => String::new(),
            false => serde_json::Value::Object(filters).to_string(),
        }
    }

    fn words(&mut self) -> String {
        let product = self.product();
        let all: Vec<&str> = [product.name.as_str(), &product.brand]
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect();
        let many = self.random.random_range(1..=3_usize);
        let mut words: Vec<String> = (0..many)
            .filter_map(|_| all.choose(&mut self.random))
            .map(|word| (*word).to_owned())
            .collect();
        match self.random.random_range(0..6) {
            0 => words.push(
                self.pick(&["s", "th", "cre", "BRÛL", "wool", "red", "x1"])
                    .to_owned(),
            ),
            1 => {
                words = vec![
                    self.pick(&["thing", "a", "sku", "été", "steel s", "9"])
                        .to_owned(),
                ]
            }
            2 => {
                if let Some(last) = words.last_mut() {
                    *last = last.chars().take(2).collect();
                }
            }
            _ => {}
        }
        words.join(" ")
    }

    fn key(&mut self) -> String {
        let product = self.product();
        let variant = product.variants.first().cloned().unwrap_or_default();
        let keys = [
            product.product_id.as_str(),
            &product.slug,
            &product.sku,
            &variant.sku,
            "nothing",
            "0191e6a0-1c2d-7000-8000-000000000001",
            "SKU-3",
        ];
        self.pick(&keys).to_owned()
    }

    fn reference(&mut self) -> VariantRef {
        let product = self.product();
        let variant = product.variants.first().cloned().unwrap_or_default();
        let variants = ["", &variant.variant_id, &variant.sku, "SKU-9-2", "nothing"];
        let variant_id = self.pick(&variants).to_owned();
        VariantRef {
            product_id: match self.random.random_bool(0.6) {
                true => self.key(),
                false => String::new(),
            },
            variant_id,
        }
    }
}

async fn ask(questions: &mut Questions, one: &Shop, two: &Shop) {
    let (one, two) = (&one.browsing, &two.browsing);
    macro_rules! both {
        ($method:ident, $message:expr) => {{
            let message = $message;
            let first = one.$method(Request::new(message.clone())).await;
            let second = two.$method(Request::new(message.clone())).await;
            same(&message, first, second)
        }};
    }
    let (sort, order) = questions.sort();
    match questions.random.random_range(0..20) {
        0..=7 => {
            let mut request = ListProductsRequest {
                category: questions.category(),
                sort,
                order,
                filters: questions.filters(),
                limit: Some(questions.random.random_range(1..30)),
                ..ListProductsRequest::default()
            };
            if questions.random.random_bool(0.3) {
                request.page = Some(questions.random.random_range(1..6));
            }
            for _ in 0..3 {
                let Some(answer) = both!(list_products, request.clone()) else {
                    return;
                };
                if answer.next_page_token.is_empty() {
                    return;
                }
                request.page_token = answer.next_page_token;
            }
        }
        8..=12 => {
            let sort = match sort.as_str() {
                "" | "created_at" => "relevance".to_owned(),
                _ => sort,
            };
            both!(
                search_products,
                SearchProductsRequest {
                    q: questions.words(),
                    category: questions.category(),
                    filters: questions.filters(),
                    page: Some(questions.random.random_range(1..4)),
                    limit: Some(questions.random.random_range(1..30)),
                    sort,
                    order,
                }
            );
        }
        13 => {
            let category = questions.category();
            both!(list_product_filters, ListProductFiltersRequest { category });
        }
        14 | 15 => {
            let product_id = questions.key();
            both!(get_product, GetProductRequest { product_id });
        }
        16 => {
            let product_id = questions.key();
            let limit = Some(questions.random.random_range(1..20));
            both!(
                list_related_products,
                ListRelatedProductsRequest { product_id, limit }
            );
        }
        17 => {
            let refs = (0..questions.random.random_range(1..8))
                .map(|_| questions.reference())
                .collect();
            both!(batch_get_variants, BatchGetVariantsRequest { refs });
        }
        18 => {
            let parent = questions.category();
            let slug = parent.clone();
            both!(
                list_categories,
                ListCategoriesRequest {
                    parent,
                    ..Default::default()
                }
            );
            both!(get_category, GetCategoryRequest { slug });
        }
        _ => {
            let limit = Some(questions.random.random_range(1..50));
            let offset = Some(questions.random.random_range(0..100));
            both!(
                list_featured_products,
                ListFeaturedProductsRequest { limit, offset }
            );
        }
    }
}

#[tokio::test]
async fn two_engines_give_the_same_answers() {
    if !Engine::Postgres.is_there() {
        return;
    }
    let one = Shop::open(Engine::Sqlite).await;
    let two = Shop::open(Engine::Postgres).await;
    let products = furnish(&one).await;
    assert_eq!(products, furnish(&two).await);
    let mut questions = Questions {
        random: SmallRng::seed_from_u64(20_261_121),
        products,
    };
    for _ in 0..QUERIES {
        ask(&mut questions, &one, &two).await;
    }
    for (one, two) in one.events().await.iter().zip(two.events().await) {
        assert_eq!(
            (&one.ordering_key, &one.data),
            (&two.ordering_key, &two.data)
        );
    }
}

/// Measures both engines on a real catalogue: `HUB_TEST_CATALOGUE=products.ndjson cargo test --release -p catalog
/// --lib real_catalogue -- --ignored --nocapture`, with the file of `scripts/real-catalogue`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a catalogue and minutes"]
async fn real_catalogue() {
    let Ok(path) = std::env::var("HUB_TEST_CATALOGUE") else {
        eprintln!("skipped: HUB_TEST_CATALOGUE is not set");
        return;
    };
    let path = std::path::Path::new(&path);
    let mut shops = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if engine.is_there() {
            let shop = Shop::open(engine).await;
            let products = stock_up(engine, &shop, path).await;
            shops.push((engine, shop, products));
        }
    }
    measure(&shops).await;
}

/// Imports the catalogue; returns some of its products.
async fn stock_up(engine: Engine, shop: &Shop, path: &std::path::Path) -> Vec<Product> {
    let clock = mesh::Clock::system();
    let rows: Vec<_> = import_file::read_rows(path)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let began = clock.monotonic();
    for batch in rows.chunks(500) {
        shop.import(batch.to_vec()).await;
    }
    let took = clock.monotonic() - began;
    let rate = rows.len() as f64 / took.as_secs_f64();
    let count = rows.len();
    eprintln!("{engine:?}: {count} products imported in {took:.1?}, {rate:.0} a second");
    let mut products = Vec::new();
    for row in rows.iter().step_by(rows.len().div_ceil(500)) {
        let product_id = row.sku.clone();
        let request = Request::new(GetProductRequest { product_id });
        let answer = shop.browsing.get_product(request).await.unwrap();
        products.push(answer.into_inner());
    }
    products
}

/// Asks the engines in turn, so that whatever else the machine does meets both.
async fn measure(shops: &[(Engine, Shop, Vec<Product>)]) {
    const ROUNDS: u64 = 1_000;
    let clock = mesh::Clock::system();
    let mut times: std::collections::BTreeMap<_, Vec<std::time::Duration>> = Default::default();
    for round in 0..ROUNDS {
        for (engine, shop, products) in shops {
            let mut questions = Questions {
                random: SmallRng::seed_from_u64(round),
                products: products.clone(),
            };
            let product = questions.product();
            let (sort, order) = questions.sort();
            let category = match round % 4 {
                0 => String::new(),
                _ => product.category_slug.clone(),
            };
            let filters = match round % 3 {
                0 => format!(r#"{{"in_stock":true,"brand":["{}"]}}"#, product.brand),
                _ => String::new(),
            };
            let list = ListProductsRequest {
                category: category.clone(),
                sort,
                order,
                filters,
                ..ListProductsRequest::default()
            };
            let search = SearchProductsRequest {
                q: questions.words(),
                ..SearchProductsRequest::default()
            };
            let facets = ListProductFiltersRequest { category };
            let get = GetProductRequest {
                product_id: product.slug,
            };
            // Of what is remembered only the categories may help.
            shop.catalog.changed();
            shop.catalog.tree().await.unwrap();
            macro_rules! timed {
                ($name:literal, $method:ident, $message:expr) => {{
                    let began = clock.monotonic();
                    shop.browsing.$method(Request::new($message)).await.unwrap();
                    let took = clock.monotonic() - began;
                    let times = times.entry(($name, format!("{engine:?}"))).or_default();
                    times.push(took);
                }};
            }
            timed!("list", list_products, list);
            timed!("facets", list_product_filters, facets);
            timed!("search", search_products, search);
            timed!("product", get_product, get);
        }
    }
    for ((name, engine), mut times) in times {
        times.sort_unstable();
        let [p50, p95, p99] = [50, 95, 99].map(|share| times[times.len() * share / 100]);
        eprintln!("{name} on {engine}: p50 {p50:.2?} p95 {p95:.2?} p99 {p99:.2?}");
    }
}
