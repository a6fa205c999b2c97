//! Signatures of webhooks.
//!
//! Stripe's scheme: the header has a time `t` and one or more signatures `v1`, each the hex of an
//! HMAC-SHA256 with the endpoint's secret over `t`, a dot and the body as it was sent. There are several
//! while a secret is being rotated. The time bounds how long a recorded call can be sent again.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Signatures in one header that are looked at.
const MOST_SIGNATURES: usize = 8;
const LONGEST_HEADER: usize = 4096;

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// No header, or one that does not follow the scheme.
    #[error("the signature header is missing or malformed")]
    Malformed,
    /// Signed too long ago, or in the future.
    #[error("the signature is outside the tolerated time")]
    Stale,
    /// None of the signatures is of this body with our secret.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks that `header` signs `body` with `secret` at a time within `tolerance_seconds` of `now`.
///
/// # Errors
/// [`BadSignature`].
pub fn verify(
    header: &str,
    body: &[u8],
    secret: &str,
    now: DateTime<Utc>,
    tolerance_seconds: i64,
) -> Result<(), BadSignature> {
    if header.len() > LONGEST_HEADER {
        return Err(BadSignature::Malformed);
    }
    let mut signed_at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if signed_at.is_none() => signed_at = Some(text),
            Some(("v1", text)) if signatures.len() < MOST_SIGNATURES => signatures.push(text),
            _ => {}
        }
    }
    let text = signed_at.ok_or(BadSignature::Malformed)?;
    let seconds: i64 = text.parse().map_err(|_| BadSignature::Malformed)?;
    if signatures.is_empty() {
        return Err(BadSignature::Malformed);
    }
    let expected = sign(text, body, secret);
    // All of them are compared, so that the time taken tells nothing.
    let matches = signatures
        .iter()
        .filter_map(|signature| from_hex(signature))
        .fold(Choice::from(0), |found, signature| {
            found | signature.as_slice().ct_eq(&expected)
        });
    if !bool::from(matches) {
        return Err(BadSignature::Mismatch);
    }
    if now.timestamp().abs_diff(seconds) > tolerance_seconds.unsigned_abs() {
        return Err(BadSignature::Stale);
    }
    Ok(())
}

fn sign(time: &str, body: &[u8], secret: &str) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_test";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn header(seconds: i64, body: &[u8], secret: &str) -> String {
        format!(
            "t={seconds},v1={}",
            hex(&sign(&seconds.to_string(), body, secret))
        )
    }

    #[test]
    fn hmac_follows_rfc_4231() {
        // Test case 2: key "Jefe", data "what do ya want for nothing?", split at our dot.
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        assert_eq!(
            hex(&mac.finalize().into_bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_signature_is_of_body_secret_and_time() {
        let now = 1_800_000_000;
        let good = header(now, b"{}", SECRET);
        assert_eq!(verify(&good, b"{}", SECRET, at(now), 300), Ok(()));
        assert_eq!(
            verify(&good, b"{ }", SECRET, at(now), 300),
            Err(BadSignature::Mismatch)
        );
        assert_eq!(
            verify(&good, b"{}", "whsec_other", at(now), 300),
            Err(BadSignature::Mismatch)
        );
        let moved = good.replacen("t=1800000000", "t=1800000001", 1);
        assert_eq!(
            verify(&moved, b"{}", SECRET, at(now), 300),
            Err(BadSignature::Mismatch)
        );
    }

    #[test]
    fn the_tolerance_holds_both_ways() {
        let now = 1_800_000_000;
        for (offset, expected) in [
            (-301, Err(BadSignature::Stale)),
            (-300, Ok(())),
            (300, Ok(())),
            (301, Err(BadSignature::Stale)),
        ] {
            let header = header(now + offset, b"{}", SECRET);
            assert_eq!(
                verify(&header, b"{}", SECRET, at(now), 300),
                expected,
                "{offset}"
            );
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let now = 1_800_000_000;
        let (_, new) = header(now, b"{}", SECRET)
            .split_once(',')
            .map(|(t, v)| (t.to_owned(), v.to_owned()))
            .unwrap();
        let rotated = format!("t={now},v0=abc,v1={},{new}", "0".repeat(64));
        assert_eq!(verify(&rotated, b"{}", SECRET, at(now), 300), Ok(()));
    }

    #[test]
    fn nonsense_is_malformed() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "garbage"] {
            assert_eq!(
                verify(header, b"{}", SECRET, at(1), 300),
                Err(BadSignature::Malformed),
                "{header}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_header_is_answered(header in "\\PC{0,200}") {
            let body = b"{}";
            prop_assert!(verify(&header, body, SECRET, at(1_800_000_000), 300).is_err());
        }
    }
}
