//! `google.protobuf.Duration` as seconds with the suffix `s`.

use super::{parse_fraction, put_fraction};

/// About 10,000 years, the range that the type declares.
const MAX_SECONDS: i64 = 315_576_000_000;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    Syntax,
    Range,
}

/// Appends the duration without quotes; `false` when it is out of range or its parts differ in sign.
pub(crate) fn put(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    if seconds.unsigned_abs() > MAX_SECONDS as u64
        || nanos.unsigned_abs() > 999_999_999
        || (seconds > 0 && nanos < 0)
        || (seconds < 0 && nanos > 0)
    {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(seconds.unsigned_abs()).as_bytes());
    put_fraction(nanos.unsigned_abs(), out);
    out.push(b's');
    true
}

/// Seconds and nanoseconds of a text such as `1.5s` or `-0.000001s`.
pub(crate) fn parse(text: &[u8]) -> Result<(i64, i32), Invalid> {
    let text = text.strip_suffix(b"s").ok_or(Invalid::Syntax)?;
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, nanos) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (
            &text[..dot],
            parse_fraction(&text[dot + 1..]).ok_or(Invalid::Syntax)?,
        ),
        None => (text, 0),
    };
    if whole.is_empty() || !whole.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::Syntax);
    }
    let mut seconds = 0_i64;
    for digit in whole {
        seconds = seconds * 10 + i64::from(digit - b'0');
        if seconds > MAX_SECONDS {
            return Err(Invalid::Range);
        }
    }
    let nanos = nanos as i32;
    Ok(if negative {
        (-seconds, -nanos)
    } else {
        (seconds, nanos)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn prints_and_reads() {
        for (seconds, nanos, expected) in [
            (0, 0, "0s"),
            (1, 500_000_000, "1.500s"),
            (-1, -1_000, "-1.000001s"),
            (0, -1, "-0.000000001s"),
            (MAX_SECONDS, 0, "315576000000s"),
        ] {
            let mut out = Vec::new();
            assert!(put(seconds, nanos, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(parse(expected.as_bytes()), Ok((seconds, nanos)));
        }
        assert_eq!(parse(b"1.5s"), Ok((1, 500_000_000)));
        for (seconds, nanos) in [
            (MAX_SECONDS + 1, 0),
            (1, -1),
            (-1, 1),
            (0, 1_000_000_000),
            (i64::MIN, 0),
        ] {
            assert!(!put(seconds, nanos, &mut Vec::new()));
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for wrong in [
            "",
            "s",
            "1",
            "-s",
            "1.s",
            ".5s",
            "1.0000000000s",
            "+1s",
            "1 s",
            "--1s",
            "1e3s",
            "1.-5s",
        ] {
            assert_eq!(parse(wrong.as_bytes()), Err(Invalid::Syntax), "{wrong}");
        }
        for wrong in ["315576000001s", "99999999999999999999999999s"] {
            assert_eq!(parse(wrong.as_bytes()), Err(Invalid::Range), "{wrong}");
        }
    }
}
