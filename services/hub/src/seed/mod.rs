//! The demo shop: what a newcomer finds after the first start.
//!
//! Everything goes in through the same RPCs that importers and other services use, so the demo cannot
//! drift from what the services accept. Each step can be repeated: a start that was cut off is completed
//! by the next one, and only a complete shop is marked as seeded.

mod catalog;
mod orders;
mod promos;
mod users;

use std::{fs, path::Path};

use anyhow::Context;
use mesh::{CallContext, Hub};

/// Password of the demo users.
pub const DEMO_PASSWORD: &str = "Holiday-Peak-2026!";

/// File that says that the shop is complete.
const MARKER: &str = "demo-shop";

/// Whether the data folder holds the demo shop.
pub fn is_seeded(data_dir: &Path) -> bool {
    data_dir.join(MARKER).exists()
}

/// Fills an empty shop, unless that was done before or somebody else's products are there.
///
/// # Errors
/// A service refuses what the demo needs.
pub async fn demo_shop(hub: &Hub) -> anyhow::Result<()> {
    if is_seeded(hub.data_dir()) {
        return Ok(());
    }
    let seeder = Seeder { hub };
    seeder.categories().await.context("categories")?;
    seeder.products().await.context("products")?;
    seeder.users().await.context("users")?;
    seeder.promo_codes().await.context("promo codes")?;
    seeder.orders().await.context("orders")?;
    fs::write(hub.data_dir().join(MARKER), "").context("cannot mark the shop as complete")?;
    tracing::info!("demo shop is ready");
    Ok(())
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
