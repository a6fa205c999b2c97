//! Stripe over its HTTP API.
//!
//! Four calls are all that is needed, so there is no client library: forms go out, JSON comes back. Every
//! request that changes something carries an idempotency key. What matters most is to tell two kinds of
//! failure apart: a decline is an answer, a broken connection is none, and taking one for the other
//! either loses a sale or charges twice.

pub mod amount;
mod api;
pub mod wire;

use std::time::Duration;

use async_trait::async_trait;
use mesh::{Money, Secret};

use self::{
    amount::{AmountError, to_stripe},
    api::{Api, Rejected},
    wire::{Customer, PaymentIntent, PaymentMethod, Refunds},
};
use super::{Intent, IntentState, KeptMethod, NewIntent, OpenIntent, Provider, ProviderError};
use crate::domain::method::Token;

/// Asks for the card that was charged to be included in an intent.
const WITH_CHARGE: (&str, &str) = ("expand[]", "latest_charge");
/// Refunds of one intent that are looked through: as many as Stripe lists at once.
const MOST_REFUNDS: &str = "100";

/// Stripe.
#[derive(Debug)]
pub struct Stripe {
    api: Api,
}

/// The client for Stripe cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// There is no key.
    #[error("payments.stripe_secret_key is not set (HUB__PAYMENTS__STRIPE_SECRET_KEY)")]
    NoKey,
    /// The base URL is not one.
    #[error("payments.stripe_base_url is not a valid URL")]
    BaseUrl,
    /// TLS or the resolver cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

