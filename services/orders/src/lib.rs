//! The orders service: what a cart costs, the order that is made of it, and the saga that carries it out.
//!
//! Placing an order writes the order and the event that starts everything; stock, payment and shipment
//! follow in their own services and tell what they did. [`domain::saga`] folds what they tell, in
//! whatever order it arrives, into the order's status and into what has to be undone; every step has a
//! deadline, so every order ends.

mod announce;
mod cause;
mod checkout;
mod config;
mod deadlines;
pub mod domain;
mod events;
mod means;
mod measures;
mod service;
mod store;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use contracts::hub::{
    agents::v1::{
        order_status_service_client::OrderStatusServiceClient,
        reservation_validation_service_client::ReservationValidationServiceClient,
    },
    cart::v1::cart_service_client::CartServiceClient,
    catalog::v1::catalog_service_client::CatalogServiceClient,
    inventory::v1::inventory_service_client::InventoryServiceClient,
    orders::v1::{
        checkout_service_server::CheckoutServiceServer, order_service_server::OrderServiceServer,
        saga_service_server::SagaServiceServer,
    },
};
use mesh::{Hub, Service, Shutdown, StartError};

pub use config::OrdersConfig;

/// Opens the store and tells what the service serves, reacts to and does by itself.
///
/// # Errors
/// A configuration that cannot be read, a store that cannot be opened.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let config: OrdersConfig = hub.config("orders")?;
    let store = hub.store("orders", store::MIGRATIONS).await?;
    let means = means::Means {
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
        config: Arc::new(config),
        watchers: watch::Watchers::default(),
    };
    let desk = checkout::Desk {
        store: store.clone(),
        means: means.clone(),
        carts: CartServiceClient::new(hub.channel()),
        catalog: CatalogServiceClient::new(hub.channel()),
        inventory: InventoryServiceClient::new(hub.channel()),
        agent: ReservationValidationServiceClient::new(hub.channel()),
    };
    let orders = service::OrdersHandler {
        desk: desk.clone(),
        status_agent: OrderStatusServiceClient::new(hub.channel()),
        shutdown: hub.shutdown_token(),
    };
    let sagas = service::SagaHandler {
        store: store.clone(),
        means: means.clone(),
    };
    let (timed, timer) = (store.clone(), means.clone());
    let (measured, clock) = (store.clone(), hub.clock().clone());
    Ok(Service::builder("orders")
        .rpc(CheckoutServiceServer::new(service::CheckoutHandler {
            desk,
        }))
        .rpc(OrderServiceServer::new(orders))
        .rpc(SagaServiceServer::new(sagas))
        .store(store)
        .consumer(events::SagaEvents(means))
        .task("saga-deadlines", move |shutdown: Shutdown| async move {
            deadlines::run(&timed, &timer, shutdown).await
        })
        .task("saga-measures", move |shutdown: Shutdown| async move {
            measures::run(&measured, &clock, shutdown).await;
        })
        .build())
}
