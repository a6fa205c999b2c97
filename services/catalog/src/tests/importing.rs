//! Imports, and what is derived from products after many changes.

use contracts::hub::catalog::v1::{
    ArchiveProductRequest, ImportRow, ImportVariant,
    catalog_management_service_server::CatalogManagementService,
};
use futures::future::join_all;
use mesh::{events::Data, store::Tx};
use proptest::prelude::*;

use super::{Engine, Shop, as_staff, row};
use crate::store::stock;

/// Compares every counter and term with what the products say.
async fn check_derived(shop: &Shop) {
    let difference = "SELECT COUNT(*) FROM (\
         SELECT category_slug, kind, name, value, products FROM facet_counts WHERE kind IN ('all', 'brand', 'in_stock', 'attribute') \
         EXCEPT SELECT * FROM expected) AS wrong";
    let reverse = "SELECT COUNT(*) FROM (SELECT * FROM expected EXCEPT \
         SELECT category_slug, kind, name, value, products FROM facet_counts WHERE kind IN ('all', 'brand', 'in_stock', 'attribute')) AS missing";
    let expected = "WITH expected (category_slug, kind, name, value, products) AS (\
         SELECT category_slug, 'all', '', '', COUNT(*) FROM products WHERE status = 'active' GROUP BY category_slug \
         UNION ALL SELECT category_slug, 'brand', '', brand, COUNT(*) FROM products WHERE status = 'active' AND brand <> '' GROUP BY category_slug, brand \
         UNION ALL SELECT category_slug, 'in_stock', '', '', COUNT(*) FROM products WHERE status = 'active' AND in_stock GROUP BY category_slug \
         UNION ALL SELECT p.category_slug, 'attribute', a.name, a.value, COUNT(*) FROM product_terms a JOIN products p ON p.seq = a.seq \
         WHERE a.name <> '' GROUP BY p.category_slug, a.name, a.value) ";
    assert_eq!(
        shop.number(&format!("{expected}{difference}")).await,
        0,
        "a counter is wrong"
    );
    assert_eq!(
        shop.number(&format!("{expected}{reverse}")).await,
        0,
        "a counter is missing"
    );
    for kind in ["price", "rating"] {
        let counted = shop
            .number(&format!(
                "SELECT COALESCE(SUM(products), 0) FROM facet_counts WHERE kind = '{kind}'"
            ))
            .await;
        assert_eq!(
            counted,
            shop.number("SELECT COUNT(*) FROM products WHERE status = 'active'")
                .await
        );
    }
    let stock = "SELECT COUNT(*) FROM products p WHERE p.in_stock <> EXISTS (\
         SELECT 1 FROM variants v WHERE v.product_seq = p.seq AND v.is_sold AND v.stock > 0)";
    assert_eq!(shop.number(stock).await, 0);
    let words = shop.number("SELECT COUNT(*) FROM product_words").await;
    assert_eq!(
        words,
        shop.number("SELECT COUNT(*) FROM products WHERE status = 'active'")
            .await
    );
}

async fn the_same_file_twice_changes_nothing(engine: Engine) {
    let shop = Shop::open(engine).await;
    let rows: Vec<ImportRow> = (0..50).map(row).collect();
    assert_eq!(shop.import(rows.clone()).await.created, 50);
    assert_eq!(shop.events().await.len(), 50);
    let again = shop.import(rows.clone()).await;
    assert_eq!((again.created, again.updated, again.unchanged), (0, 0, 50));
    assert_eq!(shop.events().await.len(), 50);
    let mut changed = rows;
    changed[3].price = "7.77".to_owned();
    let third = shop.import(changed).await;
    assert_eq!((third.updated, third.unchanged), (1, 49));
    let events = shop.events().await;
    let Some(Data::ProductUpdated(updated)) = &events[50].data else {
        panic!("{:?}", events[50]);
    };
    let product = updated.product.as_ref().unwrap();
    assert_eq!((product.sku.as_str(), product.version), ("SKU-3", 2));
    assert_eq!(product.variants.len(), 2);
    assert_eq!(product.category_name, "Boots");
    assert_eq!(events[50].ordering_key, product.product_id);
    check_derived(&shop).await;
}

async fn bad_rows_are_reported_and_the_others_go_on(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut rows: Vec<ImportRow> = (0..6).map(row).collect();
    rows[1].price = "1,50".to_owned();
    rows[2].slug = "taken".to_owned();
    rows[3].slug = "taken".to_owned();
    rows[4].variants[0].sku = "SKU-0-1".to_owned();
    let answer = shop.import(rows).await;
    assert_eq!(answer.created, 3);
    let errors: Vec<(i64, &str)> = answer
        .errors
        .iter()
        .map(|error| (error.line, error.field.as_str()))
        .collect();
    assert_eq!(errors, [(2, "price"), (4, "slug"), (5, "variants[0].sku")]);
    assert_eq!(answer.errors[1].message, "is taken by the product SKU-2");
    check_derived(&shop).await;
}

