//! What the provider tells by itself.
//!
//! A signature proves who speaks, not that what is said fits: an intent of one cent that was paid must
//! not pay for an order of a thousand dollars. So amount, currency and order are compared before
//! anything is believed, and whatever does not fit is kept for an operator.

use mesh::{
    Failure, Money, Secret, args,
    store::{StoreError, Tx},
};
use serde::Deserialize;

use super::Desk;
use crate::{
    cause::Cause,
    domain::{decline::Decline, signature},
    ledger::{self, Moment, Payment, PaymentStatus},
    provider::{
        Card, IntentState,
        stripe::{amount::from_stripe, wire},
    },
};

/// What webhooks are proven with.
#[derive(Clone, Debug)]
pub struct WebhookKey {
    /// The secret; empty when there is none.
    pub secret: Secret<String>,
    /// How far the time of a signature may be off, in seconds.
    pub tolerance_seconds: i64,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: serde_json::Value,
}

/// What an event says, as far as it concerns us.
#[derive(Clone)]
enum Said {
    Paid { payment: Payment, card: Card },
    Declined { payment: Payment, decline: Decline },
    Refunded { payment: Payment, total: i64 },
    Nothing { outcome: &'static str },
}

impl Said {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Paid { .. } => "paid",
            Self::Declined { .. } => "declined",
            Self::Refunded { .. } => "refunded",
            Self::Nothing { outcome } => outcome,
        }
    }
}

/// Id and outcome of an event, to be kept.
#[derive(Clone)]
struct Receipt {
    event_id: String,
    kind: String,
    intent_id: String,
}

impl Desk {
    /// Takes an event of the provider. The same event takes effect once.
    ///
    /// # Errors
    /// `Unavailable` without a secret, `INVALID_ARGUMENT` for a bad signature or a body that is no event.
    pub async fn webhook(
        &self,
        key: &WebhookKey,
        header: Option<&str>,
        body: &[u8],
        cause: &Cause,
    ) -> Result<(), Failure> {
        let secret = key.secret.expose();
        if secret.is_empty() {
            return Err(Failure::unavailable(
                "webhooks are not configured: payments.webhook_secret is not set",
            ));
        }
        let now = self.clock.now();
        signature::verify(
            header.unwrap_or_default(),
            body,
            secret,
            now,
            key.tolerance_seconds,
        )
        .map_err(|error| Failure::invalid("stripe-signature", error.to_string()))?;
        let event: Event = serde_json::from_slice(body)
            .map_err(|error| Failure::invalid("payload", format!("is not an event: {error}")))?;
        let (said, intent_id) = self.understand(&event).await?;
        if let Said::Paid { payment, card } = &said
            && let Some(intent) = payment.intent()
        {
            self.provider
                .paid_elsewhere(&intent, card)
                .await
                .map_err(super::unavailable)?;
        }
        let receipt = Receipt {
            event_id: event.id,
            kind: event.kind,
            intent_id,
        };
        let gave_up = self
            .write(cause, move |tx, moment| async move {
                take(&tx, &moment, &receipt, said).await
            })
            .await?;
        if let Some(payment) = gave_up {
            self.close_intent(&payment, cause).await?;
        }
        self.give_due().await?;
        Ok(())
    }

