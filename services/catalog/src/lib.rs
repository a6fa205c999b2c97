//! The catalog: what the shop sells.
//!
//! Products with variants, prices and categories, kept by staff and imports, browsed by everybody. Every
//! change is announced with the whole product, so that search, inventory and others keep their own view of
//! it. Lists, totals and facets are built so that they do not get slower as the catalog grows: see
//! [`store::list`] and [`store::counters`].

mod catalog;
mod config;
mod domain;
mod events;
mod facets;
mod import;
pub mod import_file;
mod interest;
mod management;
mod memo;
mod search;
mod service;
mod store;
mod wire;

#[cfg(test)]
mod tests;

use contracts::hub::{
    agents::v1::catalog_search_service_client::CatalogSearchServiceClient,
    catalog::v1::{
        catalog_management_service_server::CatalogManagementServiceServer,
        catalog_service_server::CatalogServiceServer,
    },
};

pub use config::CatalogConfig;

/// Registers the catalog with the hub.
///
/// # Errors
/// A store that cannot be opened, a configuration that makes no sense.
pub async fn register(hub: &mesh::Hub) -> Result<mesh::Service, mesh::StartError> {
    let config: CatalogConfig = hub.config("catalog")?;
    let store = hub.store("catalog", store::MIGRATIONS).await?;
    let catalog = catalog::Catalog::new(
        store.clone(),
        hub.clock().clone(),
        hub.ids().clone(),
        config,
    )
    .map_err(|error| mesh::StartError::other("catalog", error))?;
    let browsing = service::Browsing {
        catalog: catalog.clone(),
        search: CatalogSearchServiceClient::new(hub.channel()),
        agent_down: std::sync::Arc::default(),
    };
    let management = management::Management {
        catalog: catalog.clone(),
    };
    Ok(mesh::Service::builder("catalog")
        .rpc(CatalogServiceServer::new(browsing))
        .rpc(CatalogManagementServiceServer::new(management))
        .store(store)
        .consumer(events::FollowStock)
        .consumer(events::CountPurchases(catalog.clone()))
        .consumer(events::ForgetAnswers(catalog.clone()))
        .task("interest", move |shutdown| {
            interest::write_regularly(catalog, shutdown)
        })
        .build())
}
