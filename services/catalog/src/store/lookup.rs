//! Row numbers of products by the names that people and other services know them by.

use mesh::{
    args,
    store::{Sql, StoreError, Tx},
};

use super::{Query, id, list};

/// The row of the product with this id, slug or SKU. An id wins over a slug, a slug over a SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn seq_of(query: &impl Query, key: &str) -> Result<Option<i64>, StoreError> {
    let rows = query
        .rows(
            "SELECT seq, 1 AS rank FROM products WHERE product_id = $1 \
             UNION ALL SELECT seq, 2 FROM products WHERE slug = $2 \
             UNION ALL SELECT seq, 3 FROM products WHERE sku = $2 ORDER BY rank LIMIT 1",
            args![id(key), key],
        )
        .await?;
    rows.first().map(|row| row.get(0_usize)).transpose()
}

/// Rows of active products by id, in the order of the ids.
///
/// # Errors
/// See [`StoreError`].
pub async fn active_by_ids(query: &impl Query, ids: &[&str]) -> Result<Vec<i64>, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT p.seq FROM json_each($1) wanted CROSS JOIN products p ON p.product_id = wanted.value \
                 WHERE p.status = 'active' ORDER BY wanted.key",
        postgres: "SELECT p.seq FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (value, key) \
                   JOIN products p ON p.product_id = wanted.value WHERE p.status = 'active' ORDER BY wanted.key",
    };
    let ids: Vec<_> = ids.iter().filter_map(|text| id(text)).collect();
    let dialect = query.dialect();
    collect(
        query
            .rows(SQL.of(dialect), vec![list(dialect, &ids)])
            .await?,
    )
}

/// Rows of products with one of these SKUs.
///
/// # Errors
/// See [`StoreError`].
pub async fn by_skus(query: &impl Query, skus: &[&str]) -> Result<Vec<i64>, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT p.seq FROM json_each($1) wanted CROSS JOIN products p ON p.sku = wanted.value",
        postgres: "SELECT p.seq FROM products p WHERE p.sku = ANY($1::text[])",
    };
    let dialect = query.dialect();
    collect(
        query
            .rows(SQL.of(dialect), vec![list(dialect, skus)])
            .await?,
    )
}

/// Row numbers for new products, ascending.
#[derive(Debug)]
pub struct NewSeqs(std::vec::IntoIter<i64>);

impl NewSeqs {
    /// Takes `count` of them. Those that are not used are not given again on PostgreSQL.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take(tx: &Tx, count: usize) -> Result<Self, StoreError> {
        const SQL: Sql = Sql {
            // Products are never deleted, and one transaction writes at a time.
            sqlite: "WITH RECURSIVE fresh (seq, more) AS (SELECT COALESCE(MAX(seq), 0) + 1, $1 - 1 FROM products \
                     UNION ALL SELECT seq + 1, more - 1 FROM fresh WHERE more > 0) SELECT seq FROM fresh",
            postgres: "SELECT nextval('products_seq') FROM generate_series(1, $1)",
        };
        let rows = match i64::try_from(count) {
            Ok(count) if count > 0 => tx.all(SQL.of(tx.dialect()), args![count]).await?,
            _ => Vec::new(),
        };
        Ok(Self(collect(rows)?.into_iter()))
    }

    /// The next one.
    ///
    /// # Errors
    /// When more are asked for than were taken.
    pub fn next(&mut self) -> Result<i64, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Statement {
            message: "no row number was taken for a new product".to_owned(),
        })
    }
}

/// Which of these slugs are taken, and by the product with which SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn slug_owners(
    query: &impl Query,
    slugs: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT p.slug, p.sku FROM json_each($1) wanted CROSS JOIN products p ON p.slug = wanted.value",
        postgres: "SELECT p.slug, p.sku FROM products p WHERE p.slug = ANY($1::text[])",
    };
    pairs(query, SQL, slugs).await
}

/// Which of these variant SKUs are taken, and by the product with which SKU.
///
/// # Errors
/// See [`StoreError`].
pub async fn variant_owners(
    query: &impl Query,
    skus: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT v.sku, p.sku FROM json_each($1) wanted CROSS JOIN variants v ON v.sku = wanted.value \
                 JOIN products p ON p.seq = v.product_seq",
        postgres: "SELECT v.sku, p.sku FROM variants v JOIN products p ON p.seq = v.product_seq \
                   WHERE v.sku = ANY($1::text[])",
    };
    pairs(query, SQL, skus).await
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
    sql: Sql,
    keys: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    let dialect = query.dialect();
    query
        .rows(sql.of(dialect), vec![list(dialect, keys)])
        .await?
        .iter()
        .map(|row| Ok((row.get(0_usize)?, row.get(1_usize)?)))
        .collect()
}

fn collect(rows: Vec<mesh::store::Row>) -> Result<Vec<i64>, StoreError> {
    rows.iter().map(|row| row.get(0_usize)).collect()
}
