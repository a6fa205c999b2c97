//! What shoppers and other services ask for.

use contracts::hub::{
    catalog::v1::{
        BatchGetVariantsRequest, GetProductRequest, ImportRow, ListFeaturedProductsRequest,
        ListProductFiltersRequest, ListProductsRequest, ListRelatedProductsRequest,
        SearchProductsRequest, VariantRef, catalog_service_server::CatalogService,
    },
    events::v1::{Envelope, OrderCreated, OrderLine},
};
use mesh::{
    Reason, Rendered,
    events::{Consumer, Data},
    store::Tx,
};
use tonic::Request;

use super::{Engine, Shop, row};
use crate::{events::CountPurchases, interest, store::stock};

async fn shop(engine: Engine) -> Shop {
    let shop = Shop::open(engine).await;
    let answer = shop.import((0..60).map(row).collect()).await;
    assert_eq!(answer.created, 60, "{:?}", answer.errors);
    shop
}

async fn get(shop: &Shop, key: &str) -> contracts::hub::catalog::v1::Product {
    let request = GetProductRequest {
        product_id: key.to_owned(),
    };
    shop.browsing
        .get_product(Request::new(request))
        .await
        .unwrap()
        .into_inner()
}

async fn search(shop: &Shop, request: SearchProductsRequest) -> Vec<String> {
    let answer = shop
        .browsing
        .search_products(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.source, "catalog");
    assert!(answer.total >= answer.items.len() as i64);
    answer
        .items
        .into_iter()
        .map(|product| product.sku)
        .collect()
}

async fn a_product_is_found_by_every_name_it_has(engine: Engine) {
    let shop = shop(engine).await;
    let product = get(&shop, "SKU-7").await;
    assert_eq!(get(&shop, &product.product_id).await, product);
    assert_eq!(get(&shop, &product.slug).await, product);
    assert!(product.in_stock);
    assert_eq!(product.variants[0].price.as_ref().unwrap().amount, "37.07");
    assert_eq!(product.variants[1].price.as_ref().unwrap().amount, "8.00");
}