impl From<AmountError> for ProviderError {
    fn from(error: AmountError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl Stripe {
    /// A client for the API at `base_url`.
    ///
    /// # Errors
    /// [`StripeError`].
    pub fn new(
        base_url: &str,
        key: Secret<String>,
        timeout: Duration,
    ) -> Result<Self, StripeError> {
        Ok(Self {
            api: Api::new(base_url, key, timeout)?,
        })
    }
}

fn no_intent() -> ProviderError {
    ProviderError::Unavailable("an answer that is no intent".to_owned())
}

/// The state of an intent from an answer, or from an error that tells it.
fn state_from(answer: Result<PaymentIntent, Rejected>) -> Result<IntentState, ProviderError> {
    let error = match answer {
        // Whatever this is, it is no intent and says nothing about money.
        Ok(intent) if intent.id.is_empty() => return Err(no_intent()),
        Ok(intent) => return Ok(intent.state()),
        Err(Rejected::Failed(error)) => return Err(error),
        Err(Rejected::Api(error)) => error,
    };
    if error.kind == "card_error" {
        // The decline is in the error; the intent in it waits for another method.
        return Ok(IntentState::Open(Some(error.decline())));
    }
    // Confirming or cancelling what is over: the error carries the intent as it is.
    if error.code.as_deref() == Some("payment_intent_unexpected_state")
        && let Some(intent) = &error.payment_intent
    {
        return Ok(intent.state());
    }
    Err(Rejected::Api(error).into())
}

#[async_trait]
impl Provider for Stripe {
    async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<OpenIntent, ProviderError> {
        let amount = to_stripe(new.amount)?.to_string();
        let currency = new.amount.currency.as_str().to_ascii_lowercase();
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", currency.as_str()),
            ("payment_method_types[]", "card"),
            ("capture_method", "automatic"),
            ("metadata[order_id]", new.order_id.as_str()),
        ];
        if let Some(customer) = &new.customer {
            form.push(("customer", customer));
        }
        let intent: PaymentIntent = self.api.post("/v1/payment_intents", &form, key).await?;
        if intent.id.is_empty() {
            return Err(no_intent());
        }
        Ok(OpenIntent {
            intent_id: intent.id,
            client_secret: intent.client_secret.unwrap_or_default(),
        })
    }

    async fn confirm(
        &self,
        intent: &Intent,
        method: Option<&Token>,
        key: &str,
    ) -> Result<IntentState, ProviderError> {
        let path = format!("/v1/payment_intents/{}/confirm", intent.intent_id);
        let mut form = vec![WITH_CHARGE];
        match method.map(Token::as_str) {
            Some(token) if token.starts_with("tok_") => {
                form.push(("payment_method_data[type]", "card"));
                form.push(("payment_method_data[card][token]", token));
            }
            Some(id) => form.push(("payment_method", id)),
            None => {}
        }
        let answer = self.api.post(&path, &form, key).await;
        let state = state_from(answer)?;
        // A decline's error does not say which card it was, but a payment's answer must.
        if matches!(&state, IntentState::Paid(card) if card.last4.is_empty()) {
            return self.retrieve(intent).await;
        }
        Ok(state)
    }

    async fn retrieve(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        let path = format!("/v1/payment_intents/{}", intent.intent_id);
        state_from(self.api.get(&path, &[WITH_CHARGE]).await)
    }

    async fn cancel(&self, intent: &Intent) -> Result<IntentState, ProviderError> {
        let path = format!("/v1/payment_intents/{}/cancel", intent.intent_id);
        state_from(self.api.post_idempotent(&path, &[WITH_CHARGE]).await)
    }

    /// Stripe forgets keys after a day, and a refund may have to wait longer than that. So each carries
    /// its key as a note, and those that were made are looked through first.
    async fn refund(&self, intent: &Intent, amount: Money, key: &str) -> Result<(), ProviderError> {
        let count = to_stripe(amount)?.to_string();
        let of_intent = ("payment_intent", intent.intent_id.as_str());
        let made: Refunds = self
            .api
            .get("/v1/refunds", &[of_intent, ("limit", MOST_REFUNDS)])
            .await?;
        let made = made
            .data
            .into_iter()
            .find(|refund| refund.metadata.key == key);
        let refund = match made {
            Some(refund) => refund,
            None => {
                let form = [
                    of_intent,
                    ("amount", count.as_str()),
                    ("metadata[key]", key),
                ];
                self.api.post("/v1/refunds", &form, key).await?
            }
        };
        match refund.status.as_str() {
            "failed" | "canceled" => Err(ProviderError::Refused(format!(
                "the refund {}",
                refund.status
            ))),
            _ => Ok(()),
        }
    }

    async fn keep_method(
        &self,
        user_id: &str,
        customer: Option<&str>,
        token: &Token,
    ) -> Result<KeptMethod, ProviderError> {
        let customer = match customer {
            Some(customer) => customer.to_owned(),
            None => {
                let form = [("metadata[user_id]", user_id)];
                let key = format!("customer:{user_id}");
                let made: Customer = self.api.post("/v1/customers", &form, &key).await?;
                made.id
            }
        };
        let method_id = if token.as_str().starts_with("tok_") {
            let form = [("type", "card"), ("card[token]", token.as_str())];
            let key = format!("method:{user_id}:{}", token.as_str());
            let made: PaymentMethod = self.api.post("/v1/payment_methods", &form, &key).await?;
            made.id
        } else {
            token.as_str().to_owned()
        };
        let method_id = Token::parse(&method_id).map_err(|_| ProviderError::InvalidMethod)?;
        let path = format!("/v1/payment_methods/{}/attach", method_id.as_str());
        let key = format!("attach:{customer}:{}", method_id.as_str());
        let kept: PaymentMethod = self
            .api
            .post(&path, &[("customer", customer.as_str())], &key)
            .await?;
        let card = kept.card.unwrap_or_default();
        Ok(KeptMethod {
            // A test method's name stands for a new one each time it is attached.
            token: Token::parse(&kept.id).map_err(|_| ProviderError::InvalidMethod)?,
            customer: kept.customer.unwrap_or(customer),
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            card: card.card(),
        })
    }

    async fn forget_method(&self, token: &Token) -> Result<(), ProviderError> {
        let path = format!("/v1/payment_methods/{}/detach", token.as_str());
        let answer: Result<serde::de::IgnoredAny, _> = self.api.post_idempotent(&path, &[]).await;
        match answer.map_err(ProviderError::from) {
            // It is gone already.
            Ok(_) | Err(ProviderError::InvalidMethod | ProviderError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
