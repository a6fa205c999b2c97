//! What a hub can be composed of.

use std::future::Future;

use anyhow::{Context, bail};
use futures::future::BoxFuture;
use mesh::{Config, Hub, Service, StartError};

type Register = fn(Hub) -> BoxFuture<'static, Result<Service, StartError>>;

/// Something that `hub serve --only` can name.
pub struct Target {
    /// Name on the command line, in configuration and in metrics.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    register: Register,
}

/// Boxes a crate's `register`, so that all of them fit one table.
macro_rules! target {
    ($name:ident, $purpose:literal) => {
        Target {
            name: stringify!($name),
            purpose: $purpose,
            register: |hub| Box::pin(async move { $name::register(&hub).await }),
        }
    };
}

/// Everything there is, in the order in which it is started.
pub const TARGETS: &[Target] = &[
    target!(identity, "sign-up, login, sessions, profiles, addresses"),
    target!(catalog, "products, variants, prices, categories"),
    target!(inventory, "stock and reservations"),
    target!(cart, "carts of customers and guests"),
    target!(orders, "checkout, orders, the order saga"),
    target!(payments, "charges, refunds, saved payment methods"),
    target!(shipping, "carriers, shipments, scans"),
    target!(
        agents,
        "search, reservation, carrier, ETA and order-status agents"
    ),
    target!(admin, "health of everything, dead letters"),
    target!(gateway, "REST, gRPC-Web and gRPC for the outside"),
];

/// Name of the target that listens for the outside.
pub const GATEWAY: &str = "gateway";

/// The targets that `names` name, in starting order.
///
/// # Errors
/// An unknown name.
pub fn select(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    for name in names {
        if !TARGETS.iter().any(|target| target.name == name) {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            bail!("unknown service {name:?}; there are {}", known.join(", "));
        }
    }
    Ok(TARGETS
        .iter()
        .filter(|target| names.iter().any(|name| name == target.name))
        .collect())
}

/// Opens the stores of `targets` and starts them on `hub`.
///
/// # Errors
/// A service that cannot start, by name.
pub async fn start(hub: &Hub, targets: impl IntoIterator<Item = &Target>) -> anyhow::Result<()> {
    let services = register(hub, targets).await?;
    hub.start(services).await?;
    Ok(())
}

/// Accepts the sections of targets that this process does not run: processes share configuration files.
/// What a section holds is checked where it is used.
///
/// # Errors
/// A section that is no table.
pub fn tolerate_other_sections(config: &Config) -> anyhow::Result<()> {
    type AnySection = serde_json::Map<String, serde_json::Value>;
    let declared = config.effective();
    let sections = TARGETS.iter().map(|target| target.name).chain(["auth"]);
    for section in sections.filter(|name| !declared.contains(&format!("[{name}]\n"))) {
        config.section::<AnySection>(section)?;
    }
    Ok(())
}

/// Opens every store and declares every configuration section, and starts nothing.
///
/// # Errors
/// A service that cannot start, by name.
pub async fn register_all(hub: &Hub) -> anyhow::Result<()> {
    register(hub, TARGETS).await.map(drop)
}

async fn register(
    hub: &Hub,
    targets: impl IntoIterator<Item = &Target>,
) -> anyhow::Result<Vec<Service>> {
    let mut services = Vec::new();
    for target in targets {
        let service = (target.register)(hub.clone())
            .await
            .with_context(|| format!("cannot start {}", target.name))?;
        services.push(admin::answering(hub, service));
    }
    Ok(services)
}

/// Starts every target but the gateway, runs `work` and shuts down: how commands use a data folder
/// that no hub is serving.
///
/// # Errors
/// A service that cannot start, or what `work` answers.
pub async fn with_services<T, F>(hub: &Hub, work: F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    start(hub, TARGETS.iter().filter(|target| target.name != GATEWAY)).await?;
    let outcome = work.await;
    hub.shutdown(crate::run::DRAIN).await;
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use mesh::policy::CallerKind;

    use super::*;

    #[tokio::test]
    async fn the_contract_declares_the_consumers_that_run() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::builder()
            .data_dir(folder.path())
            .build()
            .await
            .unwrap();
        let services = register(&hub, TARGETS).await.unwrap();
        let registered: BTreeMap<String, (String, BTreeSet<&str>)> = services
            .iter()
            .flat_map(|service| {
                service.consumers().map(|consumer| {
                    let events = consumer.event_types().iter().copied().collect();
                    let target = service.name().to_owned();
                    (consumer.name().to_owned(), (target, events))
                })
            })
            .collect();
        let declared: BTreeMap<String, (String, BTreeSet<&str>)> = hub
            .policies()
            .graph()
            .consumers()
            .map(|consumer| {
                let events = consumer.events.iter().map(String::as_str).collect();
                (consumer.name.to_string(), (consumer.target.clone(), events))
            })
            .collect();
        assert_eq!(registered, declared);
        hub.shutdown(crate::run::DRAIN).await;
    }

    #[test]
    fn targets_are_those_of_the_contract() {
        let policies = mesh::PolicyTable::from_pool(contracts::descriptor_pool()).unwrap();
        let contract: BTreeSet<&str> = policies
            .targets()
            .map(|target| target.name.as_str())
            .collect();
        let here: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(contract, here);
        let edge = policies.graph().caller(GATEWAY).unwrap();
        assert_eq!(edge.kind, CallerKind::Edge);
    }
}
