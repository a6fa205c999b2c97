//! Giving money back.

use chrono::TimeDelta;
use mesh::{Failure, Money, Reason, store::StoreError};

use super::Desk;
use crate::{
    cause::Cause,
    ledger::{self, DueRefund, NewRefund, Payment, Refund, RefundRefused, RefundSize, Refunded},
    provider::ProviderError,
};

/// How long the one who promised a refund has to finish it before recovery does.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(60);
/// First wait after a provider that was not available; doubled up to the longest.
const FIRST_WAIT_SECONDS: i64 = 5;
const LONGEST_WAIT_SECONDS: i64 = 600;

/// What became of a promised refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The money went back.
    Done(Refund),
    /// The provider is to be asked again; recovery does so.
    Later,
    /// The provider never gives it back; nothing is promised any more.
    Never,
}

impl Desk {
    /// Gives back a part or the rest of a payment.
    ///
    /// # Errors
    /// `AlreadyRefunded`, `RefundExceedsPayment`, `Conflict` for a payment that moved no money or whose
    /// provider refuses; `INVALID_ARGUMENT` for another currency or an amount that is not above zero.
    pub async fn refund(
        &self,
        payment: &Payment,
        amount: Option<Money>,
        reason: &str,
        cause: &Cause,
    ) -> Result<Refund, Failure> {
        let size = match amount {
            None => RefundSize::All,
            Some(amount) if !amount.is_positive() => {
                return Err(Failure::invalid("amount", "must be above zero"));
            }
            Some(amount) => {
                if let Some(paid) = payment
                    .amount
                    .filter(|paid| paid.currency != amount.currency)
                {
                    let message = format!("must be in {}", paid.currency);
                    return Err(Failure::invalid("amount.currency", message));
                }
                RefundSize::Exactly(amount.minor)
            }
        };
        let id = payment.order_id.clone();
        let new = NewRefund {
            key: None,
            reason: reason.to_owned(),
        };
        let promised = self
            .write(cause, move |tx, moment| async move {
                let due = moment.now + LEASE;
                ledger::reserve_refund(&tx, &moment, &id, size, new, due).await
            })
            .await?;
        let due = promised.map_err(|refused| refusal(refused, payment))?;
        match self.give(&due).await? {
            Given::Done(refund) => Ok(refund),
            Given::Later => Ok(due.refund),
            Given::Never => Err(Failure::conflict(
                Reason::Conflict,
                "the payment provider does not give this payment back",
            )),
        }
    }

    /// Asks the provider for a promised refund and records its answer. It may be repeated.
    pub(super) async fn give(&self, due: &DueRefund) -> Result<Given, StoreError> {
        let id = due.refund.refund_id.clone();
        match self
            .provider
            .refund(&due.intent, due.refund.amount, &due.key)
            .await
        {
            Ok(()) => {
                let finished = self
                    .write(&due.cause, move |tx, moment| async move {
                        ledger::finish_refund(&tx, &moment, &id).await
                    })
                    .await?;
                metrics::counter!("hub_payments_refunds_total", "result" => "succeeded")
                    .increment(1);
                Ok(match finished {
                    Some(Refunded::Now(refund) | Refunded::Before(refund)) => Given::Done(refund),
                    None => Given::Never,
                })
            }
            Err(error @ (ProviderError::Unavailable(_) | ProviderError::Misconfigured(_))) => {
                tracing::warn!(refund_id = id, %error, "a refund has to wait");
                let wait = wait_after(due.attempts);
                self.write(&due.cause, move |tx, moment| async move {
                    let next = moment.now + wait;
                    ledger::postpone_refund(&tx, &moment, &id, next).await
                })
                .await?;
                metrics::counter!("hub_payments_refunds_total", "result" => "postponed")
                    .increment(1);
                Ok(Given::Later)
            }
            Err(error) => {
                tracing::error!(
                    refund_id = id,
                    order_id = due.order_id,
                    %error,
                    "the payment provider refuses a refund: an operator has to look at the payment"
                );
                self.write(&due.cause, move |tx, moment| async move {
                    ledger::drop_refund(&tx, &moment, &id).await
                })
                .await?;
                metrics::counter!("hub_payments_refunds_total", "result" => "refused").increment(1);
                Ok(Given::Never)
            }
        }
    }

    /// Gives what is promised and due.
    pub(super) async fn give_due(&self) -> Result<(), StoreError> {
        for due in ledger::due_refunds(&self.store, self.clock.now()).await? {
            self.give(&due).await?;
        }
        Ok(())
    }
}

fn refusal(refused: RefundRefused, payment: &Payment) -> Failure {
    match refused {
        RefundRefused::NotPaid => Failure::conflict(
            Reason::Conflict,
            format!(
                "the payment is {}: there is nothing to give back",
                payment.status.as_str()
            ),
        ),
        RefundRefused::NothingLeft => Failure::conflict(
            Reason::AlreadyRefunded,
            "everything has been given back already",
        ),
        RefundRefused::TooMuch { left } => {
            let left = payment.amount.map_or_else(
                || left.to_string(),
                |amount| Money::new(left, amount.currency).to_string(),
            );
            Failure::conflict(
                Reason::RefundExceedsPayment,
                format!("only {left} of the payment is left"),
            )
            .with_metadata("left", left)
        }
    }
}

/// The wait before the next attempt after `attempts` earlier ones.
fn wait_after(attempts: i64) -> TimeDelta {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
    let seconds = (FIRST_WAIT_SECONDS << doublings).min(LONGEST_WAIT_SECONDS);
    TimeDelta::seconds(seconds)
}
