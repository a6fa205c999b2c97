//! Products out of rows.

use std::collections::{BTreeMap, HashMap};

use mesh::{
    Currency, Money,
    store::{Row, Sql, StoreError},
};
use serde::de::DeserializeOwned;

use super::{Query, list};
use crate::domain::product::{Image, Pricing, Product, Status, Variant};

macro_rules! select_products {
    ($from:literal) => {
        concat!(
            "SELECT p.seq, p.product_id, p.sku, p.slug, p.name, p.brand, p.category_slug, p.price_minor, p.currency, ",
            "p.compare_at_minor, p.tax_rate, p.status, p.rating_milli, p.review_count, p.views, p.purchases, ",
            "p.created_at, p.updated_at, p.published_at, p.version, p.content_hash, ",
            "t.description, t.long_description, t.images, t.attributes FROM ",
            $from,
            " JOIN product_texts t ON t.seq = p.seq ORDER BY wanted.key"
        )
    };
}

macro_rules! select_variants {
    ($from:literal) => {
        concat!(
            "SELECT v.product_seq, v.variant_id, v.sku, v.attributes, v.price_minor, v.position, ",
            "v.stock, v.initial_stock, v.is_sold FROM ",
            $from,
            " ORDER BY v.product_seq, v.position, v.variant_id"
        )
    };
}

const SELECT_PRODUCTS: Sql = Sql {
    sqlite: select_products!("json_each($1) wanted CROSS JOIN products p ON p.seq = wanted.value"),
    postgres: select_products!(
        "unnest($1::bigint[]) WITH ORDINALITY AS wanted (value, key) JOIN products p ON p.seq = wanted.value"
    ),
};

const SELECT_VARIANTS: Sql = Sql {
    sqlite: select_variants!(
        "json_each($1) wanted CROSS JOIN variants v ON v.product_seq = wanted.value"
    ),
    postgres: select_variants!(
        "unnest($1::bigint[]) AS wanted (value) JOIN variants v ON v.product_seq = wanted.value"
    ),
};

/// Loads the products with these row numbers, in this order, with their variants. Two queries, however
/// many products. Numbers without a row are left out.
///
/// # Errors
/// See [`StoreError`].
pub async fn load(query: &impl Query, seqs: &[i64]) -> Result<Vec<Product>, StoreError> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let dialect = query.dialect();
    let wanted = list(dialect, seqs);
    let mut variants: HashMap<i64, Vec<Variant>> = HashMap::new();
    for row in query
        .rows(SELECT_VARIANTS.of(dialect), vec![wanted.clone()])
        .await?
    {
        variants
            .entry(row.get(0_usize)?)
            .or_default()
            .push(variant(&row)?);
    }
    query
        .rows(SELECT_PRODUCTS.of(dialect), vec![wanted])
        .await?
        .iter()
        .map(|row| {
            let mut product = product(row)?;
            product.variants = variants.remove(&product.seq).unwrap_or_default();
            Ok(product)
        })
        .collect()
}

/// Loads one product.
///
/// # Errors
/// See [`StoreError`].
pub async fn load_one(query: &impl Query, seq: i64) -> Result<Option<Product>, StoreError> {
    Ok(load(query, &[seq]).await?.into_iter().next())
}

/// A currency out of its column.
///
/// # Errors
/// A code that is not known.
pub fn currency(code: &str) -> Result<Currency, StoreError> {
    code.parse()
        .map_err(|error: mesh::MoneyError| StoreError::Decode {
            column: "currency".to_owned(),
            message: error.to_string(),
        })
}

/// A JSON column as a `T`.
///
/// # Errors
/// Text that is not such JSON.
pub fn json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T, StoreError> {
    let text: &str = row.get(column)?;
    serde_json::from_str(text).map_err(|error| StoreError::Decode {
        column: format!("#{column}"),
        message: error.to_string(),
    })
}

fn product(row: &Row) -> Result<Product, StoreError> {
    let currency = currency(row.get(8_usize)?)?;
    let compare_at: Option<i64> = row.get(9_usize)?;
    Ok(Product {
        seq: row.get(0_usize)?,
        product_id: row.get(1_usize)?,
        sku: row.get(2_usize)?,
        slug: row.get(3_usize)?,
        name: row.get(4_usize)?,
        brand: row.get(5_usize)?,
        category_slug: row.get(6_usize)?,
        pricing: Pricing {
            price: Money::new(row.get(7_usize)?, currency),
            compare_at: compare_at.map(|minor| Money::new(minor, currency)),
            tax_rate: row.get(10_usize)?,
        },
        status: Status::named(row.get(11_usize)?),
        rating_milli: row.get(12_usize)?,
        review_count: row.get(13_usize)?,
        views: row.get(14_usize)?,
        purchases: row.get(15_usize)?,
        created_at: row.get(16_usize)?,
        updated_at: row.get(17_usize)?,
        published_at: row.get(18_usize)?,
        version: row.get(19_usize)?,
        content_hash: row.get(20_usize)?,
        description: row.get(21_usize)?,
        long_description: row.get(22_usize)?,
        images: json::<Vec<Image>>(row, 23)?,
        attributes: json::<BTreeMap<String, String>>(row, 24)?,
        variants: Vec::new(),
    })
}

fn variant(row: &Row) -> Result<Variant, StoreError> {
    Ok(Variant {
        variant_id: row.get(1_usize)?,
        sku: row.get(2_usize)?,
        attributes: json(row, 3)?,
        price_minor: row.get(4_usize)?,
        position: row.get(5_usize)?,
        stock: row.get(6_usize)?,
        initial_stock: row.get(7_usize)?,
        is_sold: row.get(8_usize)?,
    })
}
