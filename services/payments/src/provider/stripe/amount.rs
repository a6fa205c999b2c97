//! Amounts as Stripe counts them.
//!
//! Stripe counts in a currency's smallest unit, which is ISO 4217's minor unit except for a handful of
//! currencies (Stripe's documentation, "Supported currencies"): some that ISO gives decimals are whole,
//! two that ISO says are whole are still counted in hundredths, and those with three decimals must end
//! in zero. A mistake here is one by a factor of a hundred, so what cannot be said exactly is refused.

use mesh::{Currency, Money};

/// ISO gives these decimals; Stripe does not.
const WHOLE: [&str; 1] = ["MGA"];
/// ISO gives these none; Stripe counts hundredths, which must be zero.
const HUNDREDTHS_OF_WHOLE: [&str; 2] = ["ISK", "UGX"];
/// Currencies with decimals that Stripe cannot take.
const UNKNOWN: [&str; 6] = ["CLF", "UYW", "UYI", "IQD", "LYD", "IRR"];

/// The amount cannot be charged through Stripe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Stripe does not trade in the currency.
    #[error("Stripe does not take {0}")]
    Currency(Currency),
    /// The amount has decimals that the currency does not have at Stripe.
    #[error("Stripe cannot take {0} exactly")]
    Inexact(Money),
}

/// `amount` as Stripe counts it.
///
/// # Errors
/// [`AmountError`].
pub fn to_stripe(amount: Money) -> Result<i64, AmountError> {
    let (numerator, denominator) = scale(amount.currency)?;
    let inexact = AmountError::Inexact(amount);
    let scaled = amount.minor.checked_mul(numerator).ok_or(inexact.clone())?;
    if scaled % denominator != 0 {
        return Err(inexact);
    }
    let count = scaled / denominator;
    if amount.currency.exponent() == 3 && count % 10 != 0 {
        return Err(inexact);
    }
    Ok(count)
}

/// What Stripe's `count` of `currency` is worth.
///
/// # Errors
/// [`AmountError`].
pub fn from_stripe(count: i64, currency: Currency) -> Result<Money, AmountError> {
    let (numerator, denominator) = scale(currency)?;
    let wrong = AmountError::Inexact(Money::new(count, currency));
    let scaled = count.checked_mul(denominator).ok_or(wrong.clone())?;
    if scaled % numerator != 0 {
        return Err(wrong);
    }
    Ok(Money::new(scaled / numerator, currency))
}

/// Stripe's count per ISO minor unit, as a fraction.
fn scale(currency: Currency) -> Result<(i64, i64), AmountError> {
    let code = currency.as_str();
    if UNKNOWN.contains(&code) {
        return Err(AmountError::Currency(currency));
    }
    Ok(if WHOLE.contains(&code) {
        (1, 100)
    } else if HUNDREDTHS_OF_WHOLE.contains(&code) {
        (100, 1)
    } else {
        (1, 1)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn stripe(amount: &str, currency: &str) -> Result<i64, AmountError> {
        to_stripe(Money::parse(amount, currency).unwrap())
    }

    #[test]
    fn golden_amounts() {
        assert_eq!(stripe("1199.00", "USD"), Ok(119_900));
        assert_eq!(stripe("500", "JPY"), Ok(500));
        assert_eq!(stripe("500", "KRW"), Ok(500));
        assert_eq!(stripe("5", "ISK"), Ok(500));
        assert_eq!(stripe("5", "UGX"), Ok(500));
        assert_eq!(stripe("1500.00", "MGA"), Ok(1500));
        assert_eq!(stripe("5.120", "KWD"), Ok(5120));
        assert!(matches!(
            stripe("5.124", "KWD"),
            Err(AmountError::Inexact(_))
        ));
        assert!(matches!(
            stripe("1.50", "MGA"),
            Err(AmountError::Inexact(_))
        ));
        assert!(matches!(
            stripe("1.0000", "CLF"),
            Err(AmountError::Currency(_))
        ));
    }

    proptest! {
        #[test]
        fn what_stripe_takes_comes_back(
            minor in 0_i64..1_000_000_000_000,
            code in prop::sample::select(vec!["USD", "EUR", "JPY", "ISK", "UGX", "MGA", "KWD", "BHD"]),
        ) {
            let amount = Money::new(minor, code.parse().unwrap());
            if let Ok(count) = to_stripe(amount) {
                prop_assert_eq!(from_stripe(count, amount.currency), Ok(amount));
            }
        }
    }
}
