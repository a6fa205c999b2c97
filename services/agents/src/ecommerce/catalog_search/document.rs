//! From a product as events carry it to a document of the index.

use contracts::hub::{agents::v1::SearchHit, events::v1::ProductSnapshot};
use prost::Message;
use tantivy::TantivyDocument;

use super::schema::{Cutter, Fields};

/// A product with what the snapshot does not say.
#[derive(Clone, Debug)]
pub struct Product {
    /// What the last product event said.
    pub snapshot: ProductSnapshot,
    /// Whether any variant can be bought.
    pub in_stock: bool,
    /// When it came into being, microseconds since the epoch.
    pub created_at: i64,
}

/// Ten-thousandths of a major unit in one: prices of all currencies compare on this scale.
pub const PRICE_SCALE: i64 = 10_000;

/// A decimal string in major units as ten-thousandths; `None` when it is not one.
pub fn price_units(amount: &str) -> Option<i64> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if fraction.len() > 4 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<4}").parse().ok()?;
    whole.checked_mul(PRICE_SCALE)?.checked_add(fraction)
}

/// Whether an attribute of this name says a color.
fn says_color(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("color") || name.starts_with("colour")
}

/// The document of `product`.
pub fn document(fields: &Fields, cutter: &mut Cutter, product: &Product) -> TantivyDocument {
    let snapshot = &product.snapshot;
    let mut document = TantivyDocument::new();
    let [name, brand, category, attributes, description] = fields.ranked.map(|ranked| ranked.field);
    document.add_text(fields.product_id, &snapshot.product_id);
    document.add_text(fields.sku, &snapshot.sku);
    document.add_text(name, &snapshot.name);
    document.add_text(brand, &snapshot.brand);
    document.add_text(category, &snapshot.category_name);
    document.add_text(description, &snapshot.description);
    for text in [&snapshot.name, &snapshot.brand, &snapshot.category_name] {
        document.add_text(fields.words, text);
    }
    if !snapshot.brand.is_empty() {
        document.add_text(fields.brand_exact, &snapshot.brand);
        document.add_text(fields.brand_key, cutter.key(&snapshot.brand));
    }
    if !snapshot.category_slug.is_empty() {
        document.add_text(fields.category_slug, &snapshot.category_slug);
    }
    if !snapshot.category_name.is_empty() {
        document.add_text(fields.category_key, cutter.key(&snapshot.category_name));
        document.add_text(fields.category_name, &snapshot.category_name);
    }
    let mut pairs: Vec<(&str, &str)> = snapshot
        .attributes
        .iter()
        .chain(
            snapshot
                .variants
                .iter()
                .flat_map(|variant| &variant.attributes),
        )
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    // Variants repeat values; what repeats would count twice in facets and in term frequencies.
    pairs.sort_unstable();
    pairs.dedup();
    for (name, value) in pairs {
        document.add_text(attributes, value);
        document.add_text(fields.words, value);
        document.add_text(fields.attribute, format!("{name}={value}"));
        if says_color(name) {
            document.add_text(fields.color, value);
        }
    }
    for variant in &snapshot.variants {
        document.add_text(fields.sku, &variant.sku);
    }
    document.add_text(fields.name_key, cutter.words(&snapshot.name).join(" "));
    let price = snapshot
        .price
        .as_ref()
        .and_then(|price| price_units(&price.amount));
    document.add_i64(fields.price, price.unwrap_or(0));
    document.add_f64(fields.rating, finite(snapshot.rating));
    document.add_u64(fields.in_stock, u64::from(product.in_stock));
    document.add_f64(fields.popularity, finite(snapshot.popularity));
    document.add_i64(fields.created_at, product.created_at);
    let hit = SearchHit {
        product_id: snapshot.product_id.clone(),
        sku: snapshot.sku.clone(),
        name: snapshot.name.clone(),
        brand: snapshot.brand.clone(),
        category_slug: snapshot.category_slug.clone(),
        price: snapshot.price.clone(),
        score: 0.0,
        score_parts: Vec::new(),
    };
    document.add_bytes(fields.hit, &hit.encode_to_vec());
    document
}

/// A number that sorting and ranking can rely on.
fn finite(value: f64) -> f64 {
    if value.is_finite() {
        value.max(0.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prices_of_all_exponents_share_a_scale() {
        assert_eq!(price_units("12.5"), Some(125_000));
        assert_eq!(price_units("1200"), Some(12_000_000));
        assert_eq!(price_units("1.250"), Some(12_500));
        assert_eq!(price_units("0.0001"), Some(1));
        assert_eq!(price_units("1.00001"), None);
        assert_eq!(price_units("twelve"), None);
        assert_eq!(price_units("1.-5"), None);
    }
}
