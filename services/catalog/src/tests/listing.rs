//! Lists against a naive model: every order, filter and way to find the products gives the same rows.

use contracts::hub::catalog::v1::{ListProductsRequest, catalog_service_server::CatalogService};
use proptest::prelude::*;
use tonic::Request;

use super::{Engine, Shop, row};
use crate::{
    domain::{
        decimal::price_key,
        filters::{Filters, InStock},
        product::Product,
        sort::{Direction, Sort, SortKey, SortValue, name_key},
    },
    store::{
        count,
        list::{self, Driver, Selection, Window},
        rows,
    },
};

const PRODUCTS: usize = 240;

async fn shop(engine: Engine) -> (Shop, Vec<Product>) {
    let shop = Shop::open(engine).await;
    let answer = shop.import((0..PRODUCTS).map(row).collect()).await;
    assert_eq!(answer.created, PRODUCTS as i64, "{:?}", answer.errors);
    let seqs: Vec<i64> = (1..=PRODUCTS as i64).collect();
    let products = rows::load(shop.catalog.store(), &seqs).await.unwrap();
    assert_eq!(products.len(), PRODUCTS);
    (shop, products)
}

fn value(product: &Product, key: SortKey) -> SortValue {
    SortValue::Number(match key {
        SortKey::Name => return SortValue::Text(name_key(&product.name)),
        SortKey::Popularity => product.popularity(),
        SortKey::Price => price_key(product.pricing.price),
        SortKey::Rating => product.rating_milli,
        SortKey::CreatedAt => product.created_at.timestamp_micros(),
    })
}

fn passes(product: &Product, filters: &Filters, categories: Option<&[String]>) -> bool {
    let terms = product.terms();
    let price = price_key(product.pricing.price);
    categories.is_none_or(|slugs| slugs.contains(&product.category_slug))
        && (filters.brands.is_empty() || filters.brands.contains(&product.brand))
        && filters.min_price.is_none_or(|least| price >= least)
        && filters.max_price.is_none_or(|most| price <= most)
        && filters
            .min_rating
            .is_none_or(|least| product.rating_milli >= least)
        && (filters.in_stock.is_none() || product.in_stock())
        && filters.attributes.iter().all(|(name, values)| {
            values
                .iter()
                .any(|value| terms.contains(&(name.clone(), value.clone())))
        })
}

fn model(
    products: &[Product],
    filters: &Filters,
    categories: Option<&[String]>,
    sort: Sort,
) -> Vec<(i64, SortValue)> {
    let mut rows: Vec<(i64, SortValue)> = products
        .iter()
        .filter(|product| passes(product, filters, categories))
        .map(|product| (product.seq, value(product, sort.key)))
        .collect();
    rows.sort_by(|a, b| {
        let order = match (&a.1, &b.1) {
            (SortValue::Number(a), SortValue::Number(b)) => a.cmp(b),
            (SortValue::Text(a), SortValue::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => std::cmp::Ordering::Equal,
        };
        order.then(a.0.cmp(&b.0))
    });
    if sort.direction == Direction::Descending {
        rows.reverse();
    }
    rows
}

fn drivers(filters: &Filters, categories: Option<&[String]>) -> Vec<Driver> {
    let mut drivers = vec![Driver::Walk];
    if !filters.brands.is_empty() {
        drivers.push(Driver::Term {
            name: String::new(),
            values: filters.brands.clone(),
        });
    }
    for (name, values) in &filters.attributes {
        drivers.push(Driver::Term {
            name: name.clone(),
            values: values.clone(),
        });
    }
    if filters.min_price.is_some() || filters.max_price.is_some() {
        drivers.push(Driver::Price);
    }
    if filters.min_rating.is_some() {
        drivers.push(Driver::Rating);
    }
    if categories.is_some() {
        drivers.push(Driver::Category);
    }
    drivers
}

fn any_filters() -> impl Strategy<Value = Filters> {
    let texts = |values: &'static [&'static str]| {
        prop::sample::subsequence(values, 0..=2).prop_map(|values| {
            values
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<String>>()
        })
    };
    (
        texts(&["Drifthorn", "Norrfell", "nobody"]),
        texts(&["blue", "green", "red"]),
        texts(&["steel", "wood"]),
        prop::option::of(0..500_000_i64),
        prop::option::of(300_000..900_000_i64),
        prop::option::of(0..5_000_i64),
        any::<bool>(),
    )
        .prop_map(
            |(brands, colors, materials, min_price, max_price, min_rating, in_stock)| {
                let attributes = [("color", colors), ("material", materials)]
                    .into_iter()
                    .filter(|(_, values)| !values.is_empty())
                    .map(|(name, values)| (name.to_owned(), values))
                    .collect();
                Filters {
                    brands,
                    min_price,
                    max_price,
                    min_rating,
                    in_stock: in_stock.then_some(InStock),
                    attributes,
                }
            },
        )
}

