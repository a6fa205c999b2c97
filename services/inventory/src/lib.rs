//! The inventory service: what is on the shelves and what of it is promised.
//!
//! Stock is kept per variant and location. An order's units are *held* in one transaction, all lines or
//! none, and the hold is carried through the order's saga: held, committed when the order is paid,
//! consumed when the goods leave, or given back. Whatever the order of the events, units are never
//! promised twice: the tables check it and every change is conditional.

mod cause;
mod config;
pub mod domain;
mod events;
mod expiry;
mod measures;
mod service;
mod store;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use contracts::hub::inventory::v1::inventory_service_server::InventoryServiceServer;
use mesh::{Hub, Service, Shutdown, StartError};

pub use config::InventoryConfig;

/// Opens the store and tells what the service serves, reacts to and does by itself.
///
/// # Errors
/// A configuration that cannot be read, a store that cannot be opened.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let config: InventoryConfig = hub.config("inventory")?;
    let store = hub.store("inventory", store::MIGRATIONS).await?;
    let interval = config.sweep_interval();
    let means = events::Means {
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
        config: Arc::new(config),
    };
    let handler = service::InventoryHandler {
        store: store.clone(),
        means: means.clone(),
    };
    let (swept, sweeper) = (store.clone(), means.clone());
    let (measured, clock) = (store.clone(), hub.clock().clone());
    Ok(Service::builder("inventory")
        .rpc(InventoryServiceServer::new(handler))
        .store(store)
        .consumer(events::OrderEvents(means.clone()))
        .consumer(events::ProductEvents(means))
        .task("stock-measures", move |shutdown: Shutdown| async move {
            measures::run(&measured, &clock, shutdown).await;
        })
        .task("hold-expiry", move |shutdown: Shutdown| async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = sweeper.clock.sleep(interval) => {}
                }
                match expiry::sweep(&swept, &sweeper).await {
                    Ok(0) => {}
                    Ok(ended) => tracing::info!(ended, "holds expired"),
                    Err(error) if error.is_transient() => {
                        tracing::warn!(%error, "holds could not be looked through");
                    }
                    Err(error) => return Err(error),
                }
            }
        })
        .build())
}