async fn a_variant_that_is_no_longer_listed_is_no_longer_sold(engine: Engine) {
    let shop = Shop::open(engine).await;
    shop.import(vec![row(1)]).await;
    let mut changed = row(1);
    changed.variants.remove(0);
    changed.variants.push(ImportVariant {
        sku: "NEW".into(),
        stock: 4,
        ..ImportVariant::default()
    });
    assert_eq!(shop.import(vec![changed]).await.updated, 1);
    assert_eq!(shop.number("SELECT COUNT(*) FROM variants").await, 3);
    assert_eq!(
        shop.number("SELECT COUNT(*) FROM variants WHERE NOT is_sold")
            .await,
        1
    );
    check_derived(&shop).await;
    assert_eq!(shop.import(vec![row(1)]).await.updated, 1);
    assert_eq!(
        shop.number("SELECT COUNT(*) FROM variants WHERE is_sold")
            .await,
        2
    );
    check_derived(&shop).await;
}

async fn one_batch_may_name_a_product_twice(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut second = row(1);
    second.name = "Second".to_owned();
    let answer = shop.import(vec![row(1), second]).await;
    assert_eq!((answer.created, answer.updated), (1, 1));
    assert_eq!(
        shop.number("SELECT COUNT(*) FROM products WHERE name = 'Second'")
            .await,
        1
    );
    check_derived(&shop).await;
}

async fn what_is_derived_survives_changes_at_the_same_time(engine: Engine) {
    let shop = Shop::open(engine).await;
    let rows: Vec<ImportRow> = (0..40).map(row).collect();
    shop.import(rows.clone()).await;
    let changed = |content: usize, products: std::ops::Range<usize>| -> Vec<ImportRow> {
        products
            .map(|number| ImportRow {
                sku: rows[number].sku.clone(),
                variants: rows[number].variants.clone(),
                ..row(number + content)
            })
            .collect()
    };
    let imports = [(1, 0..20), (2, 10..30), (3, 20..40), (4, 0..40), (6, 5..15)]
        .map(|(content, products)| shop.import(changed(content, products)));
    let variants = shop
        .catalog
        .store()
        .all("SELECT variant_id FROM variants", mesh::args![])
        .await
        .unwrap();
    let stock = variants.iter().step_by(3).enumerate().map(|(index, row)| {
        let variant_id: String = row.get(0_usize).unwrap();
        let available = [0, 7][index % 2];
        shop.catalog
            .store()
            .write(move |tx: Tx| async move { stock::note(&tx, &variant_id, available).await })
    });
    let edits = (0..40).step_by(4).map(|number| {
        let request = ArchiveProductRequest {
            product_id: format!("SKU-{number}"),
        };
        shop.management.archive_product(as_staff(request))
    });
    let (imports, stock, edits) =
        futures::join!(join_all(imports), join_all(stock), join_all(edits));
    assert!(imports.iter().all(|answer| answer.errors.is_empty()));
    assert!(stock.iter().all(Result::is_ok), "{stock:?}");
    assert!(edits.iter().all(Result::is_ok), "{edits:?}");
    check_derived(&shop).await;
}

fn what_is_derived_follows_any_changes(engine: Engine) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let change = (0..12_usize, 0..40_usize, any::<bool>());
    let strategy = prop::collection::vec(prop::collection::vec(change, 1..8), 1..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |batches| {
            runtime.block_on(async {
                let shop = Shop::open(engine).await;
                for batch in batches {
                    let rows = batch.into_iter().map(|(product, content, sells_one)| {
                        let mut changed = row(content);
                        changed.sku = format!("P-{product}");
                        for (index, variant) in changed.variants.iter_mut().enumerate() {
                            variant.sku = format!("P-{product}-{index}");
                        }
                        if sells_one {
                            changed.variants.truncate(1);
                        }
                        changed
                    });
                    let answer = shop.import(rows.collect()).await;
                    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
                }
                check_derived(&shop).await;
            });
            Ok(())
        })
        .unwrap();
}

on_each_engine! {
    async what_is_derived_survives_changes_at_the_same_time;
    async the_same_file_twice_changes_nothing;
    async bad_rows_are_reported_and_the_others_go_on;
    async a_variant_that_is_no_longer_listed_is_no_longer_sold;
    async one_batch_may_name_a_product_twice;
    fn what_is_derived_follows_any_changes;
}
