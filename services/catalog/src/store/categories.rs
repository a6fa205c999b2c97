//! Categories.

use std::collections::HashMap;

use mesh::{
    args,
    store::{StoreError, Tx},
};

use super::Query;
use crate::domain::tree::{Category, CategoryTree};

/// Loads all categories with their counters.
///
/// # Errors
/// See [`StoreError`].
pub async fn tree(query: &impl Query) -> Result<CategoryTree, StoreError> {
    let rows = query
        .rows(
            "SELECT c.category_id, c.slug, c.name, c.description, c.parent_slug, c.image_url, c.position, \
             COALESCE(f.products, 0), c.created_at FROM categories c LEFT JOIN facet_counts f \
             ON f.category_slug = c.slug AND f.kind = 'all' AND f.name = '' AND f.value = ''",
            args![],
        )
        .await?;
    let categories = rows
        .iter()
        .map(|row| {
            Ok(Category {
                category_id: row.get(0_usize)?,
                slug: row.get(1_usize)?,
                name: row.get(2_usize)?,
                description: row.get(3_usize)?,
                parent_slug: row.get(4_usize)?,
                image_url: row.get(5_usize)?,
                position: row.get(6_usize)?,
                own_products: row.get(7_usize)?,
                created_at: row.get(8_usize)?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(CategoryTree::new(categories))
}

/// The name of a category, if there is one with this slug.
///
/// # Errors
/// See [`StoreError`].
pub async fn name(query: &impl Query, slug: &str) -> Result<Option<String>, StoreError> {
    query
        .rows("SELECT name FROM categories WHERE slug = $1", args![slug])
        .await?
        .first()
        .map(|row| row.get(0_usize))
        .transpose()
}

/// The names of all categories by slug. Without the counters, which others change all the time.
///
/// # Errors
/// See [`StoreError`].
pub async fn names(query: &impl Query) -> Result<HashMap<String, String>, StoreError> {
    query
        .rows("SELECT slug, name FROM categories", args![])
        .await?
        .iter()
        .map(|row| Ok((row.get(0_usize)?, row.get(1_usize)?)))
        .collect()
}

/// Inserts a category. Returns whether there was none with its slug.
///
/// # Errors
/// See [`StoreError`].
pub async fn insert(tx: &Tx, category: &Category) -> Result<bool, StoreError> {
    let inserted = tx
        .execute(
            "INSERT INTO categories (category_id, slug, name, description, parent_slug, image_url, position, version, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8) ON CONFLICT (slug) DO NOTHING",
            args![
                &category.category_id,
                &category.slug,
                &category.name,
                &category.description,
                category.parent_slug.as_deref(),
                &category.image_url,
                category.position,
                category.created_at
            ],
        )
        .await?;
    Ok(inserted > 0)
}

/// Writes a changed category.
///
/// # Errors
/// See [`StoreError`].
pub async fn update(
    tx: &Tx,
    category: &Category,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE categories SET name = $1, description = $2, parent_slug = $3, image_url = $4, position = $5, \
         version = version + 1, updated_at = $6 WHERE slug = $7",
        args![
            &category.name,
            &category.description,
            category.parent_slug.as_deref(),
            &category.image_url,
            category.position,
            now,
            &category.slug
        ],
    )
    .await?;
    Ok(())
}

/// Rows of the products of a category after a row, for work in bounded steps.
///
/// # Errors
/// See [`StoreError`].
pub async fn products_after(
    query: &impl Query,
    slug: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    query
        .rows(
            "SELECT seq FROM products WHERE status = 'active' AND category_slug = $1 AND seq > $2 \
             ORDER BY seq LIMIT $3",
            args![slug, after, limit],
        )
        .await?
        .iter()
        .map(|row| row.get(0_usize))
        .collect()
}
