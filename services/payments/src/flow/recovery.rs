//! Finishing what a crash or an absent provider left half done.
//!
//! Everything here may be done twice, because the provider acts once on a key. Still one process at a time
//! does it, the one that holds the lease: providers refuse a key that is in use at the same moment, and a
//! refund must not be put off because two asked for it together.

use std::time::Duration;

use chrono::TimeDelta;
use mesh::{Failure, Shutdown, store::StoreError};

use super::{Desk, unavailable};
use crate::{
    cause::Cause,
    ledger::{self, Payment},
    provider::IntentState,
};

/// Nobody is busy with an attempt to charge for longer than this.
const ATTEMPT_LIFE: TimeDelta = TimeDelta::seconds(90);

/// How often unfinished work is looked for.
const PAUSE: Duration = Duration::from_secs(1);

impl Desk {
    /// Finishes unfinished work until shutdown, as long as it is this process's to do.
    pub async fn recover_regularly(&self, shutdown: Shutdown) {
        while !shutdown.is_cancelled() {
            let lease = self.store.lease("recovery");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = lease.held() => {}
            }
            while lease.is_held() {
                if let Err(error) = self.recover().await {
                    tracing::error!(%error, "unfinished payments cannot be looked at");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = lease.lost() => {}
                    () = self.clock.sleep(PAUSE) => {}
                }
            }
        }
    }

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
