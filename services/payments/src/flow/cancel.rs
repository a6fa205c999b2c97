//! An order ends without its goods: nothing may be charged any more, and what was charged goes back.

use mesh::Failure;

use super::{Desk, unavailable};
use crate::{
    cause::Cause,
    ledger::{self, Closed, DueRefund, NewRefund, PaymentStatus, RefundSize},
    provider::IntentState,
};

impl Desk {
    /// Closes an order to money and gives back what it has paid. It may be repeated, and it may come
    /// before the charge that it forbids.
    ///
    /// # Errors
    /// Anything technical: then it is to be tried again.
    pub async fn cancel(
        &self,
        order_id: &str,
        correlation_id: &str,
        reason: &str,
        cause: &Cause,
    ) -> Result<(), Failure> {
        let (id, correlation) = (order_id.to_owned(), correlation_id.to_owned());
        let Closed { payment, again } = self
            .write(cause, move |tx, moment| async move {
                ledger::close(&tx, &moment, &id, &correlation).await
            })
            .await?;
        match (payment.status, payment.intent()) {
            (PaymentStatus::Pending, Some(intent)) => {
                let id = order_id.to_owned();
                match self.provider.cancel(&intent).await.map_err(unavailable)? {
                    IntentState::Canceled => {
                        self.write(cause, move |tx, moment| async move {
                            ledger::cancel(&tx, &moment, &id).await
                        })
                        .await?;
                    }
                    // The charge won the race. Its record promises the money back, as the order is closed.
                    IntentState::Paid(card) => {
                        self.write(cause, move |tx, moment| async move {
                            ledger::settle(&tx, &moment, &id, &card).await
                        })
                        .await?;
                        self.give_due().await?;
                    }
                    state => {
                        tracing::warn!(order_id, ?state, "an intent is not cancelled yet");
                        return Err(Failure::unavailable("the payment is still being processed"));
                    }
                }
            }
            (PaymentStatus::Pending, None) => {
                let id = order_id.to_owned();
                self.write(cause, move |tx, moment| async move {
                    ledger::cancel(&tx, &moment, &id).await
                })
                .await?;
            }
            (PaymentStatus::Succeeded, _) => {
                if let Some(due) = self.promise_rest(order_id, reason, cause).await? {
                    self.give(&due).await?;
                } else if again {
                    // Whoever asks again has not heard that it is done.
                    let id = order_id.to_owned();
                    self.write(cause, move |tx, moment| async move {
                        ledger::retell_refund(&tx, &moment, &id).await
                    })
                    .await?;
                }
            }
            (PaymentStatus::Failed | PaymentStatus::Canceled, _) => {}
        }
        Ok(())
    }

    /// Promises all that is left of a cancelled order's payment; `None` when nothing is.
    async fn promise_rest(
        &self,
        order_id: &str,
        reason: &str,
        cause: &Cause,
    ) -> Result<Option<DueRefund>, Failure> {
        let (id, new) = (
            order_id.to_owned(),
            NewRefund::of_cancellation(order_id, reason),
        );
        let promised = self
            .write(cause, move |tx, moment| async move {
                let due = moment.now + super::refund::LEASE;
                ledger::reserve_refund(&tx, &moment, &id, RefundSize::All, new, due).await
            })
            .await?;
        Ok(promised.ok())
    }
}
