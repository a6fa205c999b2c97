//! Finishing what a crash or an absent provider left half done.

use chrono::TimeDelta;
use mesh::{Failure, store::StoreError};

use super::{Desk, unavailable};
use crate::{
    cause::Cause,
    ledger::{self, Payment},
    provider::IntentState,
};

/// Nobody is busy with an attempt to charge for longer than this.
const ATTEMPT_LIFE: TimeDelta = TimeDelta::seconds(90);

impl Desk {
    /// Gives promised refunds that are due and settles attempts to charge whose answer was lost.
    ///
    /// # Errors
    /// A store's; a provider that is not available is not an error here, its time will come.
    pub async fn recover(&self) -> Result<(), StoreError> {
        self.give_due().await?;
        let lost = ledger::under_way_since(&self.store, self.clock.now(), ATTEMPT_LIFE).await?;
        for payment in lost {
            if let Err(failure) = self.settle_lost(&payment).await {
                tracing::warn!(order_id = payment.order_id, %failure, "a payment is not settled yet");
            }
        }
        self.give_due().await
    }

    async fn settle_lost(&self, payment: &Payment) -> Result<(), Failure> {
        let id = payment.order_id.clone();
        let cause = Cause::default();
        let Some(intent) = payment.intent() else {
            self.write(&cause, move |tx, moment| async move {
                ledger::end_attempt(&tx, &moment, &id, "").await
            })
            .await?;
            return Ok(());
        };
        let state = match self.provider.retrieve(&intent).await {
            Ok(state) => state,
            Err(error) => {
                // To the end of the queue, so that one payment does not hold up the others.
                self.write(&cause, move |tx, moment| async move {
                    ledger::watch(&tx, &moment, &id).await
                })
                .await?;
                return Err(unavailable(error));
            }
        };
        self.write(&cause, move |tx, moment| async move {
            match state {
                IntentState::Paid(card) => {
                    ledger::settle(&tx, &moment, &id, &card).await?;
                }
                IntentState::Canceled => ledger::cancel(&tx, &moment, &id).await?,
                IntentState::Processing => ledger::watch(&tx, &moment, &id).await?,
                IntentState::ActionRequired | IntentState::Open(None) => {
                    ledger::end_attempt(&tx, &moment, &id, "").await?;
                }
                IntentState::Open(Some(decline)) => {
                    ledger::end_attempt(&tx, &moment, &id, &decline.code).await?;
                }
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}
