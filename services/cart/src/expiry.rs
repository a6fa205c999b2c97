//! Forgets carts that nobody has changed for a long time.
//!
//! Every process that runs the cart sweeps: to forget what another has just forgotten changes nothing.

use std::time::Duration;

use mesh::{
    Clock, Shutdown,
    store::{Store, StoreError, Tx},
};

use crate::store;

/// Time between two sweeps.
const PAUSE: Duration = Duration::from_secs(600);
/// Carts per transaction, so that shoppers never wait for a sweep.
const BATCH: i64 = 500;

/// Sweeps now and then until the hub shuts down.
///
/// # Errors
/// Never by itself: what cannot be swept now is swept later.
pub async fn sweep_regularly(
    store: Store,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<(), StoreError> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = clock.sleep(PAUSE) => {}
        }
        if let Err(error) = sweep(&store, &clock).await {
            tracing::warn!(%error, "expired carts could not be forgotten");
        }
    }
}

/// Forgets what has expired. Returns how many carts.
///
/// # Errors
/// See [`StoreError`].
pub async fn sweep(store: &Store, clock: &Clock) -> Result<u64, StoreError> {
    let now = clock.now();
    let mut forgotten = 0;
    loop {
        let batch = store
            .write(move |tx: Tx| async move { store::forget_expired(&tx, now, BATCH).await })
            .await?;
        forgotten += batch;
        metrics::counter!("hub_carts_expired_total").increment(batch);
        if batch < BATCH as u64 {
            return Ok(forgotten);
        }
    }
}
