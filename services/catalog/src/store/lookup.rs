//! Row numbers of products by the names that people and other services know them by.

use mesh::{
    args,
    store::{StoreError, Value},
};

use super::{Query, json_list};

/// The row of the product with this id, slug or SKU. An id wins over a slug, a slug over a SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn seq_of(query: &impl Query, key: &str) -> Result<Option<i64>, StoreError> {
    let rows = query
        .rows(
            "SELECT seq, 1 AS rank FROM products WHERE product_id = $1 \
             UNION ALL SELECT seq, 2 FROM products WHERE slug = $1 \
             UNION ALL SELECT seq, 3 FROM products WHERE sku = $1 ORDER BY rank LIMIT 1",
            args![key],
        )
        .await?;
    rows.first().map(|row| row.get(0_usize)).transpose()
}

/// Rows of active products by id, in the order of the ids.
///
/// # Errors
/// See [`StoreError`].
pub async fn active_by_ids(query: &impl Query, ids: &[&str]) -> Result<Vec<i64>, StoreError> {
    collect(
        query
            .rows(
                "SELECT p.seq FROM json_each($1) wanted CROSS JOIN products p ON p.product_id = wanted.value \
                 WHERE p.status = 'active' ORDER BY wanted.key",
                vec![json_list(ids)],
            )
            .await?,
    )
}

/// Rows of products with one of these SKUs.
///
/// # Errors
/// See [`StoreError`].
pub async fn by_skus(query: &impl Query, skus: &[&str]) -> Result<Vec<i64>, StoreError> {
    collect(
        query
            .rows(
                "SELECT p.seq FROM json_each($1) wanted CROSS JOIN products p ON p.sku = wanted.value",
                vec![json_list(skus)],
            )
            .await?,
    )
}

/// Which of these slugs are taken, and by the product with which SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn slug_owners(
    query: &impl Query,
    slugs: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    pairs(
        query,
        "SELECT p.slug, p.sku FROM json_each($1) wanted CROSS JOIN products p ON p.slug = wanted.value",
        json_list(slugs),
    )
    .await
}

/// Which of these variant SKUs are taken, and by the product with which SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn variant_owners(
    query: &impl Query,
    skus: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    pairs(
        query,
        "SELECT v.sku, p.sku FROM json_each($1) wanted CROSS JOIN variants v ON v.sku = wanted.value \
         JOIN products p ON p.seq = v.product_seq",
        json_list(skus),
    )
    .await
}

/// Rows of active products in a category whose price is next to `price_key`, at most `each` below and
/// as many from it upwards.
///
/// # Errors
/// See [`StoreError`].
pub async fn near_price(
    query: &impl Query,
    category: &str,
    price_key: i64,
    each: i64,
) -> Result<Vec<i64>, StoreError> {
    let mut found = collect(
        query
            .rows(
                "SELECT seq FROM products WHERE status = 'active' AND category_slug = $1 AND price_key < $2 \
                 ORDER BY price_key DESC, seq DESC LIMIT $3",
                args![category, price_key, each],
            )
            .await?,
    )?;
    found.extend(collect(
        query
            .rows(
                "SELECT seq FROM products WHERE status = 'active' AND category_slug = $1 AND price_key >= $2 \
                 ORDER BY price_key, seq LIMIT $3",
                args![category, price_key, each],
            )
            .await?,
    )?);
    Ok(found)
}

async fn pairs(
    query: &impl Query,
    sql: &str,
    list: Value,
) -> Result<Vec<(String, String)>, StoreError> {
    query
        .rows(sql, vec![list])
        .await?
        .iter()
        .map(|row| Ok((row.get(0_usize)?, row.get(1_usize)?)))
        .collect()
}

fn collect(rows: Vec<mesh::store::Row>) -> Result<Vec<i64>, StoreError> {
    rows.iter().map(|row| row.get(0_usize)).collect()
}
