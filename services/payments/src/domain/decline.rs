//! Why a card was not charged.

/// A refusal by the card's bank or by the provider: no money moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decline {
    /// Stable code, for example `insufficient_funds`.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// The bank wants the cardholder to prove who they are.
pub const AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// What was given is no payment method.
pub const INVALID_METHOD: &str = "invalid_payment_method";
/// The money is only set aside at the provider: that is not paid.
pub const NOT_CAPTURED: &str = "not_captured";

/// Codes that shoppers are told as they are. Of the others (a lost or stolen card, suspected fraud) they
/// only learn that the card was declined: the one who holds the card may not be its owner.
const TOLD: [&str; 9] = [
    "card_declined",
    "insufficient_funds",
    "processing_error",
    "expired_card",
    "incorrect_cvc",
    "card_velocity_exceeded",
    "card_not_supported",
    AUTHENTICATION_REQUIRED,
    INVALID_METHOD,
];

impl Decline {
    /// From a provider's error code and, for `card_declined`, the more exact code beside it.
    pub fn from_codes(code: &str, detail: &str) -> Self {
        let exact = if code == "card_declined" && TOLD.contains(&detail) {
            detail
        } else {
            code
        };
        let told = if TOLD.contains(&exact) {
            exact
        } else {
            "card_declined"
        };
        Self::of(told)
    }

    /// With one of our codes.
    pub fn of(code: &str) -> Self {
        let reason = match code {
            "insufficient_funds" => "the card has insufficient funds",
            "processing_error" => "the bank could not process the card",
            "expired_card" => "the card has expired",
            "incorrect_cvc" => "the card's security code is incorrect",
            "card_velocity_exceeded" => "the card has reached its limit",
            "card_not_supported" => "the card does not support this purchase",
            AUTHENTICATION_REQUIRED => "the bank asks the cardholder to authenticate",
            INVALID_METHOD => "the payment method does not exist or cannot be used",
            NOT_CAPTURED => "the money was set aside but not collected",
            _ => "the card was declined",
        };
        Self {
            code: code.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_code_is_told_where_it_may_be() {
        for (code, detail, told) in [
            ("card_declined", "insufficient_funds", "insufficient_funds"),
            ("card_declined", "generic_decline", "card_declined"),
            ("card_declined", "stolen_card", "card_declined"),
            ("card_declined", "fraudulent", "card_declined"),
            ("expired_card", "", "expired_card"),
            ("processing_error", "processing_error", "processing_error"),
            ("something_new", "", "card_declined"),
        ] {
            assert_eq!(Decline::from_codes(code, detail).code, told);
        }
    }
}
