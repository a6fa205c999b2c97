//! Numbers as text, from JSON numbers, JSON strings and query parameters alike.

use super::fail::{Fail, Read};

/// An integer between `min` and `max`.
///
/// As proto3 JSON allows, a fraction of zeros and an exponent are fine as long as the value is an
/// integer: `1.0`, `5e3`.
pub(super) fn integer(text: &[u8], min: i128, max: i128) -> Read<i128> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    // Almost every number: few enough digits that nothing can overflow.
    let magnitude =
        if !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit) {
            i128::from(
                digits
                    .iter()
                    .fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0')),
            )
        } else {
            exact(digits)?
        };
    let value = if negative { -magnitude } else { magnitude };
    if value < min || value > max {
        return Err(Fail::range(format!("must be between {min} and {max}")));
    }
    Ok(value)
}

/// The magnitude of a decimal number that must be an integer; one too large for any field is capped.
fn exact(text: &[u8]) -> Read<i128> {
    let not_a_number = || Fail::value("must be an integer");
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) if at + 1 < mantissa.len() => (&mantissa[..at], &mantissa[at + 1..]),
        Some(_) => return Err(not_a_number()),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(not_a_number());
    }
    let exponent = match exponent {
        None => 0,
        Some(text) => {
            let (negative, digits) = match text.split_first() {
                Some((b'-', digits)) => (true, digits),
                Some((b'+', digits)) => (false, digits),
                _ => (false, text),
            };
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(not_a_number());
            }
            // Large enough to be past any number of digits that fits a body.
            let size = digits.iter().fold(0_i64, |value, digit| {
                (value * 10 + i64::from(digit - b'0')).min(1 << 40)
            });
            if negative { -size } else { size }
        }
    };
    // The digits without zeros at either end, and where the decimal point stands among them.
    let mut significant: Vec<u8> = whole.iter().chain(fraction).copied().collect();
    let leading = significant
        .iter()
        .take_while(|&&digit| digit == b'0')
        .count();
    let point = whole.len() as i64 - leading as i64 + exponent;
    significant.drain(..leading);
    while significant.last() == Some(&b'0') {
        significant.pop();
    }
    if significant.is_empty() {
        return Ok(0);
    }
    if point < significant.len() as i64 {
        return Err(not_a_number());
    }
    if point > 20 {
        return Ok(i128::MAX);
    }
    let value = significant
        .iter()
        .fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
    Ok(value * 10_i128.pow((point - significant.len() as i64) as u32))
}

/// A double, by the grammar of JSON numbers or as one of the three names.
pub(super) fn double(text: &[u8]) -> Read<f64> {
    let value: f64 = parse(text, [f64::NAN, f64::INFINITY, f64::NEG_INFINITY])?;
    finite(value.is_infinite(), text).map(|()| value)
}

/// A float, likewise.
pub(super) fn float(text: &[u8]) -> Read<f32> {
    let value: f32 = parse(text, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY])?;
    finite(value.is_infinite(), text).map(|()| value)
}

fn parse<T: std::str::FromStr>(text: &[u8], [nan, infinity, minus_infinity]: [T; 3]) -> Read<T> {
    match text {
        b"NaN" => Ok(nan),
        b"Infinity" => Ok(infinity),
        b"-Infinity" => Ok(minus_infinity),
        // Rust also reads `inf`, `+1` and `.5`, which JSON does not have.
        [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] if !text.ends_with(b".") => {
            std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(not_a_number)
        }
        _ => Err(not_a_number()),
    }
}

fn finite(infinite: bool, text: &[u8]) -> Read<()> {
    if infinite && !text.ends_with(b"Infinity") {
        return Err(Fail::range("is too large for its type"));
    }
    Ok(())
}

#[cold]
fn not_a_number() -> Box<Fail> {
    Fail::value("must be a number")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn int64(text: &str) -> Option<i128> {
        integer(text.as_bytes(), i128::from(i64::MIN), i128::from(i64::MAX)).ok()
    }

    #[test]
    fn reads_integers_however_they_are_written() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("7", 7),
            ("-7", -7),
            ("1.0", 1),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("100e-2", 1),
            ("0e99999999999999999999", 0),
            ("0.000", 0),
            ("12300E-2", 123),
            ("9223372036854775807", i128::from(i64::MAX)),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("000000000000000000000000000001", 1),
        ] {
            assert_eq!(int64(text), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "1.",
            ".5",
            "1.5",
            "1e",
            "1e-1",
            "e3",
            "0x1",
            " 1",
            "1 ",
            "NaN",
            "9223372036854775808",
            "1e400",
            "1e99999999999999999999",
            "99999999999999999999999999999999999999999999",
        ] {
            assert_eq!(int64(text), None, "{text}");
        }
    }

    #[test]
    fn reads_floats() {
        assert_eq!(double(b"1.5e3").unwrap(), 1500.0);
        assert_eq!(double(b"-Infinity").unwrap(), f64::NEG_INFINITY);
        assert!(double(b"NaN").unwrap().is_nan());
        assert_eq!(float(b"3.4028235e38").unwrap(), f32::MAX);
        for text in [
            "", "inf", "nan", "+1", ".5", "1.", "1e999", "-1e999", "1,5", "infinity",
        ] {
            assert!(double(text.as_bytes()).is_err(), "{text}");
        }
        assert!(float(b"1e39").is_err());
    }
}
