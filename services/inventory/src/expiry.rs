//! Gives back the units of holds whose time is over.
//!
//! Every process that runs inventory sweeps. None needs to lead: whether a hold is over is asked again
//! inside the transaction that ends it, so of two that found the same hold one gives its units back.

use futures::future::join_all;
use mesh::store::{Store, StoreError, Tx};

use crate::{
    cause::Cause,
    events::Means,
    store::{due_holds, expire},
};

/// Holds ended per look. More wait for the next one, so that a mass expiry does not keep the writer from
/// the orders of the moment.
const BATCH: i64 = 100;
/// Batches ended before the clock is looked at again.
const BATCHES: usize = 100;

/// Ends holds that are over until none is left; returns how many.
///
/// # Errors
/// A store's.
pub(crate) async fn sweep(store: &Store, means: &Means) -> Result<usize, StoreError> {
    let mut ended = 0;
    for _ in 0..BATCHES {
        let due = due_holds(store, means.clock.now(), BATCH).await?;
        let full = due.len() as i64 == BATCH;
        // Together, so that they share commits.
        let batch = due.into_iter().map(|order_id| {
            let moment = means.moment(Cause::default());
            // Looked at again inside: it may have been paid in between.
            store.write(move |tx: Tx| async move { expire(&tx, &moment, &order_id).await })
        });
        for over in join_all(batch).await {
            ended += usize::from(over?);
        }
        if !full {
            break;
        }
    }
    if ended > 0 {
        metrics::counter!("hub_inventory_holds_expired_total").increment(ended as u64);
    }
    Ok(ended)
}
