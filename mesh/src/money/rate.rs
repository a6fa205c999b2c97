//! Decimal rates: taxes and percentages, exact.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::MoneyError;

/// The most decimals a rate may have.
const MAX_SCALE: usize = 9;

/// A decimal factor such as `0.0825`, kept exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    mantissa: i64,
    scale: u8,
}

impl Rate {
    /// The factor zero.
    pub const ZERO: Self = Self {
        mantissa: 0,
        scale: 0,
    };

    /// `percent` per cent.
    pub const fn percent(percent: u32) -> Self {
        Self {
            mantissa: percent as i64,
            scale: 2,
        }
    }

    /// `points` hundredths of a per cent.
    pub const fn basis_points(points: u32) -> Self {
        Self {
            mantissa: points as i64,
            scale: 4,
        }
    }

    /// The factor times [`Rate::denominator`].
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// The power of ten that the mantissa is over.
    pub const fn denominator(self) -> i64 {
        10_i64.pow(self.scale as u32)
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads an unsigned decimal with at most nine decimals.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let not_decimal = || MoneyError::NotDecimal(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > MAX_SCALE {
            return Err(not_decimal());
        }
        let mantissa = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| MoneyError::Overflow)?;
        Ok(Self {
            mantissa,
            // At most MAX_SCALE, checked above.
            scale: fraction.len() as u8,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denominator = self.denominator();
        if self.scale == 0 {
            return write!(f, "{}", self.mantissa);
        }
        write!(
            f,
            "{}.{:0width$}",
            self.mantissa / denominator,
            self.mantissa % denominator,
            width = usize::from(self.scale)
        )
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
