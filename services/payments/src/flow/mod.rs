//! How money moves: between the provider's books and ours.
//!
//! Every movement has the same shape. What is about to happen is written down; the provider is asked,
//! under a key that makes it happen once; the answer is written down with the event that tells of it.
//! After a crash between any two of these, the first note says what to ask the provider again.

mod cancel;
mod charge;
mod confirm;
mod recovery;
mod refund;
mod webhook;

use std::sync::Arc;

use mesh::{
    Clock, Failure, Ids,
    store::{Store, StoreError, Tx},
};

pub use charge::Asked;
pub use confirm::{Caller, declined};
pub use webhook::WebhookKey;

use crate::{
    cause::Cause,
    ledger::Moment,
    orders::OrderBook,
    provider::{Provider, ProviderError},
};

/// Everything that moving money takes. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// The books.
    pub store: Store,
    /// Who moves the money.
    pub provider: Arc<dyn Provider>,
    /// Where orders are looked up.
    pub orders: Arc<dyn OrderBook>,
    /// The time.
    pub clock: Clock,
    /// Source of ids.
    pub ids: Ids,
}

impl Desk {
    /// Now, because of `cause`.
    pub fn moment(&self, cause: &Cause) -> Moment {
        Moment {
            now: self.clock.now(),
            ids: self.ids.clone(),
            cause: cause.clone(),
        }
    }

    /// Writes to the books because of `cause`.
    async fn write<T, F, Fut>(&self, cause: &Cause, write: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(Tx, Moment) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let moment = self.moment(cause);
        self.store.write(move |tx: Tx| write(tx, moment)).await
    }
}

/// A provider's error that the caller can do nothing about but try again.
fn unavailable(error: ProviderError) -> Failure {
    match &error {
        ProviderError::Misconfigured(_) | ProviderError::Refused(_) => {
            tracing::error!(%error, "the payment provider does not do its work");
        }
        _ => tracing::warn!(%error, "the payment provider is not available"),
    }
    Failure::unavailable("the payment provider is not available, try again").caused_by(error)
}

#[cfg(test)]
mod tests;
