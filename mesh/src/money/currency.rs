//! Currencies and their minor units (ISO 4217).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::MoneyError;

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

/// Active currencies whose minor unit is a hundredth.
const HUNDREDTHS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN \
    BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP \
    GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL \
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR \
    RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD \
    TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";
/// Active currencies without a minor unit.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Active currencies whose minor unit is a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Units of account with four decimals.
const TEN_THOUSANDTHS: &str = "CLF UYW";

const USUAL: [Currency; 4] = [Currency::USD, Currency::EUR, Currency::GBP, Currency::JPY];

impl Currency {
    /// US dollar.
    pub const USD: Self = Self::hundredths(*b"USD");
    /// Euro.
    pub const EUR: Self = Self::hundredths(*b"EUR");
    /// Pound sterling.
    pub const GBP: Self = Self::hundredths(*b"GBP");
    /// Yen.
    pub const JPY: Self = Self {
        code: *b"JPY",
        exponent: 0,
    };

    const fn hundredths(code: [u8; 3]) -> Self {
        Self { code, exponent: 2 }
    }

    /// The number of decimals of an amount in major units.
    pub const fn exponent(self) -> u32 {
        self.exponent as u32
    }

    /// The code, for example `USD`.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters of the table get in.
        std::str::from_utf8(&self.code).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::UnknownCurrency(text.to_owned());
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| unknown())?;
        if !code.iter().all(u8::is_ascii_uppercase) {
            return Err(unknown());
        }
        // The ones that nearly every amount is in need no search.
        if let Some(usual) = USUAL.into_iter().find(|usual| usual.code == code) {
            return Ok(usual);
        }
        [
            (HUNDREDTHS, 2),
            (WHOLE, 0),
            (THOUSANDTHS, 3),
            (TEN_THOUSANDTHS, 4),
        ]
        .into_iter()
        .find(|(codes, _)| codes.split_ascii_whitespace().any(|known| known == text))
        .map(|(_, exponent)| Self { code, exponent })
        .ok_or_else(unknown)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
