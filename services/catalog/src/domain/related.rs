//! What goes with a product.
//!
//! Candidates are products of the same category whose price is near. They are ranked by what they
//! share: attributes first, then brand, then how near the price is. What is out of stock comes last,
//! because a suggestion that cannot be bought annoys.

use super::product::Product;

/// How well a candidate goes with a product; larger is better. Compared as a whole: stock before
/// similarity before popularity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affinity {
    in_stock: bool,
    similarity: i64,
    popularity: i64,
}

/// Weights of what two products share, in thousandths.
const SAME_CATEGORY: i64 = 2_000;
const SHARED_ATTRIBUTE: i64 = 1_000;
const SAME_BRAND: i64 = 500;
const NEAR_PRICE: i64 = 1_000;

/// How well `candidate` goes with `product`.
pub fn affinity(product: &Product, candidate: &Product) -> Affinity {
    let shared = product
        .attributes
        .iter()
        .filter(|(name, value)| candidate.attributes.get(*name) == Some(value))
        .count() as i64;
    let category = i64::from(product.category_slug == candidate.category_slug);
    let brand = i64::from(!product.brand.is_empty() && product.brand == candidate.brand);
    let (a, b) = (product.pricing.price.minor, candidate.pricing.price.minor);
    let price = if product.pricing.price.currency == candidate.pricing.price.currency {
        let (low, high) = (a.min(b), a.max(b).max(1));
        i64::try_from(i128::from(NEAR_PRICE) * i128::from(low) / i128::from(high)).unwrap_or(0)
    } else {
        0
    };
    Affinity {
        in_stock: candidate.in_stock(),
        similarity: category * SAME_CATEGORY
            + shared * SHARED_ATTRIBUTE
            + brand * SAME_BRAND
            + price,
        popularity: candidate.popularity(),
    }
}

/// The `limit` candidates that go best with `product`, best first, without the product itself.
pub fn best(product: &Product, mut candidates: Vec<Product>, limit: usize) -> Vec<Product> {
    candidates.retain(|candidate| candidate.seq != product.seq);
    candidates.sort_by_cached_key(|candidate| {
        (
            std::cmp::Reverse(affinity(product, candidate)),
            candidate.seq,
        )
    });
    candidates.dedup_by_key(|candidate| candidate.seq);
    candidates.truncate(limit);
    candidates
}
