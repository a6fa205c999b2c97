//! What an order costs: the one function behind the cart's estimate, the checkout's validation and the
//! order itself, so that the three cannot disagree.
//!
//! The discount is spread over the lines to the minor unit, tax is taken per line on what is left and
//! rounded half-even, shipping is not taxed, and `total = subtotal - discount + shipping + tax` holds
//! exactly in every currency.

use mesh::{Currency, Money, MoneyError, Rate};

use super::{promo::Discount, shipping::Method};

/// A line to price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Price of one unit.
    pub unit_price: Money,
    /// Units, at least 1.
    pub quantity: i64,
    /// Sales tax rate.
    pub tax_rate: Rate,
}

/// A priced line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// Unit price times units.
    pub line_total: Money,
    /// Share of the discount.
    pub discount: Money,
    /// Tax on what is left.
    pub tax: Money,
}

/// What everything costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The lines, in the order they were given.
    pub lines: Vec<PricedLine>,
    /// Sum of the line totals.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// Shipping.
    pub shipping: Money,
    /// Sum of the lines' taxes.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
}

/// Prices lines of one currency.
///
/// # Errors
/// [`MoneyError::CurrencyMismatch`] for a line or discount in another currency, [`MoneyError::Overflow`].
pub fn price(
    currency: Currency,
    lines: &[Line],
    discount: Option<&Discount>,
    method: &Method,
) -> Result<Quote, MoneyError> {
    let line_totals = lines
        .iter()
        .map(|line| line.unit_price.times(line.quantity))
        .collect::<Result<Vec<_>, _>>()?;
    let subtotal = Money::sum(currency, line_totals.iter().copied())?;
    let off = match discount {
        Some(discount) => discount.off(subtotal)?,
        None => Money::zero(currency),
    };
    let weights: Vec<i64> = line_totals.iter().map(|total| total.minor).collect();
    let shares = off.allocate(&weights)?;
    let mut priced = Vec::with_capacity(lines.len());
    for ((line, line_total), discount) in lines.iter().zip(line_totals).zip(shares) {
        priced.push(PricedLine {
            line_total,
            discount,
            tax: line_total.checked_sub(discount)?.at(line.tax_rate)?,
        });
    }
    let goods = subtotal.checked_sub(off)?;
    let shipping = match discount {
        Some(Discount::FreeShipping) => Money::zero(currency),
        // Nothing travels when nothing is bought.
        _ if lines.is_empty() => Money::zero(currency),
        _ => method.rate(goods),
    };
    let tax = Money::sum(currency, priced.iter().map(|line| line.tax))?;
    Ok(Quote {
        lines: priced,
        subtotal,
        discount: off,
        shipping,
        tax,
        total: goods.checked_add(shipping)?.checked_add(tax)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use contracts::hub::orders::v1::ShippingMethod;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::shipping::METHODS;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn line(minor: i64, quantity: i64, rate: &str, code: &str) -> Line {
        Line {
            unit_price: Money::new(minor, currency(code)),
            quantity,
            tax_rate: rate.parse().unwrap(),
        }
    }

    #[test]
    fn an_order_by_hand() {
        let lines = [line(1999, 2, "0.0825", "USD"), line(500, 1, "0", "USD")];
        let promo = Discount::Percent("10".parse().unwrap());
        let quote = price(
            currency("USD"),
            &lines,
            Some(&promo),
            Method::of(ShippingMethod::Standard),
        )
        .unwrap();
        // 44.98, 10 % is 4.498 → 4.50, of which 4.00 fall on the first line: 35.98 × 8.25 % = 2.96835.
        assert_eq!(quote.subtotal.minor, 4498);
        assert_eq!(quote.discount.minor, 450);
        assert_eq!(
            quote
                .lines
                .iter()
                .map(|line| line.discount.minor)
                .collect::<Vec<_>>(),
            [400, 50]
        );
        assert_eq!(quote.tax.minor, 297);
        assert_eq!(quote.shipping.minor, 599);
        assert_eq!(quote.total.minor, 4498 - 450 + 297 + 599);
    }

    #[test]
    fn a_fixed_discount_stops_at_the_subtotal_and_shipping_can_be_free() {
        let lines = [line(300, 1, "0.1", "USD")];
        let usd = currency("USD");
        let standard = Method::of(ShippingMethod::Standard);
        let fixed = Discount::Fixed(Money::new(500, usd));
        let quote = price(usd, &lines, Some(&fixed), standard).unwrap();
        assert_eq!(
            (quote.discount.minor, quote.tax.minor, quote.total.minor),
            (300, 0, 599)
        );
        let quote = price(usd, &lines, Some(&Discount::FreeShipping), standard).unwrap();
        assert_eq!((quote.shipping.minor, quote.total.minor), (0, 330));
        assert_eq!(price(usd, &[], None, standard).unwrap().total.minor, 0);
    }

    #[test]
    fn currencies_do_not_mix() {
        let lines = [line(300, 1, "0", "USD"), line(300, 1, "0", "EUR")];
        let standard = Method::of(ShippingMethod::Standard);
        assert!(price(currency("USD"), &lines, None, standard).is_err());
    }

    fn discounts(currency: Currency) -> impl Strategy<Value = Option<Discount>> {
        prop_oneof![
            Just(None),
            Just(Some(Discount::FreeShipping)),
            (0_u32..=10_000).prop_map(|bp| Some(Discount::Percent(
                format!("{}.{:02}", bp / 100, bp % 100).parse().unwrap()
            ))),
            (0_i64..5_000_000)
                .prop_map(move |minor| Some(Discount::Fixed(Money::new(minor, currency)))),
        ]
    }

    fn carts() -> impl Strategy<Value = (Currency, Vec<Line>, Option<Discount>, usize)> {
        prop_oneof![Just("USD"), Just("JPY"), Just("KWD")].prop_flat_map(|code| {
            let line = (0_i64..2_000_000, 1_i64..999, 0_u32..3000).prop_map(
                move |(minor, quantity, points)| Line {
                    unit_price: Money::new(minor, currency(code)),
                    quantity,
                    tax_rate: Rate::basis_points(points),
                },
            );
            (
                Just(currency(code)),
                prop::collection::vec(line, 1..12),
                discounts(currency(code)),
                0_usize..METHODS.len(),
            )
        })
    }

    proptest! {
        #[test]
        fn sums_reconcile_to_the_minor_unit((currency, lines, discount, method) in carts()) {
            let quote = price(currency, &lines, discount.as_ref(), &METHODS[method]).unwrap();
            let sum = |pick: fn(&PricedLine) -> Money| {
                quote.lines.iter().map(|line| pick(line).minor).sum::<i64>()
            };
            prop_assert_eq!(sum(|line| line.line_total), quote.subtotal.minor);
            prop_assert_eq!(sum(|line| line.discount), quote.discount.minor);
            prop_assert_eq!(sum(|line| line.tax), quote.tax.minor);
            prop_assert_eq!(
                quote.total.minor,
                quote.subtotal.minor - quote.discount.minor + quote.shipping.minor + quote.tax.minor
            );
            for amount in [quote.subtotal, quote.discount, quote.shipping, quote.tax, quote.total] {
                prop_assert!(!amount.is_negative());
                prop_assert_eq!(amount.currency, currency);
            }
            prop_assert!(quote.discount.minor <= quote.subtotal.minor);
            for (priced, line) in quote.lines.iter().zip(&lines) {
                prop_assert!(priced.discount.minor >= 0);
                prop_assert!(priced.discount.minor <= priced.line_total.minor);
                prop_assert_eq!(priced.line_total.minor, line.unit_price.minor * line.quantity);
            }
        }
    }
}
