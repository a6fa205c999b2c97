//! Money without floats.
//!
//! An amount is a whole number of a currency's minor units. Every operation that could lose a unit
//! says how it rounds (half-even, the banker's rule, so that rounding has no drift) and every one
//! that could overflow says so in its result.

mod currency;
mod rate;

use std::fmt;

use contracts::hub::r#type::v1 as wire;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use currency::Currency;
pub use rate::Rate;

use crate::error::Failure;

/// An amount in minor units of a currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in minor units, for example cents.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why a text is not an amount, or an operation has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code that the hub trades in.
    #[error("{0:?} is not a known currency")]
    UnknownCurrency(String),
    /// Not a decimal string.
    #[error("{0:?} is not a decimal amount")]
    NotDecimal(String),
    /// The number of decimals is not the currency's.
    #[error("an amount in {currency} has {expected} decimals")]
    WrongDecimals {
        /// The currency.
        currency: Currency,
        /// Its number of decimals.
        expected: u32,
    },
    /// The result does not fit 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// Two amounts of different currencies meet.
    #[error("cannot combine {0} and {1}")]
    CurrencyMismatch(Currency, Currency),
    /// A share was asked for without anything to share by.
    #[error("the weights add up to nothing")]
    NothingToShareBy,
}

impl Money {
    /// `minor` minor units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads an amount such as `1199.00`, which must have exactly the currency's decimals.
    ///
    /// # Errors
    /// An unknown currency, anything but an optional minus and digits, wrong decimals, overflow.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        let currency: Currency = currency.parse()?;
        let exponent = currency.exponent();
        let wrong_decimals = MoneyError::WrongDecimals {
            currency,
            expected: exponent,
        };
        let (digits, negative) = match amount.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (amount, false),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !fraction.is_none_or(is_digits) {
            return Err(MoneyError::NotDecimal(amount.to_owned()));
        }
        let fraction = fraction.unwrap_or("");
        if fraction.len() != exponent as usize {
            return Err(wrong_decimals);
        }
        let mut magnitude: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            magnitude = magnitude
                .checked_mul(10)
                .and_then(|m| m.checked_add(i64::from(digit - b'0')))
                .ok_or(MoneyError::Overflow)?;
        }
        let minor = if negative { -magnitude } else { magnitude };
        Ok(Self::new(minor, currency))
    }

    /// The amount as a decimal string in major units with exactly the currency's decimals.
    pub fn amount(&self) -> String {
        let exponent = self.currency.exponent();
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        if exponent == 0 {
            return format!("{sign}{magnitude}");
        }
        let scale = 10_u64.pow(exponent);
        format!(
            "{sign}{}.{:0width$}",
            magnitude / scale,
            magnitude % scale,
            width = exponent as usize
        )
    }

    /// Whether the amount is zero.
    pub const fn is_zero(&self) -> bool {
        self.minor == 0
    }

    /// Whether the amount is above zero.
    pub const fn is_positive(&self) -> bool {
        self.minor > 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(&self) -> bool {
        self.minor < 0
    }

    /// The sum.
    ///
    /// # Errors
    /// Different currencies, overflow.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.with(self.minor.checked_add(other.minor))
    }

    /// The difference.
    ///
    /// # Errors
    /// Different currencies, overflow.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.with(self.minor.checked_sub(other.minor))
    }

    /// The amount with the opposite sign.
    ///
    /// # Errors
    /// Overflow.
    pub fn negated(self) -> Result<Self, MoneyError> {
        self.with(self.minor.checked_neg())
    }

    /// The price of `quantity` pieces at this unit price.
    ///
    /// # Errors
    /// Overflow.
    pub fn times(self, quantity: impl Into<i64>) -> Result<Self, MoneyError> {
        self.with(self.minor.checked_mul(quantity.into()))
    }

    /// `numerator / denominator` of the amount, rounded half-even.
    ///
    /// # Errors
    /// A denominator of zero or below ([`MoneyError::NothingToShareBy`]), overflow.
    pub fn ratio(self, numerator: i64, denominator: i64) -> Result<Self, MoneyError> {
        if denominator <= 0 {
            return Err(MoneyError::NothingToShareBy);
        }
        let product = i128::from(self.minor) * i128::from(numerator);
        self.with(i64::try_from(div_half_even(product, i128::from(denominator))).ok())
    }

    /// The amount times `rate`, for example a tax or a percentage off, rounded half-even.
    ///
    /// # Errors
    /// Overflow.
    pub fn at(self, rate: Rate) -> Result<Self, MoneyError> {
        self.ratio(rate.mantissa(), rate.denominator())
    }

    /// The sum of many amounts; zero of `currency` for none.
    ///
    /// # Errors
    /// An amount in another currency, overflow.
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Splits the amount over `weights` so that the shares add up to it exactly.
    ///
    /// Each share is the proportional one rounded down, and the units left over go one each to the
    /// largest remainders (Hamilton's method; ties to the earlier line). So a discount that is not
    /// above the total of its lines never exceeds a line when the weights are the line totals.
    ///
    /// # Errors
    /// [`MoneyError::NothingToShareBy`] when no weight is positive or one is negative (unless the
    /// amount is zero), overflow.
    pub fn allocate(self, weights: &[i64]) -> Result<Vec<Self>, MoneyError> {
        if self.minor == 0 {
            return Ok(vec![self; weights.len()]);
        }
        let total: i128 = weights.iter().copied().map(i128::from).sum();
        if total <= 0 || weights.iter().any(|weight| *weight < 0) {
            return Err(MoneyError::NothingToShareBy);
        }
        let magnitude = i128::from(self.minor.unsigned_abs());
        let mut shares = Vec::with_capacity(weights.len());
        let mut remainders = Vec::with_capacity(weights.len());
        let mut left = magnitude;
        for (index, weight) in weights.iter().enumerate() {
            let product = magnitude * i128::from(*weight);
            let share = product / total;
            left -= share;
            shares.push(share);
            remainders.push((product % total, index));
        }
        remainders.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
        // Fewer units are left than there are lines with a remainder.
        let left = usize::try_from(left).map_err(|_| MoneyError::Overflow)?;
        for (_, index) in remainders.into_iter().take(left) {
            shares[index] += 1;
        }
        let sign = i128::from(self.minor.signum());
        shares
            .into_iter()
            .map(|share| self.with(i64::try_from(share * sign).ok()))
            .collect()
    }

    /// Reads the Money of a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names `field` when it is absent or not a valid amount.
    pub fn from_wire(money: Option<&wire::Money>, field: &str) -> Result<Self, Failure> {
        let money = money.ok_or_else(|| Failure::invalid(field, "is required"))?;
        Self::parse(&money.amount, &money.currency)
            .map_err(|error| Failure::invalid(field, error.to_string()))
    }

    /// The message for the wire.
    pub fn to_wire(self) -> wire::Money {
        self.into()
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }

    fn with(self, minor: Option<i64>) -> Result<Self, MoneyError> {
        minor
            .map(|minor| Self::new(minor, self.currency))
            .ok_or(MoneyError::Overflow)
    }
}

/// `numerator / denominator` (above zero) to the nearest whole number, ties to the even one.
fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Money> for wire::Money {
    fn from(money: Money) -> Self {
        Self {
            amount: money.amount(),
            currency: money.currency.to_string(),
        }
    }
}

impl TryFrom<&wire::Money> for Money {
    type Error = MoneyError;

    fn try_from(money: &wire::Money) -> Result<Self, MoneyError> {
        Self::parse(&money.amount, &money.currency)
    }
}

impl TryFrom<wire::Money> for Money {
    type Error = MoneyError;

    fn try_from(money: wire::Money) -> Result<Self, MoneyError> {
        Self::try_from(&money)
    }
}

impl From<MoneyError> for Failure {
    /// Arithmetic that has no answer is a rule broken by the request, most often a quantity too large.
    fn from(error: MoneyError) -> Self {
        Self::new(crate::error::Reason::Unprocessable, error.to_string())
    }
}

/// The same form as on the wire, for configuration and JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    amount: String,
    currency: String,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text {
            amount: self.amount(),
            currency: self.currency.to_string(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Self::parse(&text.amount, &text.currency).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
