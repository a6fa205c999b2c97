//! Tracking numbers: the carrier's two letters, eighteen digits, and a check digit that catches a
//! mistyped one (GS1's modulo 10 with weights 3 and 1).

use uuid::Uuid;

const DIGITS: u32 = 18;

/// The tracking number of a shipment.
pub fn tracking_number(prefix: &str, shipment_id: Uuid) -> String {
    let body = shipment_id.as_u128() % 10_u128.pow(DIGITS);
    let digits = format!("{body:0width$}", width = DIGITS as usize);
    let check = check_digit(&digits);
    format!("{prefix}{digits}{check}")
}

/// The check digit of a text of digits.
fn check_digit(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .zip([3, 1].into_iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn is_valid(number: &str) -> bool {
        let (body, check) = number[2..].split_at(DIGITS as usize);
        check.parse() == Ok(check_digit(body))
    }

    #[test]
    fn the_check_digit_is_gs1_s() {
        // The example of GS1's General Specifications for a GTIN-13.
        assert_eq!(check_digit("629104150021"), 3);
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_noticed(id in any::<u128>(), place in 0_usize..18, add in 1_u8..10) {
            let number = tracking_number("SX", Uuid::from_u128(id));
            prop_assert_eq!(number.len(), 21);
            prop_assert!(is_valid(&number));
            let mut wrong = number.into_bytes();
            let digit = &mut wrong[2 + place];
            *digit = b'0' + (*digit - b'0' + add) % 10;
            prop_assert!(!is_valid(&String::from_utf8(wrong).unwrap()));
        }
    }
}
