//! The agents: typed operations that answer from data by an explainable algorithm.
//!
//! Each agent is a module by domain with its own RPC service; [`runtime`] gives all of them one form of
//! invocation and one way to annotate answers. Nothing here decides for the shop: stock, prices and money
//! stay with the services that own them.

mod ecommerce;
mod inventory;
mod logistics;
mod migrations;
mod runtime;

use std::sync::Arc;

use contracts::hub::{
    agents::v1::{
        agent_service_server::AgentServiceServer,
        carrier_selection_service_server::CarrierSelectionServiceServer,
        catalog_search_service_server::CatalogSearchServiceServer,
        eta_service_server::EtaServiceServer,
        order_status_service_server::OrderStatusServiceServer,
        reservation_validation_service_server::ReservationValidationServiceServer,
    },
    inventory::v1::inventory_service_client::InventoryServiceClient,
};
use mesh::{Hub, Service, Shutdown, StartError};

use crate::{
    ecommerce::{catalog_search, order_status},
    inventory::reservation_validation::{ReservationValidationAgent, ReservationValidationHandler},
    logistics::{carrier_selection, eta},
    runtime::{agent::Agent, invoke::InvokeHandler},
};

/// Folder of the search index in the data folder.
const INDEX: &str = "search-index";

/// Opens the agents' store and registers every agent on `hub`.
///
/// # Errors
/// A store that cannot be opened.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let store = hub.store("agents", migrations::ALL).await?;
    let clock = hub.clock().clone();
    let search = Arc::new(catalog_search::State::new(
        hub.data_dir().join(INDEX),
        clock.clone(),
    ));
    let indexer = catalog_search::Indexer::new(Arc::clone(&search), store.clone());
    let sojourns = order_status::Counter {
        store: store.clone(),
        clock: clock.clone(),
    };
    let ready = Arc::clone(&search);

    Ok(Service::builder("agents")
        .rpc(AgentServiceServer::new(InvokeHandler::new(
            agents(),
            hub.channel(),
        )))
        .rpc(CatalogSearchServiceServer::new(
            catalog_search::CatalogSearchHandler {
                state: Arc::clone(&search),
            },
        ))
        .rpc(OrderStatusServiceServer::new(
            order_status::OrderStatusHandler {
                store: store.clone(),
                clock: clock.clone(),
            },
        ))
        .rpc(ReservationValidationServiceServer::new(
            ReservationValidationHandler {
                inventory: InventoryServiceClient::new(hub.channel()),
                clock: clock.clone(),
            },
        ))
        .rpc(CarrierSelectionServiceServer::new(
            carrier_selection::CarrierSelectionHandler::new(hub.channel(), clock.clone()),
        ))
        .rpc(EtaServiceServer::new(eta::EtaHandler::new(
            hub.channel(),
            store.clone(),
            clock.clone(),
        )))
        .store(store.clone())
        .consumer(catalog_search::Feed {
            store: store.clone(),
            state: search,
        })
        .consumer(eta::StageTimes)
        .consumer(order_status::Recorder {
            clock: clock.clone(),
        })
        .task("search-index", move |shutdown: Shutdown| {
            indexer.run(shutdown)
        })
        .task("order-sojourns", move |shutdown: Shutdown| {
            sojourns.run(shutdown)
        })
        .readiness("search-index", move || {
            let state = Arc::clone(&ready);
            async move {
                state
                    .index()
                    .map(drop)
                    .map_err(|failure| failure.to_string())
            }
        })
        .build())
}

/// Every agent, in the order in which they are listed.
fn agents() -> Vec<Box<dyn Agent>> {
    vec![
        Box::new(catalog_search::CatalogSearchAgent),
        Box::new(order_status::OrderStatusAgent),
        Box::new(ReservationValidationAgent),
        Box::new(carrier_selection::CarrierSelectionAgent),
        Box::new(eta::EtaAgent),
    ]
}
