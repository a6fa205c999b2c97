//! Variants as carts and orders need them, by the names that these know.
//!
//! This is on the path of every cart and checkout, so it is one query for references by variant id,
//! the usual case, and at most three when SKUs and bare products are among them.

use std::collections::HashMap;

use contracts::hub::catalog::v1::{PurchasableVariant, VariantRef};
use mesh::{
    Money,
    store::{Dialect, Row, Sql, StoreError, Value},
};
use uuid::Uuid;

use super::{Query, id, list, rows};
use crate::domain::product::{Image, Status, display_name};

macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT wanted.value, v.variant_id, v.sku, v.attributes, v.price_minor, v.stock, v.is_sold, ",
            "p.product_id, p.slug, p.sku, p.name, p.price_minor, p.currency, p.tax_rate, p.status, p.category_slug, ",
            "t.images FROM ",
            $from,
            " JOIN product_texts t ON t.seq = p.seq"
        )
    };
}

const BY_VARIANT_ID: Sql = Sql {
    sqlite: select!(
        "json_each($1) wanted CROSS JOIN variants v ON v.variant_id = wanted.value \
         JOIN products p ON p.seq = v.product_seq"
    ),
    postgres: select!(
        "unnest($1::uuid[]) AS wanted (value) JOIN variants v ON v.variant_id = wanted.value \
         JOIN products p ON p.seq = v.product_seq"
    ),
};
const BY_VARIANT_SKU: Sql = Sql {
    sqlite: select!(
        "json_each($1) wanted CROSS JOIN variants v ON v.sku = wanted.value \
         JOIN products p ON p.seq = v.product_seq"
    ),
    postgres: select!(
        "unnest($1::text[]) AS wanted (value) JOIN variants v ON v.sku = wanted.value \
         JOIN products p ON p.seq = v.product_seq"
    ),
};
const BY_PRODUCT: Sql = Sql {
    sqlite: select!(
        "json_each($1) wanted CROSS JOIN products p \
         ON p.product_id = wanted.value OR p.slug = wanted.value OR p.sku = wanted.value \
         JOIN variants v ON v.product_seq = p.seq AND v.variant_id = (SELECT w.variant_id FROM variants w \
         WHERE w.product_seq = p.seq AND w.is_sold ORDER BY w.position, w.variant_id LIMIT 1)"
    ),
    postgres: select!(
        "unnest($1::text[], $2::uuid[]) AS wanted (value, id) JOIN products p \
         ON p.product_id = wanted.id OR p.slug = wanted.value OR p.sku = wanted.value \
         JOIN variants v ON v.product_seq = p.seq AND v.variant_id = (SELECT w.variant_id FROM variants w \
         WHERE w.product_seq = p.seq AND w.is_sold ORDER BY w.position, w.variant_id LIMIT 1)"
    ),
};

/// A variant and the names that its product is known by.
struct Found {
    variant: PurchasableVariant,
    product_slug: String,
    product_sku: String,
}

impl Found {
    /// How well a product's name fits: an id wins over a slug, a slug over a SKU.
    fn rank(&self, product: &str) -> Option<u8> {
        [
            &self.variant.product_id,
            &self.product_slug,
            &self.product_sku,
        ]
        .iter()
        .zip(0..)
        .find_map(|(name, rank)| (name.as_str() == product).then_some(rank))
    }
}

/// Resolves references; those that name nothing, or a variant of another product, are left out. A draft
/// is unknown to shoppers, so it is left out too.
///
/// # Errors
/// See [`StoreError`].
pub async fn resolve(
    query: &impl Query,
    refs: &[VariantRef],
) -> Result<Vec<PurchasableVariant>, StoreError> {
    let mut variants = HashMap::new();
    let mut ids: Vec<&str> = refs
        .iter()
        .map(|wanted| wanted.variant_id.as_str())
        .filter(|key| !key.is_empty())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let dialect = query.dialect();
    let known_form: Vec<Uuid> = ids.iter().filter_map(|text| id(text)).collect();
    if !known_form.is_empty() {
        let wanted = vec![list(dialect, &known_form)];
        collect(query, BY_VARIANT_ID, wanted, &mut variants).await?;
    }
    let skus: Vec<&str> = ids
        .into_iter()
        .filter(|key| !variants.contains_key(*key))
        .collect();
    if !skus.is_empty() {
        let wanted = vec![list(dialect, &skus)];
        collect(query, BY_VARIANT_SKU, wanted, &mut variants).await?;
    }

    let mut products = HashMap::new();
    let mut names: Vec<&str> = refs
        .iter()
        .filter(|wanted| wanted.variant_id.is_empty())
        .map(|wanted| wanted.product_id.as_str())
        .filter(|key| !key.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let mut wanted = vec![list(dialect, &names)];
        // SQLite compares ids as the texts that they are.
        if dialect == Dialect::Postgres {
            let ids: Vec<Option<Uuid>> = names.iter().map(|text| id(text)).collect();
            wanted.push(list(dialect, &ids));
        }
        collect(query, BY_PRODUCT, wanted, &mut products).await?;
    }

    let answer = refs.iter().zip(0..).filter_map(|(wanted, index)| {
        let found = if wanted.variant_id.is_empty() {
            products
                .get(&wanted.product_id)?
                .iter()
                .min_by_key(|found: &&Found| found.rank(&wanted.product_id))?
        } else {
            variants
                .get(&wanted.variant_id)?
                .iter()
                .find(|found: &&Found| {
                    wanted.product_id.is_empty() || found.rank(&wanted.product_id).is_some()
                })?
        };
        Some(PurchasableVariant {
            ref_index: index,
            ..found.variant.clone()
        })
    });
    Ok(answer.collect())
}

async fn collect(
    query: &impl Query,
    sql: Sql,
    wanted: Vec<Value>,
    found: &mut HashMap<String, Vec<Found>>,
) -> Result<(), StoreError> {
    for row in query.rows(sql.of(query.dialect()), wanted).await? {
        if let Some(variant) = read(&row)? {
            found.entry(row.get(0_usize)?).or_default().push(variant);
        }
    }
    Ok(())
}

fn read(row: &Row) -> Result<Option<Found>, StoreError> {
    let status = Status::named(row.get(14_usize)?);
    if status == Status::Draft {
        return Ok(None);
    }
    let currency = rows::currency(row.get(12_usize)?)?;
    let own: Option<i64> = row.get(4_usize)?;
    let base: i64 = row.get(11_usize)?;
    let images: Vec<Image> = rows::json(row, 16)?;
    let is_sold: bool = row.get(6_usize)?;
    Ok(Some(Found {
        variant: PurchasableVariant {
            product_id: row.get(7_usize)?,
            variant_id: row.get(1_usize)?,
            sku: row.get(2_usize)?,
            name: row.get(10_usize)?,
            variant_name: display_name(&rows::json(row, 3)?),
            unit_price: Some(Money::new(own.unwrap_or(base), currency).to_wire()),
            tax_rate: row.get(13_usize)?,
            image_url: images
                .into_iter()
                .next()
                .map(|image| image.url)
                .unwrap_or_default(),
            active: status == Status::Active && is_sold,
            stock: row.get(5_usize)?,
            category_slug: row.get(15_usize)?,
            ref_index: 0,
        },
        product_slug: row.get(8_usize)?,
        product_sku: row.get(9_usize)?,
    }))
}