fn every_way_to_find_products_gives_the_same_rows(engine: Engine) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (shop, products) = runtime.block_on(shop(engine));
    let keys = [
        SortKey::Popularity,
        SortKey::Price,
        SortKey::Name,
        SortKey::Rating,
        SortKey::CreatedAt,
    ];
    let scopes = [
        None,
        Some(vec!["sleds".to_owned()]),
        Some(vec!["sleds".to_owned(), "boots".to_owned()]),
    ];
    let strategy = (
        any_filters(),
        prop::sample::select(keys.to_vec()),
        prop::sample::select(vec![Direction::Ascending, Direction::Descending]),
        prop::sample::select(scopes.to_vec()),
        0..60_usize,
        1..30_i64,
    );
    let check = |(filters, key, direction, categories, start, fetch): (
        Filters,
        SortKey,
        Direction,
        Option<Vec<String>>,
        usize,
        i64,
    )| {
        let sort = Sort { key, direction };
        let all = model(&products, &filters, categories.as_deref(), sort);
        for driver in drivers(&filters, categories.as_deref()) {
            let selection = Selection {
                categories: categories.clone(),
                filters: filters.clone(),
                driver,
            };
            let expected: Vec<_> = all
                .iter()
                .skip(start)
                .take(fetch as usize)
                .cloned()
                .collect();
            let by_offset = Window {
                sort,
                after: None,
                offset: start as i64,
                fetch,
            };
            let found = runtime.block_on(list::page(shop.catalog.store(), &selection, &by_offset));
            prop_assert_eq!(&found.unwrap(), &expected, "{:?}", selection);
            if let Some((seq, value)) = start.checked_sub(1).and_then(|last| all.get(last)) {
                let after = Some((value.clone(), *seq));
                let by_token = Window {
                    sort,
                    after,
                    offset: 0,
                    fetch,
                };
                let found =
                    runtime.block_on(list::page(shop.catalog.store(), &selection, &by_token));
                prop_assert_eq!(&found.unwrap(), &expected, "{:?}", selection);
            }
            let total = runtime.block_on(count::count(shop.catalog.store(), &selection, 1_000));
            prop_assert_eq!(total.unwrap(), all.len() as i64, "{:?}", selection);
            let bounded = runtime.block_on(count::count(shop.catalog.store(), &selection, 5));
            prop_assert_eq!(bounded.unwrap(), (all.len() as i64).min(5));
        }
        let plan = runtime
            .block_on(count::plan(
                shop.catalog.store(),
                categories,
                filters,
                sort,
                all.len() as i64,
            ))
            .unwrap();
        prop_assert!(plan.total.is_none_or(|total| total == all.len() as i64));
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner.run(&strategy, check).unwrap();
}

async fn tokens_walk_a_whole_list_once(engine: Engine) {
    let (shop, _) = shop(engine).await;
    for (sort, order) in [
        ("popularity", ""),
        ("rating", "asc"),
        ("name", ""),
        ("created_at", ""),
    ] {
        let mut seen = std::collections::BTreeSet::new();
        let mut page_token = String::new();
        loop {
            let request = ListProductsRequest {
                sort: sort.to_owned(),
                order: order.to_owned(),
                limit: Some(17),
                page_token,
                ..ListProductsRequest::default()
            };
            let answer = shop
                .browsing
                .list_products(Request::new(request))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(answer.total, PRODUCTS as i64);
            for product in &answer.items {
                assert!(
                    seen.insert(product.product_id.clone()),
                    "{} came twice",
                    product.sku
                );
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen.len(), PRODUCTS);
    }
}

#[tokio::test]
async fn a_list_reads_its_order_off_an_index() {
    let (shop, _) = shop(Engine::Sqlite).await;
    let plan = async |sql: &str| {
        let rows = shop
            .catalog
            .store()
            .all(&format!("EXPLAIN QUERY PLAN {sql}"), mesh::args![])
            .await
            .unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail").unwrap()).collect();
        steps.join("; ")
    };
    for key in [
        "popularity",
        "price_key",
        "name_key",
        "rating_milli",
        "created_at",
    ] {
        let whole = plan(&format!(
            "SELECT q.seq FROM products q WHERE q.status = 'active' AND q.price_key + 0 >= 5 \
             AND (q.{key}, q.seq) < (5, 5) ORDER BY q.{key} DESC, q.seq DESC LIMIT 20"
        ))
        .await;
        assert!(
            !whole.contains("TEMP B-TREE") && whole.contains("SEARCH"),
            "{whole}"
        );
        let within = plan(&format!(
            "SELECT q.seq FROM products q WHERE q.status = 'active' AND q.category_slug = 'a' \
             AND (q.{key}, q.seq) > (5, 5) ORDER BY q.{key}, q.seq LIMIT 20"
        ))
        .await;
        assert!(
            !within.contains("TEMP B-TREE") && within.contains("SEARCH"),
            "{within}"
        );
    }
    let counted = plan(
        "SELECT COUNT(*) FROM (SELECT 1 FROM products q WHERE q.status = 'active' AND q.brand IN ('a') \
         AND q.price_key >= 5 AND q.rating_milli + 0 >= 4 AND q.in_stock = 1 LIMIT 9)",
    )
    .await;
    assert!(
        counted.contains("COVERING INDEX products_by_price"),
        "{counted}"
    );
    let counted = plan(
        "SELECT COUNT(*) FROM (SELECT 1 FROM products q WHERE q.status = 'active' \
         AND q.category_slug IN (SELECT value FROM json_each('[]')) AND q.brand IN ('a') AND q.in_stock = 1 LIMIT 9)",
    )
    .await;
    assert!(
        counted.contains("COVERING INDEX products_by_category_price"),
        "{counted}"
    );
    let counted = plan(
        "SELECT COUNT(*) FROM (SELECT 1 FROM products q WHERE q.status = 'active' AND q.brand IN ('a') LIMIT 9)",
    )
    .await;
    assert!(
        counted.contains("COVERING INDEX products_by_price"),
        "{counted}"
    );
}

on_each_engine! {
    async tokens_walk_a_whole_list_once;
    fn every_way_to_find_products_gives_the_same_rows;
}
