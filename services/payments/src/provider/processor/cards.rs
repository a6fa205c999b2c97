//! Stripe's well-known test cards, by the names that its documentation gives to their tokens.

use crate::{
    domain::{
        decline::{AUTHENTICATION_REQUIRED, Decline},
        method::Token,
    },
    provider::Card,
};

/// What happens when a test card is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money moves.
    Paid,
    /// The bank says no, with this code.
    Declined(&'static str),
    /// The cardholder has to authenticate.
    ActionRequired,
}

/// A test card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCard {
    /// Brand and last four digits.
    pub card: Card,
    /// What happens when it is charged.
    pub outcome: Outcome,
    /// Whether the bank lets it be kept for later.
    pub can_be_kept: bool,
}

/// Brand, last four digits and the part of the name after `pm_card_` or `tok_`.
const ACCEPTED: [(&str, &str, &str); 17] = [
    ("visa", "visa", "4242"),
    ("visa_debit", "visa", "5556"),
    ("mastercard", "mastercard", "4444"),
    ("mastercard_debit", "mastercard", "3222"),
    ("mastercard_prepaid", "mastercard", "5100"),
    ("amex", "amex", "8431"),
    ("discover", "discover", "1117"),
    ("diners", "diners", "0004"),
    ("jcb", "jcb", "0505"),
    ("unionpay", "unionpay", "0005"),
    ("us", "visa", "4242"),
    ("ca", "visa", "0000"),
    ("de", "visa", "0007"),
    ("fr", "visa", "0003"),
    ("gb", "visa", "0000"),
    ("jp", "visa", "0003"),
    ("br", "visa", "0002"),
];

/// Name as above (also after `visa_`), last four digits, code.
const DECLINED: [(&str, &str, &str); 9] = [
    ("chargeDeclined", "0002", "card_declined"),
    (
        "chargeDeclinedInsufficientFunds",
        "9995",
        "insufficient_funds",
    ),
    ("chargeDeclinedLostCard", "9987", "card_declined"),
    ("chargeDeclinedStolenCard", "9979", "card_declined"),
    ("chargeDeclinedFraudulent", "0019", "card_declined"),
    ("chargeDeclinedExpiredCard", "0069", "expired_card"),
    ("chargeDeclinedIncorrectCvc", "0127", "incorrect_cvc"),
    ("chargeDeclinedProcessingError", "0119", "processing_error"),
    (
        "chargeDeclinedVelocityLimitExceeded",
        "6975",
        "card_velocity_exceeded",
    ),
];

/// Cards that can be kept although charging them does not work.
const KEPT_BUT_NOT_CHARGED: [(&str, &str, Outcome); 3] = [
    (
        "chargeCustomerFail",
        "0341",
        Outcome::Declined("card_declined"),
    ),
    ("authenticationRequired", "3184", Outcome::ActionRequired),
    ("threeDSecureRequired", "3063", Outcome::ActionRequired),
];

impl TestCard {
    /// The test card of a token, if it names one.
    pub fn of(token: &Token) -> Option<Self> {
        let text = token.as_str();
        let name = text
            .strip_prefix("pm_card_")
            .or_else(|| text.strip_prefix("tok_"))?;
        let card = |brand: &str, last4: &str| Card {
            brand: brand.to_owned(),
            last4: last4.to_owned(),
        };
        if let Some((_, brand, last4)) = ACCEPTED.iter().find(|(known, ..)| *known == name) {
            return Some(Self {
                card: card(brand, last4),
                outcome: Outcome::Paid,
                can_be_kept: true,
            });
        }
        let name = name.strip_prefix("visa_").unwrap_or(name);
        if let Some((_, last4, code)) = DECLINED.iter().find(|(known, ..)| *known == name) {
            return Some(Self {
                card: card("visa", last4),
                outcome: Outcome::Declined(code),
                can_be_kept: false,
            });
        }
        let (_, last4, outcome) = KEPT_BUT_NOT_CHARGED
            .iter()
            .find(|(known, ..)| *known == name)?;
        Some(Self {
            card: card("visa", last4),
            outcome: *outcome,
            can_be_kept: true,
        })
    }

    /// The decline that charging this card ends in, if it does.
    pub fn decline(&self) -> Option<Decline> {
        match self.outcome {
            Outcome::Paid => None,
            Outcome::Declined(code) => Some(Decline::of(code)),
            Outcome::ActionRequired => Some(Decline::of(AUTHENTICATION_REQUIRED)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn card(text: &str) -> Option<TestCard> {
        TestCard::of(&Token::parse(text).unwrap())
    }

    #[test]
    fn well_known_names() {
        assert_eq!(card("pm_card_visa").unwrap().card.last4, "4242");
        assert_eq!(card("tok_mastercard").unwrap().card.last4, "4444");
        assert_eq!(
            card("pm_card_chargeDeclined").unwrap().outcome,
            Outcome::Declined("card_declined")
        );
        assert_eq!(
            card("pm_card_visa_chargeDeclinedInsufficientFunds")
                .unwrap()
                .outcome,
            Outcome::Declined("insufficient_funds")
        );
        assert_eq!(
            card("pm_card_authenticationRequired").unwrap().outcome,
            Outcome::ActionRequired
        );
        assert!(card("tok_chargeCustomerFail").unwrap().can_be_kept);
        for unknown in ["pm_card_", "visa", "pm_1NXWPnLkdIwHu7ix", "card_visa"] {
            assert_eq!(card(unknown), None, "{unknown}");
        }
    }
}
