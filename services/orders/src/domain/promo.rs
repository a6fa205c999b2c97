//! Promo codes: what they take off, and whether one may be used now.
//!
//! Usage limits are not decided here: only the transaction that stores the order can count uses without
//! letting two orders have the last one.

use chrono::{DateTime, Utc};
use mesh::{Currency, Money, MoneyError, Rate};

/// What a promo code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discount {
    /// Takes this many per cent off the lines.
    Percent(Rate),
    /// Takes an amount off the lines, at most all of them.
    Fixed(Money),
    /// Makes shipping free.
    FreeShipping,
}

impl Discount {
    /// What is taken off goods of this worth; per cents are rounded half-even.
    ///
    /// # Errors
    /// An amount in another currency, overflow.
    pub fn off(&self, subtotal: Money) -> Result<Money, MoneyError> {
        let off = match self {
            Self::Percent(percent) => subtotal.ratio(
                percent.mantissa(),
                percent
                    .denominator()
                    .checked_mul(100)
                    .ok_or(MoneyError::Overflow)?,
            )?,
            Self::Fixed(amount) if amount.currency == subtotal.currency => *amount,
            Self::Fixed(amount) => {
                return Err(MoneyError::CurrencyMismatch(
                    amount.currency,
                    subtotal.currency,
                ));
            }
            Self::FreeShipping => Money::zero(subtotal.currency),
        };
        Ok(Money::new(
            off.minor.clamp(0, subtotal.minor.max(0)),
            subtotal.currency,
        ))
    }
}

/// A promo code as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promo {
    /// The code, upper case.
    pub code: String,
    /// What it does.
    pub discount: Discount,
    /// Least worth of the goods, in its currency.
    pub min_subtotal: Money,
    /// First moment it can be used.
    pub starts_at: Option<DateTime<Utc>>,
    /// First moment it can no longer be used.
    pub ends_at: Option<DateTime<Utc>>,
    /// How often in all; 0 for any number.
    pub max_uses: i64,
    /// How often per user; 0 for any number.
    pub max_uses_per_user: i64,
    /// How often it was used.
    pub uses: i64,
    /// What it is, for people.
    pub description: String,
}

/// Why a code cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromoRefusal {
    /// There is no such code.
    #[error("there is no promo code {0}")]
    Unknown(String),
    /// Its time has not come.
    #[error("promo code {0} cannot be used yet")]
    NotYet(String),
    /// Its time is over.
    #[error("promo code {0} has expired")]
    Expired(String),
    /// The goods are not worth enough.
    #[error("promo code {code} needs goods worth at least {least}")]
    BelowMinimum {
        /// The code.
        code: String,
        /// What is needed.
        least: Money,
    },
    /// It is for another currency.
    #[error("promo code {code} is for orders in {currency}")]
    OtherCurrency {
        /// The code.
        code: String,
        /// Its currency.
        currency: Currency,
    },
    /// It was used as often as it may be.
    #[error("promo code {0} has been used up")]
    UsedUp(String),
    /// This user has used it as often as anyone may.
    #[error("you have used promo code {0} as often as it allows")]
    UsedUpByUser(String),
}

impl Promo {
    /// Whether the code may be used now for goods of this worth, `used_by_user` times already by this user.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        now: DateTime<Utc>,
        subtotal: Money,
        used_by_user: i64,
    ) -> Result<(), PromoRefusal> {
        let code = || self.code.clone();
        if self.starts_at.is_some_and(|starts_at| now < starts_at) {
            return Err(PromoRefusal::NotYet(code()));
        }
        if self.ends_at.is_some_and(|ends_at| now >= ends_at) {
            return Err(PromoRefusal::Expired(code()));
        }
        let needs_currency =
            matches!(self.discount, Discount::Fixed(_)) || self.min_subtotal.is_positive();
        if needs_currency && self.min_subtotal.currency != subtotal.currency {
            return Err(PromoRefusal::OtherCurrency {
                code: code(),
                currency: self.min_subtotal.currency,
            });
        }
        if subtotal.minor < self.min_subtotal.minor {
            return Err(PromoRefusal::BelowMinimum {
                code: code(),
                least: self.min_subtotal,
            });
        }
        if self.max_uses > 0 && self.uses >= self.max_uses {
            return Err(PromoRefusal::UsedUp(code()));
        }
        if self.max_uses_per_user > 0 && used_by_user >= self.max_uses_per_user {
            return Err(PromoRefusal::UsedUpByUser(code()));
        }
        Ok(())
    }
}

/// A code as it is stored: trimmed, upper case.
pub fn normalize(code: &str) -> String {
    code.trim().to_uppercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn promo() -> Promo {
        Promo {
            code: "PEAK10".into(),
            discount: Discount::Percent("10".parse().unwrap()),
            min_subtotal: Money::parse("20.00", "USD").unwrap(),
            starts_at: DateTime::from_timestamp(100, 0),
            ends_at: DateTime::from_timestamp(200, 0),
            max_uses: 5,
            max_uses_per_user: 2,
            uses: 0,
            description: String::new(),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn window_minimum_and_limits() {
        let usd = |amount| Money::parse(amount, "USD").unwrap();
        let promo = promo();
        assert!(promo.check(at(100), usd("20.00"), 0).is_ok());
        assert!(matches!(
            promo.check(at(99), usd("20.00"), 0),
            Err(PromoRefusal::NotYet(_))
        ));
        assert!(matches!(
            promo.check(at(200), usd("20.00"), 0),
            Err(PromoRefusal::Expired(_))
        ));
        assert!(matches!(
            promo.check(at(150), usd("19.99"), 0),
            Err(PromoRefusal::BelowMinimum { .. })
        ));
        assert!(matches!(
            promo.check(at(150), Money::parse("30.00", "EUR").unwrap(), 0),
            Err(PromoRefusal::OtherCurrency { .. })
        ));
        assert!(matches!(
            promo.check(at(150), usd("20.00"), 2),
            Err(PromoRefusal::UsedUpByUser(_))
        ));
        let used = Promo { uses: 5, ..promo };
        assert!(matches!(
            used.check(at(150), usd("20.00"), 0),
            Err(PromoRefusal::UsedUp(_))
        ));
    }

    #[test]
    fn per_cents_round_half_even_and_never_exceed_the_goods() {
        let usd = |minor| Money::new(minor, "USD".parse().unwrap());
        let half = Discount::Percent("12.5".parse().unwrap());
        assert_eq!(half.off(usd(100)).unwrap().minor, 12);
        assert_eq!(half.off(usd(300)).unwrap().minor, 38);
        let too_much = Discount::Percent("250".parse().unwrap());
        assert_eq!(too_much.off(usd(100)).unwrap().minor, 100);
        assert_eq!(normalize("  peak10 "), "PEAK10");
    }
}
