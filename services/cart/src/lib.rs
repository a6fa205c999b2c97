//! The cart: what a shopper means to buy.
//!
//! A cart is lines of variants and quantities, owned by a user or a guest session. It keeps no prices: those
//! are the catalog's of the moment, asked for in one call whenever a cart is shown. Quantities are added
//! up by the database, so parallel requests cannot lose one. Each change makes a new version, and one
//! version gives at most one order.

mod catalog;
mod changes;
mod config;
mod domain;
mod events;
mod expiry;
mod guest_tokens;
mod service;
mod shown;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use contracts::hub::{
    cart::v1::cart_service_server::CartServiceServer,
    catalog::v1::catalog_service_client::CatalogServiceClient,
    identity::v1::auth_service_client::AuthServiceClient,
};

pub use config::CartConfig;

/// Registers the cart with the hub.
///
/// # Errors
/// A store that cannot be opened, a configuration that makes no sense.
pub async fn register(hub: &mesh::Hub) -> Result<mesh::Service, mesh::StartError> {
    let config: CartConfig = hub.config("cart")?;
    let currency = config
        .currency
        .parse()
        .map_err(|error: mesh::MoneyError| mesh::StartError::other("cart", error))?;
    let store = hub.store("cart", store::MIGRATIONS).await?;
    let guest_tokens = guest_tokens::PublishedKeys::new(
        AuthServiceClient::new(hub.channel()),
        hub.clock().clone(),
        &config,
    );
    let handler = service::Carts {
        store: store.clone(),
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
        catalog: Arc::new(CatalogServiceClient::new(hub.channel())),
        guest_tokens: Arc::new(guest_tokens),
        config,
        currency,
    };
    let (sweep_store, clock) = (store.clone(), hub.clock().clone());
    Ok(mesh::Service::builder("cart")
        .rpc(CartServiceServer::new(handler))
        .store(store)
        .consumer(events::EmptyOrdered::new(hub.clock().clone()))
        .consumer(events::ForgetUser)
        .task("expiry", move |shutdown| {
            expiry::sweep_regularly(sweep_store, clock, shutdown)
        })
        .build())
}
