//! What a shopper names as payment method.
//!
//! It is text from outside that may hold anything, in the worst case a card number that a client put
//! where a token belongs. A number must neither be stored nor logged nor sent on, so the text becomes one
//! of these values before anything else is done with it, and none of them can hold a number.

use std::fmt;

use uuid::Uuid;

/// The method of an order whose shopper will confirm a payment intent.
const INTENT: &str = "intent";
const SHORTEST_CARD: usize = 12;
const LONGEST_CARD: usize = 19;
const LONGEST_TOKEN: usize = 200;

/// A payment method as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The shopper will confirm a payment intent.
    Intent,
    /// A saved payment method.
    Saved(Uuid),
    /// A token of the provider.
    Token(Token),
}

/// A token of the provider: not a card number, and only letters, digits, `_` and `-`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text names no payment method. The text itself is in none of these, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMethod {
    /// It looks like a card number.
    #[error(
        "looks like a card number, which the hub never accepts: send the token that the payment provider gives for the card"
    )]
    CardNumber,
    /// Nothing was named.
    #[error("is required")]
    Empty,
    /// Neither an id nor a token.
    #[error("must be the id of a saved payment method or a token of the payment provider")]
    Malformed,
}

impl Named {
    /// Reads what a shopper named.
    ///
    /// # Errors
    /// [`NotAMethod`].
    pub fn parse(text: &str) -> Result<Self, NotAMethod> {
        let text = text.trim();
        if text == INTENT {
            return Ok(Self::Intent);
        }
        match text.parse::<Uuid>() {
            Ok(id) => Ok(Self::Saved(id)),
            Err(_) => Token::parse(text).map(Self::Token),
        }
    }
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// [`NotAMethod`].
    pub fn parse(text: &str) -> Result<Self, NotAMethod> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NotAMethod::Empty);
        }
        if is_card_number(text) {
            return Err(NotAMethod::CardNumber);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.len() > LONGEST_TOKEN || !text.bytes().all(allowed) {
            return Err(NotAMethod::Malformed);
        }
        Ok(Self(text.to_owned()))
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    /// A token can be charged by whoever has the provider's key: logs get its beginning only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(7).collect();
        write!(f, "Token({shown}…)")
    }
}

/// Whether a text is 12 to 19 digits, however they are grouped.
fn is_card_number(text: &str) -> bool {
    let mut digits = 0;
    for c in text.chars() {
        if c.is_numeric() {
            digits += 1;
        } else if !(c.is_whitespace()
            || matches!(c, '-' | '.' | '/' | '_' | '\u{2010}'..='\u{2015}'))
        {
            return false;
        }
    }
    (SHORTEST_CARD..=LONGEST_CARD).contains(&digits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(Named::parse("intent"), Ok(Named::Intent));
        let id = "0199a3c0-7b1e-7000-8000-000000000001";
        assert_eq!(Named::parse(id), Ok(Named::Saved(id.parse().unwrap())));
        assert!(
            matches!(Named::parse(" pm_card_visa "), Ok(Named::Token(t)) if t.as_str() == "pm_card_visa")
        );
        assert_eq!(Named::parse("  "), Err(NotAMethod::Empty));
        assert_eq!(Named::parse("pm card"), Err(NotAMethod::Malformed));
        assert_eq!(Named::parse("pm_\u{e9}"), Err(NotAMethod::Malformed));
    }

    #[test]
    fn card_numbers_are_refused_in_every_grouping() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "3782 822463 10005",
            "６２１２３４５６７８９０１２３４",
            "4242\u{2013}4242\u{2013}4242\u{2013}4242",
            "6304000000000000000",
        ] {
            assert_eq!(Named::parse(text), Err(NotAMethod::CardNumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn digits_never_become_a_token(groups in prop::collection::vec("[0-9]{1,6}", 2..6), gap in "[ -]?") {
            let text = groups.join(&gap);
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            if (12..=19).contains(&digits) {
                prop_assert_eq!(Named::parse(&text), Err(NotAMethod::CardNumber));
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,220}") {
            let _ = Named::parse(&text);
        }
    }
}
