//! Writes a product with everything derived from it: search terms, words and counters.
//!
//! There is one way to change a product: load it, change the value, save both. What is derived is
//! computed from the two states here, so no caller can forget a part of it.

use mesh::{
    args,
    store::{StoreError, Tx},
};

use super::{counters::Deltas, words};
use crate::domain::{
    decimal,
    product::{Product, Variant},
    sort,
};

const INSERT_PRODUCT: &str = "INSERT INTO products (product_id, sku, slug, name, name_key, brand, category_slug, \
     price_minor, currency, price_key, compare_at_minor, tax_rate, status, rating_milli, review_count, views, \
     purchases, popularity, in_stock, created_at, updated_at, published_at, version, content_hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
     $22, $23, $24) RETURNING seq";

const UPDATE_PRODUCT: &str = "UPDATE products SET slug = $1, name = $2, name_key = $3, brand = $4, \
     category_slug = $5, price_minor = $6, currency = $7, price_key = $8, compare_at_minor = $9, tax_rate = $10, \
     status = $11, rating_milli = $12, review_count = $13, popularity = $14, in_stock = $15, updated_at = $16, \
     published_at = $17, version = $18, content_hash = $19 WHERE seq = $20 AND version = $21";

/// Saves `after` in the place of `before`, or as a new product. `after` comes back with its row number and
/// its new version.
///
/// # Errors
/// See [`StoreError`]; `Unavailable` when the product changed since `before` was read.
pub async fn save(
    tx: &Tx,
    before: Option<&Product>,
    mut after: Product,
    deltas: &mut Deltas,
) -> Result<Product, StoreError> {
    after.version = before.map_or(1, |product| product.version + 1);
    match before {
        None => insert(tx, &mut after).await?,
        Some(before) => update(tx, before, &after).await?,
    }
    save_variants(tx, before, &after).await?;
    save_terms(tx, before, &after).await?;
    words::replace(tx, before, &after).await?;
    deltas.replace(before, Some(&after));
    Ok(after)
}

async fn insert(tx: &Tx, product: &mut Product) -> Result<(), StoreError> {
    let pricing = &product.pricing;
    let row = tx
        .one(
            INSERT_PRODUCT,
            args![
                product.product_id,
                &product.sku,
                &product.slug,
                &product.name,
                sort::name_key(&product.name),
                &product.brand,
                &product.category_slug,
                pricing.price.minor,
                pricing.price.currency.as_str(),
                decimal::price_key(pricing.price),
                pricing.compare_at.map(|price| price.minor),
                &pricing.tax_rate,
                product.status.as_str(),
                product.rating_milli,
                product.review_count,
                product.views,
                product.purchases,
                product.popularity(),
                product.in_stock(),
                product.created_at,
                product.updated_at,
                product.published_at,
                product.version,
                product.content_hash.as_deref(),
            ],
        )
        .await?
        .ok_or_else(|| StoreError::Statement {
            message: "an insert returned no row".to_owned(),
        })?;
    product.seq = row.get(0_usize)?;
    tx.execute(
        "INSERT INTO product_texts (seq, description, long_description, images, attributes) VALUES ($1, $2, $3, $4, $5)",
        args![
            product.seq,
            &product.description,
            &product.long_description,
            json(&product.images),
            json(&product.attributes)
        ],
    )
    .await?;
    Ok(())
}

async fn update(tx: &Tx, before: &Product, product: &Product) -> Result<(), StoreError> {
    let pricing = &product.pricing;
    let changed = tx
        .execute(
            UPDATE_PRODUCT,
            args![
                &product.slug,
                &product.name,
                sort::name_key(&product.name),
                &product.brand,
                &product.category_slug,
                pricing.price.minor,
                pricing.price.currency.as_str(),
                decimal::price_key(pricing.price),
                pricing.compare_at.map(|price| price.minor),
                &pricing.tax_rate,
                product.status.as_str(),
                product.rating_milli,
                product.review_count,
                product.popularity(),
                product.in_stock(),
                product.updated_at,
                product.published_at,
                product.version,
                product.content_hash.as_deref(),
                product.seq,
                before.version,
            ],
        )
        .await?;
    if changed == 0 {
        return Err(StoreError::Unavailable {
            message: "the product was changed at the same time".to_owned(),
        });
    }
    let texts = |product: &Product| {
        (
            product.description.clone(),
            product.long_description.clone(),
            json(&product.images),
            json(&product.attributes),
        )
    };
    let (description, long_description, images, attributes) = texts(product);
    if texts(before)
        != (
            description.clone(),
            long_description.clone(),
            images.clone(),
            attributes.clone(),
        )
    {
        tx.execute(
            "UPDATE product_texts SET description = $1, long_description = $2, images = $3, attributes = $4 WHERE seq = $5",
            args![description, long_description, images, attributes, product.seq],
        )
        .await?;
    }
    Ok(())
}

/// Variants are inserted and changed, never deleted: carts and orders know their ids. Their stock is not
/// touched, it belongs to the read model of stock events.
async fn save_variants(
    tx: &Tx,
    before: Option<&Product>,
    after: &Product,
) -> Result<(), StoreError> {
    let known = |variant: &Variant| {
        before.and_then(|product| {
            product
                .variants
                .iter()
                .find(|known| known.variant_id == variant.variant_id)
        })
    };
    for variant in &after.variants {
        match known(variant) {
            None => {
                tx.execute(
                    "INSERT INTO variants (product_seq, variant_id, sku, attributes, price_minor, position, stock, \
                     initial_stock, is_sold) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    args![
                        after.seq,
                        variant.variant_id,
                        &variant.sku,
                        json(&variant.attributes),
                        variant.price_minor,
                        variant.position,
                        variant.stock,
                        variant.initial_stock,
                        variant.is_sold
                    ],
                )
                .await?;
            }
            Some(same) if same == variant => {}
            Some(_) => {
                tx.execute(
                    "UPDATE variants SET attributes = $1, price_minor = $2, position = $3, is_sold = $4 \
                     WHERE product_seq = $5 AND variant_id = $6",
                    args![
                        json(&variant.attributes),
                        variant.price_minor,
                        variant.position,
                        variant.is_sold,
                        after.seq,
                        variant.variant_id
                    ],
                )
                .await?;
            }
        }
    }
    Ok(())
}

async fn save_terms(tx: &Tx, before: Option<&Product>, after: &Product) -> Result<(), StoreError> {
    let old = before.map(Product::terms).unwrap_or_default();
    let new = after.terms();
    for (name, value) in old.difference(&new) {
        tx.execute(
            "DELETE FROM product_terms WHERE name = $1 AND value = $2 AND seq = $3",
            args![name, value, after.seq],
        )
        .await?;
    }
    for (name, value) in new.difference(&old) {
        tx.execute(
            "INSERT INTO product_terms (name, value, seq) VALUES ($1, $2, $3)",
            args![name, value, after.seq],
        )
        .await?;
    }
    Ok(())
}

/// Strings and maps of strings always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
