//! Admin: what operators see of the process and of its events.

mod backups;
mod dead_letters;
mod health;
mod service;

use contracts::hub::admin::v1::admin_service_server::AdminServiceServer;
use mesh::{Hub, Service, StartError};

use crate::service::AdminHandler;

/// Registers the admin service on `hub`. It keeps no state of its own.
///
/// # Errors
/// None today; the signature is that of every service.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let handler = AdminHandler {
        hub: hub.clone(),
        started: hub.clock().now(),
    };
    Ok(Service::builder("admin")
        .rpc(AdminServiceServer::new(handler))
        .build())
}
