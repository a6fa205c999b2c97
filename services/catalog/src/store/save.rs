//! Writes a product with everything derived from it: search terms, words and counters.
//!
//! There is one way to change a product: load it, change the value, save both. What is derived is
//! computed from the two states here, so no caller can forget a part of it.

use mesh::{args, store::Value};

use super::{
    counters::Deltas,
    words,
    writes::{Term, Writes},
};
use crate::domain::{
    decimal,
    product::{Product, Variant},
    sort,
};

const INSERT_PRODUCT: &str = "INSERT INTO products (product_id, sku, slug, name, name_key, brand, category_slug, \
     price_minor, currency, price_key, compare_at_minor, tax_rate, status, rating_milli, review_count, views, \
     purchases, popularity, in_stock, created_at, updated_at, published_at, version, content_hash, seq) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
     $22, $23, $24, $25)";

const UPDATE_PRODUCT: &str = "UPDATE products SET slug = $1, name = $2, name_key = $3, brand = $4, \
     category_slug = $5, price_minor = $6, currency = $7, price_key = $8, compare_at_minor = $9, tax_rate = $10, \
     status = $11, rating_milli = $12, review_count = $13, popularity = $14, in_stock = $15, updated_at = $16, \
     published_at = $17, version = $18, content_hash = $19 WHERE seq = $20 AND version = $21";

const INSERT_TEXTS: &str = "INSERT INTO product_texts (description, long_description, images, attributes, seq) \
     VALUES ($1, $2, $3, $4, $5)";

const UPDATE_TEXTS: &str = "UPDATE product_texts SET description = $1, long_description = $2, images = $3, \
     attributes = $4 WHERE seq = $5";

const INSERT_VARIANT: &str = "INSERT INTO variants (product_seq, variant_id, sku, attributes, price_minor, position, \
     stock, initial_stock, is_sold) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const UPDATE_VARIANT: &str = "UPDATE variants SET attributes = $1, price_minor = $2, position = $3, is_sold = $4 \
     WHERE product_seq = $5 AND variant_id = $6";

/// Saves `after` in the place of `before`, or as a new product with the row number that it has. It comes
/// back with its new version. A product may be saved once per run of `writes`.
pub fn save(
    writes: &mut Writes,
    before: Option<&Product>,
    mut after: Product,
    deltas: &mut Deltas,
) -> Product {
    after.version = before.map_or(1, |product| product.version + 1);
    match before {
        None => insert(writes, &after),
        Some(before) => update(writes, before, &after),
    }
    save_variants(writes, before, &after);
    save_terms(writes, before, &after);
    words::replace(writes, before, &after);
    deltas.replace(before, Some(&after));
    after
}

fn insert(writes: &mut Writes, product: &Product) {
    let pricing = &product.pricing;
    writes.push(
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
            product.seq,
        ],
    );
    writes.push(INSERT_TEXTS, texts(product));
}

fn update(writes: &mut Writes, before: &Product, product: &Product) {
    let pricing = &product.pricing;
    writes.push_guarded(
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
    );
    let (old, new) = (texts(before), texts(product));
    if old != new {
        writes.push(UPDATE_TEXTS, new);
    }
}

fn texts(product: &Product) -> Vec<Value> {
    args![
        &product.description,
        &product.long_description,
        json(&product.images),
        json(&product.attributes),
        product.seq
    ]
}

/// Variants are inserted and changed, never deleted: carts and orders know their ids. Their stock is not
/// touched, it belongs to the read model of stock events.
fn save_variants(writes: &mut Writes, before: Option<&Product>, after: &Product) {
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
            None => writes.push(
                INSERT_VARIANT,
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
            ),
            Some(same) if same == variant => {}
            Some(_) => writes.push(
                UPDATE_VARIANT,
                args![
                    json(&variant.attributes),
                    variant.price_minor,
                    variant.position,
                    variant.is_sold,
                    after.seq,
                    variant.variant_id
                ],
            ),
        }
    }
}

fn save_terms(writes: &mut Writes, before: Option<&Product>, after: &Product) {
    let old = before.map(Product::terms).unwrap_or_default();
    let new = after.terms();
    let term = |(name, value): &(String, String)| Term {
        name: name.clone(),
        value: value.clone(),
        seq: after.seq,
    };
    for gone in old.difference(&new) {
        writes.remove_term(term(gone));
    }
    for added in new.difference(&old) {
        writes.add_term(term(added));
    }
}

/// Strings and maps of strings always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
