//! Commands that only tell: services, configuration, OpenAPI.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context;
use mesh::{Hub, policy::PolicyTable};

use crate::{cli::Settings, run, targets::TARGETS};

/// Prints what there is, with ports.
pub fn services(settings: &Settings) -> anyhow::Result<()> {
    settings.load()?;
    let policies = PolicyTable::from_pool(contracts::descriptor_pool())?;
    let mut rpcs: BTreeMap<&str, usize> = BTreeMap::new();
    for policy in policies.iter() {
        *rpcs.entry(policy.target.as_str()).or_default() += 1;
    }
    println!(
        "{:<11} {:>6} {:>5}  what it is for",
        "service", "port", "rpcs"
    );
    for target in TARGETS {
        println!(
            "{:<11} {:>6} {:>5}  {}",
            target.name,
            port(&policies, target.name).unwrap_or_default(),
            rpcs.get(target.name).copied().unwrap_or(0),
            target.purpose
        );
    }
    println!(
        "\nPorts are those of `hub serve`; `hub up` serves everything on the gateway's address."
    );
    Ok(())
}

/// Where `hub serve` listens for other processes unless told otherwise.
///
/// # Errors
/// A target that the contract does not know.
pub fn default_address(hub: &Hub, target: &str) -> anyhow::Result<SocketAddr> {
    let port = port(hub.policies(), target)
        .with_context(|| format!("the contract gives {target} no port"))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn port(policies: &PolicyTable, target: &str) -> Option<u16> {
    policies.target(target).map(|target| target.port)
}

/// Prints the effective configuration: every section of every service, secrets redacted.
pub async fn config(settings: &Settings) -> anyhow::Result<()> {
    // Sections are declared by the services, so they are registered; on a scratch folder, because
    // printing must not touch the real one.
    let config = settings.load()?;
    let scratch = std::env::temp_dir().join(format!("hub-config-{}", std::process::id()));
    let outcome = declare_sections(&config, &scratch).await;
    // A scratch folder that stays behind is no reason to fail.
    let _ = std::fs::remove_dir_all(&scratch);
    outcome?;
    config.check()?;
    write_out(&config.effective())
}

async fn declare_sections(
    config: &mesh::config::Config,
    scratch: &std::path::Path,
) -> anyhow::Result<()> {
    let hub = Hub::builder()
        .config(config.clone())
        .data_dir(scratch)
        .build()
        .await
        .context("cannot read the configuration")?;
    crate::targets::register_all(&hub).await?;
    hub.shutdown(run::DRAIN).await;
    Ok(())
}

/// Prints the OpenAPI document.
pub fn openapi() -> anyhow::Result<()> {
    write_out(&format!("{}\n", gateway::openapi_document()?))
}

/// Writes a long text; a reader that has seen enough (`| head`) is no failure.
pub fn write_out(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}