    async fn understand(&self, event: &Event) -> Result<(Said, String), Failure> {
        let malformed =
            |error: serde_json::Error| Failure::invalid("payload.data.object", error.to_string());
        let object = event.data.object.clone();
        match event.kind.as_str() {
            "payment_intent.succeeded" => {
                let intent: wire::PaymentIntent =
                    serde_json::from_value(object).map_err(malformed)?;
                let said = match ledger::by_intent(&self.store, &intent.id).await? {
                    None => Said::Nothing {
                        outcome: "unknown_intent",
                    },
                    Some(payment) => believe_paid(payment, &intent),
                };
                if let Said::Nothing { outcome } = &said {
                    tracing::error!(
                        event_id = event.id,
                        intent_id = intent.id,
                        outcome,
                        "the provider tells of money that fits no order: an operator has to look at it"
                    );
                    metrics::counter!("hub_payments_webhook_alerts_total").increment(1);
                }
                Ok((said, intent.id))
            }
            "payment_intent.payment_failed" => {
                let intent: wire::PaymentIntent =
                    serde_json::from_value(object).map_err(malformed)?;
                let decline = intent
                    .last_payment_error
                    .as_ref()
                    .map_or_else(|| Decline::of("card_declined"), wire::ApiError::decline);
                let said = match ledger::by_intent(&self.store, &intent.id).await? {
                    Some(payment) => Said::Declined { payment, decline },
                    None => Said::Nothing {
                        outcome: "unknown_intent",
                    },
                };
                Ok((said, intent.id))
            }
            "charge.refunded" => {
                let charge: wire::Charge = serde_json::from_value(object).map_err(malformed)?;
                let intent_id = charge.payment_intent.clone().unwrap_or_default();
                let said = match ledger::by_intent(&self.store, &intent_id).await? {
                    None => Said::Nothing {
                        outcome: "unknown_intent",
                    },
                    Some(payment) => {
                        let total = money(charge.amount_refunded, &charge.currency);
                        match (total, payment.amount) {
                            (Some(total), Some(paid)) if total.currency == paid.currency => {
                                Said::Refunded {
                                    total: total.minor,
                                    payment,
                                }
                            }
                            _ => Said::Nothing {
                                outcome: "mismatch",
                            },
                        }
                    }
                };
                Ok((said, intent_id))
            }
            _ => Ok((Said::Nothing { outcome: "ignored" }, String::new())),
        }
    }

    /// Cancels the intent of a payment that was given up, so that it cannot be paid after all.
    async fn close_intent(&self, payment: &Payment, cause: &Cause) -> Result<(), Failure> {
        let Some(intent) = payment.intent() else {
            return Ok(());
        };
        match self.provider.cancel(&intent).await {
            Ok(IntentState::Paid(card)) => {
                let id = payment.order_id.clone();
                self.write(cause, move |tx, moment| async move {
                    ledger::settle(&tx, &moment, &id, &card).await
                })
                .await?;
            }
            Ok(_) => {}
            // Should it be paid now, the event that tells of it makes the money go back.
            Err(error) => tracing::warn!(%error, "an intent that was given up is still open"),
        }
        Ok(())
    }
}

/// Whether an intent that is said to be paid pays for the order.
fn believe_paid(payment: Payment, intent: &wire::PaymentIntent) -> Said {
    let received = money(
        intent.amount_received.unwrap_or(intent.amount),
        &intent.currency,
    );
    let order = intent.metadata.order_id.as_str();
    let fits = received.is_some()
        && received == payment.amount
        && (order.is_empty() || order == payment.order_id)
        && matches!(intent.status.as_str(), "" | "succeeded");
    if fits {
        Said::Paid {
            card: intent.card(),
            payment,
        }
    } else {
        Said::Nothing {
            outcome: "mismatch",
        }
    }
}

fn money(count: i64, currency: &str) -> Option<Money> {
    from_stripe(count, currency.to_ascii_uppercase().parse().ok()?).ok()
}

/// Keeps the event and does what it says, unless it was kept before. Gives the payment that was given up
/// because of it.
async fn take(
    tx: &Tx,
    moment: &Moment,
    receipt: &Receipt,
    said: Said,
) -> Result<Option<Payment>, StoreError> {
    let fresh = tx
        .execute(
            "INSERT INTO webhook_events (event_id, event_type, intent_id, outcome, received_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id) DO NOTHING",
            args![
                &receipt.event_id,
                &receipt.kind,
                &receipt.intent_id,
                said.outcome(),
                moment.now
            ],
        )
        .await?
        == 1;
    if !fresh {
        return Ok(None);
    }
    match said {
        Said::Paid { payment, card } => {
            ledger::settle(tx, moment, &payment.order_id, &card).await?;
        }
        Said::Declined { payment, decline } => {
            let elsewhere = ledger::tell_decline(tx, moment, &payment.order_id).await?;
            let waits = payment.status == PaymentStatus::Pending;
            if elsewhere && waits && ledger::fail(tx, moment, &payment.order_id, &decline).await? {
                return Ok(Some(payment));
            }
        }
        Said::Refunded { payment, total } => {
            ledger::reconcile(tx, moment, &payment.order_id, total).await?;
        }
        Said::Nothing { .. } => {}
    }
    Ok(None)
}
