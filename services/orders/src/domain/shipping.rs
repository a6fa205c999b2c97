//! The one table of shipping methods and rates.

use contracts::hub::orders::v1::ShippingMethod;
use mesh::{Currency, Money};

/// A way for an order to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The method.
    pub method: ShippingMethod,
    /// Name in events and storage.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Fewest and most working days.
    pub days: (i32, i32),
    /// Rate in minor units for currencies with 0, 2 and 3 decimals. Whoever pays in yen does not pay 5.99
    /// yen: the rates are of about the same worth, not of the same digits.
    rates: [i64; 3],
    /// Goods worth this much (after discount) travel free; minor units as in `rates`, 0 for never.
    free_from: [i64; 3],
}

/// Every method, the slowest first.
pub const METHODS: [Method; 3] = [
    Method {
        method: ShippingMethod::Standard,
        name: "standard",
        title: "Standard shipping",
        days: (3, 7),
        rates: [900, 599, 1_800],
        free_from: [11_000, 7_500, 23_000],
    },
    Method {
        method: ShippingMethod::Express,
        name: "express",
        title: "Express shipping",
        days: (2, 3),
        rates: [2_200, 1_499, 4_500],
        free_from: [0; 3],
    },
    Method {
        method: ShippingMethod::Overnight,
        name: "overnight",
        title: "Overnight shipping",
        days: (1, 1),
        rates: [4_500, 2_999, 9_000],
        free_from: [0; 3],
    },
];

impl Method {
    /// The row of a method; what is not said travels by standard.
    pub fn of(method: ShippingMethod) -> &'static Self {
        match method {
            ShippingMethod::Unspecified | ShippingMethod::Standard => &METHODS[0],
            ShippingMethod::Express => &METHODS[1],
            ShippingMethod::Overnight => &METHODS[2],
        }
    }

    /// The method stored under `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// What the method costs for goods of this worth after discount, in the goods' currency.
    pub fn rate(&self, goods: Money) -> Money {
        let column = column(goods.currency);
        let free_from = self.free_from[column];
        if free_from > 0 && goods.minor >= free_from {
            return Money::zero(goods.currency);
        }
        Money::new(self.rates[column], goods.currency)
    }
}

fn column(currency: Currency) -> usize {
    match currency.exponent() {
        0 => 0,
        3 | 4 => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn money(amount: &str, currency: &str) -> Money {
        Money::parse(amount, currency).unwrap()
    }

    #[test]
    fn standard_is_free_from_seventy_five_dollars() {
        let standard = Method::of(ShippingMethod::Standard);
        assert_eq!(standard.rate(money("74.99", "USD")), money("5.99", "USD"));
        assert_eq!(standard.rate(money("75.00", "USD")), money("0.00", "USD"));
        let express = Method::of(ShippingMethod::Express);
        assert_eq!(express.rate(money("900.00", "USD")), money("14.99", "USD"));
    }

    #[test]
    fn every_exponent_has_its_rates() {
        let overnight = Method::of(ShippingMethod::Overnight);
        assert_eq!(overnight.rate(money("1", "JPY")), money("4500", "JPY"));
        assert_eq!(overnight.rate(money("1.000", "KWD")), money("9.000", "KWD"));
        for method in METHODS {
            assert_eq!(Method::named(method.name), Some(&method));
            assert_eq!(Method::of(method.method), &method);
        }
    }
}
