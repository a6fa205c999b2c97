//! The rules of carts, without a database or a wire.

pub mod merging;
pub mod pricing;

use chrono::{DateTime, Utc};

/// Units of one line at most.
pub const MAX_QUANTITY: i64 = 999;

/// A line of a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Id of the line.
    pub cart_item_id: String,
    /// Id of the product.
    pub product_id: String,
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit when the line was added.
    pub sku: String,
    /// Name of the product when the line was added.
    pub name: String,
    /// Units, 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
    /// When it was added.
    pub added_at: DateTime<Utc>,
}

/// A cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    /// Id of the cart.
    pub cart_id: String,
    /// Grows with every change.
    pub version: i64,
    /// Promo code noted on it; empty when none.
    pub promo_code: String,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it is forgotten unless it changes.
    pub expires_at: DateTime<Utc>,
    /// The lines in the order they were added.
    pub lines: Vec<Line>,
}
