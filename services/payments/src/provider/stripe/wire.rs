//! The parts of Stripe's JSON that are read. Everything is optional: what another version of the API
//! leaves out must not look like money.

use serde::Deserialize;

use crate::{
    domain::decline::{Decline, NOT_CAPTURED},
    provider::{Card, IntentState},
};

/// A `payment_intent`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaymentIntent {
    /// `pi_…`.
    pub id: String,
    /// `requires_payment_method`, `succeeded` and so on.
    pub status: String,
    /// Secret for the browser.
    pub client_secret: Option<String>,
    /// What is to be charged, as Stripe counts.
    pub amount: i64,
    /// What was charged.
    pub amount_received: Option<i64>,
    /// Currency in lower case.
    pub currency: String,
    /// The decline of the last attempt.
    pub last_payment_error: Option<ApiError>,
    /// The charge, when it was asked to be included, or else its id.
    pub latest_charge: Option<Expandable<Charge>>,
    /// The method, when it was asked to be included, or else its id.
    pub payment_method: Option<Expandable<PaymentMethod>>,
    /// Our notes.
    pub metadata: Metadata,
}

/// Our notes on an intent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Id of the order.
    pub order_id: String,
}

/// An object, or its id.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    /// The id.
    Id(#[allow(dead_code, reason = "tells the shape apart")] String),
    /// The object.
    Object(T),
}

/// A `charge`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Charge {
    /// Id of the intent.
    pub payment_intent: Option<String>,
    /// What was charged, as Stripe counts.
    pub amount: i64,
    /// What went back.
    pub amount_refunded: i64,
    /// Currency in lower case.
    pub currency: String,
    /// What was charged.
    pub payment_method_details: Option<MethodDetails>,
}

/// `payment_method_details` of a charge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MethodDetails {
    /// The card, if it was one.
    pub card: Option<CardDetails>,
}

/// A `payment_method`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaymentMethod {
    /// `pm_…`.
    pub id: String,
    /// Whose it is.
    pub customer: Option<String>,
    /// The card, if it is one.
    pub card: Option<CardDetails>,
}

/// What Stripe tells of a card.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CardDetails {
    /// Brand.
    pub brand: Option<String>,
    /// Last four digits.
    pub last4: Option<String>,
    /// Month it expires.
    pub exp_month: u32,
    /// Year it expires.
    pub exp_year: i32,
}

/// A `customer`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
}

/// A list of refunds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refunds {
    /// The refunds, newest first.
    pub data: Vec<Refund>,
}

/// A `refund`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refund {
    /// `succeeded`, `pending`, `failed`, `canceled`, `requires_action`.
    pub status: String,
    /// Our notes.
    pub metadata: RefundMetadata,
}

/// Our notes on a refund.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RefundMetadata {
    /// Key under which it was made.
    pub key: String,
}

/// The body of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

/// An error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// `card_error`, `invalid_request_error`, `api_error`, `idempotency_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Machine-readable code.
    pub code: Option<String>,
    /// More exact code of a card error.
    pub decline_code: Option<String>,
    /// The parameter that is wrong.
    pub param: Option<String>,
    /// The intent as it is after the error.
    pub payment_intent: Option<Box<PaymentIntent>>,
}

impl ApiError {
    /// The decline that a card error is.
    pub fn decline(&self) -> Decline {
        Decline::from_codes(
            self.code.as_deref().unwrap_or("card_declined"),
            self.decline_code.as_deref().unwrap_or(""),
        )
    }
}

impl CardDetails {
    /// Brand and last four digits.
    pub fn card(&self) -> Card {
        Card {
            brand: self.brand.clone().unwrap_or_default(),
            last4: self.last4.clone().unwrap_or_default(),
        }
    }
}

impl PaymentIntent {
    /// The card that was charged, as far as it is told.
    pub fn card(&self) -> Card {
        let charged = match &self.latest_charge {
            Some(Expandable::Object(charge)) => charge
                .payment_method_details
                .as_ref()
                .and_then(|details| details.card.as_ref()),
            _ => None,
        };
        let attached = match &self.payment_method {
            Some(Expandable::Object(method)) => method.card.as_ref(),
            _ => None,
        };
        charged
            .or(attached)
            .map(CardDetails::card)
            .unwrap_or_default()
    }

    /// Where the intent is. Money that is only set aside (`requires_capture`) is not paid.
    pub fn state(&self) -> IntentState {
        match self.status.as_str() {
            "succeeded" => IntentState::Paid(self.card()),
            "canceled" => IntentState::Canceled,
            "processing" => IntentState::Processing,
            "requires_action" | "requires_source_action" => IntentState::ActionRequired,
            "requires_capture" => IntentState::Open(Some(Decline::of(NOT_CAPTURED))),
            _ => IntentState::Open(self.last_payment_error.as_ref().map(ApiError::decline)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn state(json: &str) -> IntentState {
        serde_json::from_str::<PaymentIntent>(json).unwrap().state()
    }

    #[test]
    fn only_succeeded_is_paid() {
        assert!(matches!(
            state(r#"{"status":"succeeded"}"#),
            IntentState::Paid(_)
        ));
        assert!(
            matches!(state(r#"{"status":"requires_capture"}"#), IntentState::Open(Some(decline)) if decline.code == NOT_CAPTURED)
        );
        assert_eq!(
            state(r#"{"status":"requires_action"}"#),
            IntentState::ActionRequired
        );
        assert_eq!(
            state(r#"{"status":"something_new"}"#),
            IntentState::Open(None)
        );
        assert_eq!(state("{}"), IntentState::Open(None));
    }

    #[test]
    fn the_card_is_the_charged_one() {
        let state = state(
            r#"{"status":"succeeded","payment_method":"pm_1","latest_charge":
                {"id":"ch_1","payment_method_details":{"card":{"brand":"visa","last4":"4242"}}}}"#,
        );
        assert_eq!(
            state,
            IntentState::Paid(Card {
                brand: "visa".into(),
                last4: "4242".into()
            })
        );
    }
}
