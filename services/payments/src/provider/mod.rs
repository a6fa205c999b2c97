//! Those who move the money.
//!
//! A provider is a system of its own: its database is not ours, and a crash may fall between the two.
//! So money moves in steps that can each be repeated. An intent is opened, which moves nothing; we
//! record its id; then it is confirmed, and an intent can be paid only once, whoever confirms it how
//! often and under whatever key.

pub mod processor;
pub mod stripe;

use async_trait::async_trait;
use mesh::Money;

use crate::domain::{decline::Decline, method::Token};

/// What a payment intent is opened for.
#[derive(Clone, Debug)]
pub struct NewIntent {
    /// Id of the order.
    pub order_id: String,
    /// What will be charged; above zero.
    pub amount: Money,
    /// The provider's id of the shopper, whose saved methods can then be charged.
    pub customer: Option<String>,
}

/// A payment intent that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// The provider's id.
    pub intent_id: String,
    /// With this the shopper's browser confirms the intent at the provider.
    pub client_secret: String,
}

impl std::fmt::Debug for OpenIntent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenIntent")
            .field("intent_id", &self.intent_id)
            .finish_non_exhaustive()
    }
}

/// A payment intent as we remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The provider's id.
    pub intent_id: String,
    /// What it is to be charged.
    pub amount: Money,
}

/// What is known about a card. Nothing here identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Brand, for example `visa`.
    pub brand: String,
    /// Last four digits.
    pub last4: String,
}

/// Where a payment intent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentState {
    /// No money has moved; it can be confirmed. With the decline of the last attempt, if there was one.
    Open(Option<Decline>),
    /// No money has moved; the cardholder has to authenticate.
    ActionRequired,
    /// The provider does not know yet.
    Processing,
    /// Paid in full.
    Paid(Card),
    /// It can never be paid.
    Canceled,
}

/// A payment method that the provider keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMethod {
    /// Token that can be charged again and again.
    pub token: Token,
    /// The provider's id of the shopper; empty where it has none.
    pub customer: String,
    /// The card.
    pub card: Card,
    /// Month the card expires, 1 to 12.
    pub exp_month: u32,
    /// Year the card expires.
    pub exp_year: i32,
}

/// Why the provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Not reachable, overloaded, or busy with the same request: ask again. It may have been done.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// The provider does not accept us. An operator has to act; asking again helps once they have.
    #[error("the payment provider refuses our credentials: {0}")]
    Misconfigured(String),
    /// There is no such payment method, or it cannot be used.
    #[error("the payment method does not exist or cannot be used")]
    InvalidMethod,
    /// The card was declined.
    #[error("the card was declined: {}", .0.code)]
    Declined(Decline),
    /// It never does this, however often it is asked.
    #[error("the payment provider refuses: {0}")]
    Refused(String),
}

/// Moves money.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Opens an intent. The same key gives the same intent.
    async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<OpenIntent, ProviderError>;

    /// Charges an intent to a method (the one that a browser attached to it when `None`), unless it is paid
    /// already; then it says so. The same key gives the same answer. A decline is an answer
    /// ([`IntentState::Open`]), not an error.
    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError>;

    /// Where an intent is.
    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError>;

    /// Makes sure that an intent is never paid. [`IntentState::Paid`] when it is too late for that.
    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError>;

    /// Gives back `amount` of a paid intent. The same key gives it back once.
    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError>;

    /// Keeps a method for a user, under the provider's `customer` when the user has one.
    async fn keep_method(
        &self,
        user_id: &str,
        customer: Option<&str>,
        token: &Token,
    ) -> Result<KeptMethod, ProviderError>;

    /// Forgets a method that was kept.
    async fn forget_method(&self, token: &Token) -> Result<(), ProviderError>;

    /// Learns from a signed event that an intent was paid without us. A provider that sends such events
    /// knows already.
    async fn paid_elsewhere(&self, _intent: &Intent, _card: &Card) -> Result<(), ProviderError> {
        Ok(())
    }
}
