//! A product with its variants, as rules see it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use mesh::{Currency, Money};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::decimal;

/// Variants of a product at most.
pub const MAX_VARIANTS: usize = 100;
/// Attributes of a product at most.
pub const MAX_ATTRIBUTES: usize = 50;
/// Attributes of a variant at most.
pub const MAX_VARIANT_ATTRIBUTES: usize = 20;
/// Pictures of a product at most.
pub const MAX_IMAGES: usize = 20;
/// Longest attribute value that can be filtered by, in bytes; longer ones are only shown.
const MAX_TERM: usize = 200;
/// How much an order counts against a view, and a review against a view.
const PURCHASE_WEIGHT: i64 = 10;
const REVIEW_WEIGHT: i64 = 5;

/// Where a product is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being prepared; staff see it.
    Draft,
    /// On sale.
    Active,
    /// Off sale.
    Archived,
}

impl Status {
    /// The name in the database and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }

    /// The status with this name; a draft when there is none such, which shows it to nobody.
    pub fn named(name: &str) -> Self {
        match name {
            "active" => Self::Active,
            "archived" => Self::Archived,
            _ => Self::Draft,
        }
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Absolute or site-relative URL.
    pub url: String,
    /// Alternative text.
    pub alt: String,
}

/// What can be put into a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Id, UUIDv7.
    pub variant_id: Uuid,
    /// Stock keeping unit; unique over the shop.
    pub sku: String,
    /// What tells it from its siblings.
    pub attributes: BTreeMap<String, String>,
    /// Price in minor units of the product's currency; none for the product's price.
    pub price_minor: Option<i64>,
    /// Position among its siblings.
    pub position: i64,
    /// Units that can be promised, as of the last stock event.
    pub stock: i64,
    /// Units that inventory puts on stock when it first sees the variant.
    pub initial_stock: i64,
    /// Whether it can still be bought.
    pub is_sold: bool,
}

/// Attribute values for people, joined in the order of their names.
pub fn display_name(attributes: &BTreeMap<String, String>) -> String {
    attributes
        .values()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" / ")
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Row number; 0 before the first save.
    pub seq: i64,
    /// Id, UUIDv7.
    pub product_id: Uuid,
    /// Stock keeping unit; unique over the shop.
    pub sku: String,
    /// URL slug; unique.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// Short description.
    pub description: String,
    /// Long description, plain text.
    pub long_description: String,
    /// Brand; may be empty.
    pub brand: String,
    /// Slug of the category.
    pub category_slug: String,
    /// Price and tax.
    pub pricing: Pricing,
    /// Pictures in display order.
    pub images: Vec<Image>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Where it is in its life.
    pub status: Status,
    /// Mean rating in thousandths, 0 to 5,000.
    pub rating_milli: i64,
    /// How many reviews.
    pub review_count: i64,
    /// How often it was looked at.
    pub views: i64,
    /// How many units were ordered.
    pub purchases: i64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was first put on sale.
    pub published_at: Option<DateTime<Utc>>,
    /// Grows with every change; 0 before the first save.
    pub version: i64,
    /// Fingerprint of the import row that it was last made from.
    pub content_hash: Option<Vec<u8>>,
    /// All variants in display order, those that are no longer sold included.
    pub variants: Vec<Variant>,
}

impl Product {
    /// Orders, views and reviews condensed to one number; larger is more popular.
    pub fn popularity(&self) -> i64 {
        popularity(self.views, self.purchases, self.review_count)
    }

    /// Whether at least one variant can be promised.
    pub fn in_stock(&self) -> bool {
        self.sold_variants().any(|variant| variant.stock > 0)
    }

    /// Whether it is on sale.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// The variants that can be bought.
    pub fn sold_variants(&self) -> impl Iterator<Item = &Variant> {
        self.variants.iter().filter(|variant| variant.is_sold)
    }

    /// Price of one unit of a variant.
    pub fn price_of(&self, variant: &Variant) -> Money {
        variant.price_minor.map_or(self.pricing.price, |minor| {
            Money::new(minor, self.pricing.price.currency)
        })
    }

