//! The demo shop: what a newcomer finds after the first start.
//!
//! Everything goes in through the same RPCs that importers and other services use, so the demo cannot
//! drift from what the services accept. Each step can be repeated: a start that was cut off is completed
//! by the next one, and only a complete shop is marked as seeded.

mod catalog;
mod mark;
mod orders;
mod pictures;
mod promos;
mod users;

use std::time::Duration;

use anyhow::{Context, bail};
use mesh::{CallContext, Hub};

use mark::Mark;

/// Password of the demo users.
pub const DEMO_PASSWORD: &str = "Holiday-Peak-2026!";

/// How long the services may take to hear of everything that was seeded.
const SETTLING: Duration = Duration::from_secs(60);

/// Whether the storage holds the demo shop.
///
/// # Errors
/// The storage cannot be asked.
pub async fn is_seeded(hub: &Hub) -> anyhow::Result<bool> {
    Mark::of(hub).await?.is_set().await
}

/// Fills the shop, unless that was done before.
///
/// # Errors
/// A service refuses what the demo needs.
pub async fn demo_shop(hub: &Hub) -> anyhow::Result<()> {
    let mark = Mark::of(hub).await?;
    if mark.is_set().await? {
        return Ok(());
    }
    let seeder = Seeder { hub };
    // Before what shows them.
    seeder.pictures().await.context("pictures")?;
    seeder.categories().await.context("categories")?;
    seeder.products().await.context("products")?;
    seeder.users().await.context("users")?;
    seeder.promo_codes().await.context("promo codes")?;
    seeder.orders().await.context("orders")?;
    mark.set()
        .await
        .context("cannot mark the shop as complete")?;
    tracing::info!("demo shop is ready");
    Ok(())
}

/// Waits until every event of this process was handled.
///
/// # Errors
/// That takes longer than a minute, or the storage cannot be asked.
pub async fn settled(hub: &Hub) -> anyhow::Result<()> {
    let clock = hub.clock();
    let begin = clock.monotonic();
    loop {
        let backlog = hub.bus().backlog().await?;
        let waiting: u64 = backlog.iter().map(|store| store.events).sum();
        if waiting == 0 {
            return Ok(());
        }
        if clock.monotonic().saturating_duration_since(begin) > SETTLING {
            bail!("{waiting} events of the demo shop were not handled");
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
}

struct Seeder<'a> {
    hub: &'a Hub,
}

impl Seeder<'_> {
    /// A call by the hub itself.
    fn call<T>(&self, message: T) -> tonic::Request<T> {
        CallContext::background("seed", self.hub).call(message)
    }
}
