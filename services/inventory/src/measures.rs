//! What inventory shows of the shelves.

use std::time::Duration;

use mesh::{
    Clock, Shutdown, args,
    store::{Store, StoreError},
};

/// How often the shelves are looked at.
const INTERVAL: Duration = Duration::from_secs(15);

/// Shows what is short, and what can never be, from time to time until the shutdown.
pub(crate) async fn run(store: &Store, clock: &Clock, shutdown: Shutdown) {
    loop {
        if let Err(error) = show(store).await {
            tracing::warn!(%error, "the shelves could not be looked at");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = clock.sleep(INTERVAL) => {}
        }
    }
}

async fn show(store: &Store) -> Result<(), StoreError> {
    let oversold = count(
        store,
        "SELECT COUNT(*) AS variants FROM variants WHERE available < 0",
    );
    let sold_out = count(
        store,
        "SELECT COUNT(*) AS variants FROM variants WHERE available <= 0",
    );
    metrics::gauge!("hub_inventory_oversold").set(oversold.await?);
    metrics::gauge!("hub_inventory_sold_out").set(sold_out.await?);
    Ok(())
}

async fn count(store: &Store, sql: &'static str) -> Result<f64, StoreError> {
    let rows = store.scan(sql, args![]).await?;
    let variants: i64 = rows.first().map_or(Ok(0), |row| row.get("variants"))?;
    Ok(variants as f64)
}
