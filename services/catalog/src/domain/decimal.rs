//! Decimal texts: prices, bounds of price filters, tax rates and ratings, read without a float.
//!
//! Prices of different currencies have different numbers of decimals, so lists compare *price keys*:
//! whole ten-thousandths of the major unit, which is exact for every currency there is.

use mesh::{Currency, Money};

/// Decimals of a price key.
const KEY_SCALE: u32 = 4;
/// Digits before the point that a price may have.
const MAX_WHOLE_DIGITS: usize = 12;

/// Why a text is not what it should be; written for the person who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point.
    #[error("must be a decimal number such as 12.50")]
    NotDecimal,
    /// More digits before the point than prices have.
    #[error("must have at most 12 digits before the point")]
    TooLarge,
    /// More decimals than allowed.
    #[error("must have at most {0} decimals")]
    TooManyDecimals(u32),
    /// Outside of what it may be.
    #[error("must be between {0} and {1}")]
    OutOfRange(&'static str, &'static str),
}

/// Reads a non-negative decimal as a whole number of `10^-scale`.
///
/// # Errors
/// Anything but digits and a point with digits on both sides, more decimals than `scale`, too many digits.
pub fn parse_scaled(text: &str, scale: u32) -> Result<i64, DecimalError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(DecimalError::NotDecimal),
        None => (text, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(DecimalError::NotDecimal);
    }
    if whole.len() > MAX_WHOLE_DIGITS {
        return Err(DecimalError::TooLarge);
    }
    let scale_digits = scale as usize;
    if fraction.len() > scale_digits {
        return Err(DecimalError::TooManyDecimals(scale));
    }
    let padding = std::iter::repeat_n(b'0', scale_digits - fraction.len());
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(padding)
        .try_fold(0_i64, |number, digit| {
            number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        })
        .ok_or(DecimalError::TooLarge)
}

/// Reads a price in major units. Fewer decimals than the currency has are fine: `80` is `80.00`.
///
/// # Errors
/// As [`parse_scaled`].
pub fn parse_price(text: &str, currency: Currency) -> Result<Money, DecimalError> {
    parse_scaled(text, currency.exponent()).map(|minor| Money::new(minor, currency))
}

/// Reads an amount in major units of any currency as a price key.
///
/// # Errors
/// As [`parse_scaled`].
pub fn parse_price_key(text: &str) -> Result<i64, DecimalError> {
    parse_scaled(text, KEY_SCALE)
}

/// The price key of an amount.
pub fn price_key(price: Money) -> i64 {
    let decimals = KEY_SCALE.saturating_sub(price.currency.exponent());
    price.minor.saturating_mul(10_i64.pow(decimals))
}

/// The amount with this price key, if the currency has the decimals for it.
pub fn from_price_key(key: i64, currency: Currency) -> Option<Money> {
    let step = 10_i64.pow(KEY_SCALE.saturating_sub(currency.exponent()));
    (key % step == 0).then(|| Money::new(key / step, currency))
}

/// A price key as a decimal text in major units, for other services' filters.
pub fn price_key_text(key: i64) -> String {
    scaled_text(key, KEY_SCALE)
}

/// Reads a tax rate between 0 and 1 with at most 6 decimals, and gives its shortest form: `0.0825`, `0`.
/// The empty text is no tax.
///
/// # Errors
/// As [`parse_scaled`]; a rate above 1.
pub fn parse_tax_rate(text: &str) -> Result<String, DecimalError> {
    const SCALE: u32 = 6;
    if text.is_empty() {
        return Ok("0".to_owned());
    }
    let rate = parse_scaled(text, SCALE)?;
    if rate > 10_i64.pow(SCALE) {
        return Err(DecimalError::OutOfRange("0", "1"));
    }
    Ok(scaled_text(rate, SCALE))
}

/// Reads a rating between 0 and 5 in thousandths.
///
/// # Errors
/// As [`parse_scaled`]; a rating above 5.
pub fn parse_rating(text: &str) -> Result<i64, DecimalError> {
    match parse_scaled(text, 3)? {
        rating if rating > 5_000 => Err(DecimalError::OutOfRange("0", "5")),
        rating => Ok(rating),
    }
}

/// The shortest decimal text of `number` times `10^-scale`.
fn scaled_text(number: i64, scale: u32) -> String {
    let unit = 10_i64.pow(scale);
    let fraction = format!("{:0width$}", number % unit, width = scale as usize);
    match fraction.trim_end_matches('0') {
        "" => (number / unit).to_string(),
        fraction => format!("{}.{fraction}", number / unit),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_have_the_decimals_of_their_currency() {
        assert_eq!(parse_price("80", Currency::USD).unwrap().minor, 8_000);
        assert_eq!(parse_price("3.5", Currency::USD).unwrap().minor, 350);
        assert_eq!(parse_price("1200", Currency::JPY).unwrap().minor, 1_200);
        assert_eq!(
            parse_price("3.505", Currency::USD),
            Err(DecimalError::TooManyDecimals(2))
        );
        for wrong in ["", "-1", "1.", ".5", "1e3", "1,5", "0x1", " 1", "NaN", "+1"] {
            assert_eq!(
                parse_price(wrong, Currency::USD),
                Err(DecimalError::NotDecimal),
                "{wrong:?}"
            );
        }
        assert_eq!(
            parse_price("1234567890123", Currency::USD),
            Err(DecimalError::TooLarge)
        );
    }

    #[test]
    fn tax_rates_are_shares() {
        assert_eq!(parse_tax_rate("0.0825").unwrap(), "0.0825");
        assert_eq!(parse_tax_rate("0.080000").unwrap(), "0.08");
        assert_eq!(parse_tax_rate("1").unwrap(), "1");
        assert_eq!(parse_tax_rate("").unwrap(), "0");
        assert!(parse_tax_rate("1.000001").is_err());
        assert!(parse_tax_rate("0.0000001").is_err());
        assert!(parse_rating("5.001").is_err());
        assert_eq!(parse_rating("4.8").unwrap(), 4_800);
    }

    proptest! {
        #[test]
        fn keys_and_prices_agree(minor in 0_i64..1_000_000_000_000) {
            for currency in [Currency::USD, Currency::JPY] {
                let money = Money::new(minor, currency);
                prop_assert_eq!(parse_price(&money.amount(), currency).unwrap(), money);
                prop_assert_eq!(parse_price_key(&money.amount()).unwrap(), price_key(money));
                prop_assert_eq!(from_price_key(price_key(money), currency), Some(money));
                prop_assert_eq!(parse_price_key(&price_key_text(price_key(money))).unwrap(), price_key(money));
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}") {
            let _ = parse_price_key(&text);
            let _ = parse_tax_rate(&text);
        }
    }
}