async fn facets_add_up(engine: Engine) {
    let shop = shop(engine).await;
    for (category, total) in [("", 60), ("sleds", 30)] {
        let request = ListProductFiltersRequest {
            category: category.to_owned(),
        };
        let facets = shop
            .browsing
            .list_product_filters(Request::new(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(facets.total, total);
        assert_eq!(
            facets.brands.iter().map(|brand| brand.count).sum::<i64>(),
            total
        );
        assert_eq!(
            facets
                .price_ranges
                .iter()
                .map(|range| range.count)
                .sum::<i64>(),
            total
        );
        assert!(facets.price_ranges.len() > 2);
        assert!(facets.min_price.is_some() && facets.max_price.is_some());
        let material = facets
            .attributes
            .iter()
            .find(|facet| facet.name == "material")
            .unwrap();
        assert_eq!(
            material.values.iter().map(|value| value.count).sum::<i64>(),
            total
        );
    }
    // A change ends what was kept.
    shop.import((60..70).map(row).collect()).await;
    let request = ListProductFiltersRequest::default();
    let facets = shop
        .browsing
        .list_product_filters(Request::new(request))
        .await
        .unwrap();
    assert_eq!(facets.into_inner().total, 70);
    let unknown = ListProductFiltersRequest {
        category: "nothing".to_owned(),
    };
    let refused = shop
        .browsing
        .list_product_filters(Request::new(unknown))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::NotFound);
}

async fn bad_filters_name_the_place(engine: Engine) {
    let shop = Shop::open(engine).await;
    for (filters, field) in [
        ("{", "filters"),
        (r#"{"price":{"min":"x"}}"#, "filters.price.min"),
    ] {
        let request = ListProductsRequest {
            filters: filters.to_owned(),
            ..Default::default()
        };
        let refused = shop
            .browsing
            .list_products(Request::new(request))
            .await
            .unwrap_err();
        let rendered = Rendered::of(&refused);
        assert_eq!(rendered.http_status(), 400);
        assert_eq!(rendered.fields[0].field, field);
    }
}

async fn search_works_while_the_agent_does_not(engine: Engine) {
    let shop = shop(engine).await;
    let words = |q: &str| SearchProductsRequest {
        q: q.to_owned(),
        ..Default::default()
    };
    let name = get(&shop, "SKU-11").await.name;
    assert!(
        search(&shop, words(&name.to_lowercase()))
            .await
            .contains(&"SKU-11".to_owned())
    );
    assert!(!search(&shop, words("under wood")).await.is_empty());
    assert!(search(&shop, words("no such words")).await.is_empty());
    assert!(search(&shop, words("\"'*(")).await.is_empty());
    let narrowed = SearchProductsRequest {
        q: "norrf".to_owned(),
        category: "sleds".to_owned(),
        sort: "price".to_owned(),
        filters: r#"{"price":{"max":40}}"#.to_owned(),
        ..Default::default()
    };
    let found = search(&shop, narrowed).await;
    assert!(!found.is_empty());
    let mut last = String::new();
    for sku in found {
        let product = get(&shop, &sku).await;
        let amount = format!("{:>8}", product.price.unwrap().amount);
        assert_eq!(
            (product.brand.as_str(), product.category_slug.as_str()),
            ("Norrfell", "sleds")
        );
        assert!(amount >= last && amount.as_str() <= "   40.00");
        last = amount;
    }
    assert_eq!(search(&shop, words("")).await.len(), 20);
}

async fn what_is_called_so_comes_before_what_is_described_so(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut rows: Vec<ImportRow> = (0..4).map(row).collect();
    // All have the word: two in a fact, the more popular ones, one in its name, one in its brand.
    rows[0].attributes = [("use".to_owned(), "crème brûlée".to_owned())].into();
    rows[0].review_count = 90;
    rows[1].attributes = [("use".to_owned(), "Creme Brulee".to_owned())].into();
    rows[1].review_count = 80;
    rows[2].name = "Torch for Crème Brûlée".to_owned();
    rows[2].review_count = 1;
    rows[3].name = "Creme dish".to_owned();
    rows[3].brand = "Brulée".to_owned();
    rows[3].review_count = 2;
    shop.import(rows).await;
    let request = SearchProductsRequest {
        q: "creme BRÛL".to_owned(),
        ..Default::default()
    };
    let found = search(&shop, request).await;
    assert_eq!(found, ["SKU-3", "SKU-2", "SKU-0", "SKU-1"]);
}

async fn related_products_are_near_and_in_stock_first(engine: Engine) {
    let shop = shop(engine).await;
    let request = ListRelatedProductsRequest {
        product_id: "SKU-8".to_owned(),
        limit: Some(10),
    };
    let items = shop
        .browsing
        .list_related_products(Request::new(request))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(items.len(), 10);
    assert!(
        items
            .iter()
            .all(|product| product.sku != "SKU-8" && product.category_slug == "sleds")
    );
    let stock: Vec<bool> = items.iter().map(|product| product.in_stock).collect();
    assert!(stock.is_sorted_by(|a, b| a >= b), "{stock:?}");
}

async fn variants_are_resolved_by_any_name(engine: Engine) {
    let shop = shop(engine).await;
    let product = get(&shop, "SKU-9").await;
    let reference = |product: &str, variant: &str| VariantRef {
        product_id: product.to_owned(),
        variant_id: variant.to_owned(),
    };
    let second = &product.variants[1];
    let refs = vec![
        reference("", &second.variant_id),
        reference(&product.slug, "SKU-9-2"),
        reference("SKU-9", ""),
        reference("SKU-8", &second.variant_id),
        reference("nothing", ""),
        reference(&product.product_id, &second.variant_id),
    ];
    let answer = shop
        .browsing
        .batch_get_variants(Request::new(BatchGetVariantsRequest { refs }))
        .await
        .unwrap()
        .into_inner();
    let found: Vec<(i32, &str)> = answer
        .variants
        .iter()
        .map(|variant| (variant.ref_index, variant.sku.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (0, "SKU-9-2"),
            (1, "SKU-9-2"),
            (2, "SKU-9-1"),
            (5, "SKU-9-2")
        ]
    );
    assert_eq!(
        answer.variants[0].unit_price.as_ref().unwrap().amount,
        "10.00"
    );
    assert_eq!(answer.variants[2].unit_price, product.variants[0].price);
    assert!(answer.variants[0].active);
}

async fn stock_events_move_products_in_and_out_of_stock(engine: Engine) {
    let shop = shop(engine).await;
    let product = get(&shop, "SKU-7").await;
    let count = "SELECT SUM(products) FROM facet_counts WHERE kind = 'in_stock'";
    let before = shop.number(count).await;
    let note = async |available: i64| {
        let variant_id = product.variants[0].variant_id.clone();
        shop.catalog
            .store()
            .write(move |tx: Tx| async move { stock::note(&tx, &variant_id, available).await })
            .await
            .unwrap();
    };
    note(0).await;
    assert!(!get(&shop, "SKU-7").await.in_stock);
    assert_eq!(shop.number(count).await, before - 1);
    note(3).await;
    note(2).await;
    let now = get(&shop, "SKU-7").await;
    assert_eq!((now.in_stock, now.variants[0].stock), (true, 2));
    assert_eq!(shop.number(count).await, before);
}

async fn views_and_purchases_make_products_popular(engine: Engine) {
    let shop = shop(engine).await;
    let product = get(&shop, "SKU-0").await;
    for _ in 0..3 {
        get(&shop, "SKU-0").await;
    }
    let order = OrderCreated {
        items: vec![OrderLine {
            product_id: product.product_id.clone(),
            quantity: 100,
            ..OrderLine::default()
        }],
        ..OrderCreated::default()
    };
    let event = Envelope {
        data: Some(Data::OrderCreated(order)),
        ..Envelope::default()
    };
    let _ = CountPurchases(shop.catalog.clone())
        .react(&event)
        .await
        .unwrap();
    let events = shop.events().await.len();
    interest::write(&shop.catalog).await.unwrap();
    assert_eq!(
        shop.number("SELECT popularity FROM products WHERE sku = 'SKU-0'")
            .await,
        1_004
    );
    assert_eq!(shop.events().await.len(), events + 1, "search hears of it");
    let request = ListFeaturedProductsRequest {
        limit: Some(1),
        offset: None,
    };
    let featured = shop
        .browsing
        .list_featured_products(Request::new(request))
        .await
        .unwrap();
    assert_eq!(featured.into_inner().items[0].sku, "SKU-0");
    get(&shop, "SKU-0").await;
    interest::write(&shop.catalog).await.unwrap();
    assert_eq!(
        shop.events().await.len(),
        events + 1,
        "one more view is no news"
    );
}

on_each_engine! {
    async a_product_is_found_by_every_name_it_has;
    async facets_add_up;
    async bad_filters_name_the_place;
    async search_works_while_the_agent_does_not;
    async what_is_called_so_comes_before_what_is_described_so;
    async related_products_are_near_and_in_stock_first;
    async variants_are_resolved_by_any_name;
    async stock_events_move_products_in_and_out_of_stock;
    async views_and_purchases_make_products_popular;
}