    /// What filters find an active product by: its attributes and its variants', and its brand under the
    /// empty name.
    pub fn terms(&self) -> BTreeSet<(String, String)> {
        if !self.is_active() {
            return BTreeSet::new();
        }
        let attributes = self
            .attributes
            .iter()
            .chain(self.sold_variants().flat_map(|variant| &variant.attributes))
            .filter(|(name, value)| {
                !name.is_empty() && !value.is_empty() && value.len() <= MAX_TERM
            })
            .map(|(name, value)| (name.clone(), value.clone()));
        let brand = (!self.brand.is_empty()).then(|| (String::new(), self.brand.clone()));
        attributes.chain(brand).collect()
    }

    /// The words beside name and brand that a plain search looks at.
    pub fn facts(&self) -> String {
        self.terms()
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(_, value)| value)
            .chain([self.sku.clone(), self.category_slug.replace('-', " ")])
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// See [`Product::popularity`].
pub fn popularity(views: i64, purchases: i64, review_count: i64) -> i64 {
    views
        .saturating_add(purchases.saturating_mul(PURCHASE_WEIGHT))
        .saturating_add(review_count.saturating_mul(REVIEW_WEIGHT))
        .max(0)
}

/// Price and tax of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pricing {
    /// Price of one unit.
    pub price: Money,
    /// Price before the reduction, in the same currency.
    pub compare_at: Option<Money>,
    /// Sales tax rate between 0 and 1, shortest decimal text.
    pub tax_rate: String,
}

/// A value that breaks a rule: which and why. The field is relative to what was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Problem {
    /// The field.
    pub field: String,
    /// What is wrong, to follow the field's name.
    pub message: String,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl Pricing {
    /// Reads a price. Empty texts mean: `default` as the currency, no reduction, no tax.
    ///
    /// # Errors
    /// A problem of `price`, `currency`, `compare_at` or `tax_rate`.
    pub fn read(
        price: &str,
        currency: &str,
        compare_at: &str,
        tax_rate: &str,
        default: Currency,
    ) -> Result<Self, Problem> {
        let currency = match currency {
            "" => default,
            code => code
                .parse()
                .map_err(|error: mesh::MoneyError| Problem::new("currency", error.to_string()))?,
        };
        if price.is_empty() {
            return Err(Problem::new("price", "is required"));
        }
        let price = decimal::parse_price(price, currency)
            .map_err(|error| Problem::new("price", error.to_string()))?;
        let compare_at = match compare_at {
            "" => None,
            text => {
                let before = decimal::parse_price(text, currency)
                    .map_err(|error| Problem::new("compare_at", error.to_string()))?;
                if before.minor <= price.minor {
                    return Err(Problem::new("compare_at", "must be above the price"));
                }
                Some(before)
            }
        };
        let tax_rate = decimal::parse_tax_rate(tax_rate)
            .map_err(|error| Problem::new("tax_rate", error.to_string()))?;
        Ok(Self {
            price,
            compare_at,
            tax_rate,
        })
    }
}

/// Checks names and values of attributes.
///
/// # Errors
/// Too many, an empty or long name, a long value.
pub fn check_attributes<'a>(
    field: &str,
    attributes: impl IntoIterator<Item = (&'a String, &'a String)>,
    at_most: usize,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut checked = BTreeMap::new();
    for (name, value) in attributes {
        if name.trim().is_empty() || name.len() > 100 {
            return Err(Problem::new(field, "must have names of 1 to 100 bytes"));
        }
        if value.len() > 500 {
            return Err(Problem::new(
                format!("{field}.{name}"),
                "must be at most 500 bytes long",
            ));
        }
        checked.insert(name.clone(), value.clone());
        if checked.len() > at_most {
            return Err(Problem::new(field, format!("must be at most {at_most}")));
        }
    }
    Ok(checked)
}

/// Whether a text is a stock keeping unit: 1 to 64 letters, digits, dots, dashes and underscores.
pub fn is_sku(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
