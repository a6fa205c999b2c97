//! Prices of a cart: the catalog's of this moment.
//!
//! The sums are those of the function that prices orders, so an estimate cannot disagree with what will be
//! charged. A line whose product is no longer on sale is shown but not counted. A cart has one currency, that
//! of its first line with a price.

use contracts::hub::orders::v1::ShippingMethod;
use mesh::{Currency, Money, MoneyError, Rate};
use orders::domain::{pricing, shipping::Method};

use super::Line;

/// What the catalog says about a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Id of the product.
    pub product_id: String,
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit.
    pub sku: String,
    /// Name of the product.
    pub name: String,
    /// What tells the variant from its siblings, for people.
    pub variant_name: String,
    /// Price of one unit.
    pub unit_price: Money,
    /// Sales tax rate.
    pub tax_rate: Rate,
    /// Picture URL.
    pub image_url: String,
    /// Whether it is on sale.
    pub active: bool,
    /// Units that can be promised.
    pub stock: i64,
}

/// A line with its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// The line.
    pub line: Line,
    /// What the catalog says; none when it no longer knows the variant.
    pub offer: Option<Offer>,
    /// Price of the line.
    pub total: Option<Money>,
    /// Whether the line can be bought as it is.
    pub available: bool,
}

/// Sums of a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sum of the lines.
    pub subtotal: Money,
    /// Sales tax, before discounts.
    pub tax: Money,
    /// Both together.
    pub total: Money,
}

/// Prices `lines`. `offer` finds what the catalog says about a variant; `currency` is that of an empty
/// cart.
///
/// # Errors
/// A sum that is too large.
pub fn price(
    lines: Vec<Line>,
    offer: impl Fn(&str) -> Option<Offer>,
    currency: Currency,
) -> Result<(Vec<PricedLine>, Totals), MoneyError> {
    let mut priced = Vec::with_capacity(lines.len());
    let mut counted: Vec<pricing::Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let offer = offer(&line.variant_id);
        let total = offer
            .as_ref()
            .map(|offer| offer.unit_price.times(line.quantity))
            .transpose()?;
        let mut available = false;
        if let (Some(offer), Some(total)) = (&offer, total)
            && offer.active
        {
            let first = counted
                .first()
                .map_or(total.currency, |line| line.unit_price.currency);
            if first == total.currency {
                available = offer.stock >= line.quantity;
                counted.push(pricing::Line {
                    unit_price: offer.unit_price,
                    quantity: line.quantity,
                    tax_rate: offer.tax_rate,
                });
            }
        }
        priced.push(PricedLine {
            line,
            offer,
            total,
            available,
        });
    }
    let currency = counted
        .first()
        .map_or(currency, |line| line.unit_price.currency);
    let method = Method::of(ShippingMethod::Standard);
    let quote = pricing::price(currency, &counted, None, method)?;
    Ok((
        priced,
        Totals {
            subtotal: quote.subtotal,
            tax: quote.tax,
            total: quote.subtotal.checked_add(quote.tax)?,
        },
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn line(number: usize, quantity: i64) -> Line {
        Line {
            cart_item_id: number.to_string(),
            product_id: number.to_string(),
            variant_id: number.to_string(),
            sku: number.to_string(),
            name: number.to_string(),
            quantity,
            added_at: DateTime::UNIX_EPOCH,
        }
    }

    fn offer(variant_id: &str, minor: i64, rate: &str) -> Offer {
        Offer {
            product_id: variant_id.to_owned(),
            variant_id: variant_id.to_owned(),
            sku: variant_id.to_owned(),
            name: variant_id.to_owned(),
            variant_name: String::new(),
            unit_price: Money::new(minor, Currency::USD),
            tax_rate: rate.parse().unwrap(),
            image_url: String::new(),
            active: true,
            stock: 5,
        }
    }

    #[test]
    fn tax_is_rounded_half_even_per_line() {
        // 0.5 cents of tax round to 0, 1.5 cents to 2.
        let lines = vec![line(0, 1), line(1, 1)];
        let offers = [offer("0", 10, "0.05"), offer("1", 30, "0.05")];
        let find = |id: &str| offers.iter().find(|offer| offer.variant_id == id).cloned();
        let (_, totals) = price(lines, find, Currency::EUR).unwrap();
        assert_eq!(
            (totals.subtotal.minor, totals.tax.minor, totals.total.minor),
            (40, 2, 42)
        );
        assert_eq!(totals.total.currency, Currency::USD);
    }

    #[test]
    fn what_cannot_be_bought_is_shown_and_not_counted() {
        let lines = vec![line(0, 6), line(1, 1), line(2, 1), line(3, 1)];
        let find = |id: &str| match id {
            "0" => Some(offer("0", 100, "0")),
            "1" => Some(Offer {
                active: false,
                ..offer("1", 100, "0")
            }),
            "2" => Some(Offer {
                unit_price: Money::new(100, Currency::EUR),
                ..offer("2", 100, "0")
            }),
            _ => None,
        };
        let (lines, totals) = price(lines, find, Currency::USD).unwrap();
        assert_eq!(totals.subtotal.minor, 600);
        assert!(lines.iter().all(|line| !line.available));
        assert_eq!(lines[3].total, None);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_lines(
            content in prop::collection::vec((1..=999_i64, 0..10_000_000_i64, 0..=10_000_u32), 0..100),
        ) {
            let lines: Vec<Line> = content.iter().enumerate().map(|(n, (quantity, ..))| line(n, *quantity)).collect();
            let find = |id: &str| {
                let (_, minor, points) = content[id.parse::<usize>().unwrap()];
                Some(Offer {
                    tax_rate: Rate::basis_points(points),
                    ..offer(id, minor, "0")
                })
            };
            let (priced, totals) = price(lines, find, Currency::USD).unwrap();
            let sum: i64 = priced.iter().map(|line| line.total.unwrap().minor).sum();
            prop_assert_eq!(totals.subtotal.minor, sum);
            prop_assert_eq!(totals.total.minor, totals.subtotal.minor + totals.tax.minor);
            prop_assert!(totals.tax.minor >= 0 && totals.tax.minor <= totals.subtotal.minor);
            for line in &priced {
                prop_assert_eq!(line.available, line.line.quantity <= 5);
            }
        }
    }
}
