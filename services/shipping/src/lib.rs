//! Shipping: how goods travel.
//!
//! An order that is paid becomes a shipment with a carrier, a price and a promise; then the shipment is
//! scanned along its way. [`domain`] knows carriers, distances and calendars, [`selection`] chooses.

mod cause;
mod consumers;
pub mod domain;
mod migrations;
mod orders;
mod selection;
mod service;
mod store;
mod wire;

use std::sync::Arc;

use contracts::hub::shipping::v1::shipment_service_server::ShipmentServiceServer;
use mesh::{Hub, Service, StartError};

use crate::{
    consumers::{Cancel, Dispatch, Schedule},
    domain::carriers::Carriers,
    orders::{OrderBook, OrdersService},
    selection::{Agent, Selection},
    service::ShipmentsHandler,
};

const NAME: &str = "shipping";

/// Opens the store and registers the shipping service on `hub`.
///
/// # Errors
/// A store or rate cards that cannot be used.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let carriers = Carriers::load().map_err(|error| StartError::other(NAME, error))?;
    let carriers = Arc::new(carriers);
    let store = hub.store(NAME, migrations::ALL).await?;
    let orders: Arc<dyn OrderBook> = Arc::new(OrdersService::new(hub.channel()));
    let handler = ShipmentsHandler::new(
        store.clone(),
        Arc::clone(&orders),
        hub.clock().clone(),
        hub.ids().clone(),
        &carriers,
    );
    let dispatch = Dispatch {
        store: store.clone(),
        orders,
        selection: Selection {
            carriers,
            adviser: Arc::new(Agent::new(hub.channel())),
        },
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
    };
    Ok(Service::builder(NAME)
        .rpc(ShipmentServiceServer::new(handler))
        .store(store)
        .consumer(Schedule {
            dispatch: dispatch.clone(),
            hub: hub.clone(),
        })
        .consumer(Cancel { dispatch })
        .build())
}

#[cfg(test)]
mod tests;
