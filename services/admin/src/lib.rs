//! Admin: what operators see of all processes and of their events.

mod backups;
mod dead_letters;
mod fleet;
mod health;
mod process;
mod service;

use contracts::hub::admin::v1::{
    admin_service_server::AdminServiceServer, process_service_server::ProcessServiceServer,
};
use mesh::{Hub, Service, StartError};

use crate::{fleet::Fleet, process::ProcessHandler, service::AdminHandler};

/// Registers the admin service on `hub`. It keeps no state of its own.
///
/// # Errors
/// None today; the signature is that of every service.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let handler = AdminHandler {
        hub: hub.clone(),
        fleet: Fleet::of(hub),
    };
    Ok(Service::builder("admin")
        .rpc(AdminServiceServer::new(handler))
        .build())
}

/// Lets the admin service, wherever it runs, ask the target `service` of `hub`. The edge serves no RPCs to others, so
/// it is not asked.
pub fn answering(hub: &Hub, service: Service) -> Service {
    let policies = hub.policies();
    let target = policies.target(service.name());
    if target.is_none_or(|target| target.services.is_empty()) {
        return service;
    }
    let handler = ProcessHandler::new(hub, service.name());
    service.with_rpc_of_target(ProcessServiceServer::new(handler))
}
