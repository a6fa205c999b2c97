//! Configuration for Envoy, made from the contracts: who prefers Envoy at the edge, or as a sidecar, gets routes,
//! deadlines, retries and permissions from the same options that our own gateway and mesh enforce.
//!
//! The files are JSON, which Envoy reads as it reads YAML.

mod descriptors;
mod edge;
mod parts;
mod sidecar;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use mesh::{
    config::{Config, HubSettings, RateLimits},
    policy::PolicyTable,
};
use serde_json::Value;

use crate::cli::{EnvoyCommand, Settings};

/// Name of the file with the descriptors.
const DESCRIPTORS: &str = "contracts.binpb";

/// Writes what `command` asks for.
///
/// # Errors
/// A setting that cannot be used, an unknown target, or a folder that cannot be written.
pub fn write(settings: &Settings, command: &EnvoyCommand) -> anyhow::Result<()> {
    let config = settings.load()?;
    let policies = PolicyTable::from_pool(contracts::descriptor_pool())?;
    match command {
        EnvoyCommand::Edge {
            out,
            bind,
            upstream,
            descriptors,
        } => {
            let beside = absolute(out)?.join(DESCRIPTORS);
            let edge = edge::Edge {
                policies: &policies,
                bind: *bind,
                upstream: parts::HostPort::parse(upstream)?,
                descriptors: descriptors.as_ref().unwrap_or(&beside),
                origins: origins(&config)?,
                auth: config.section("auth")?,
                limits: config.section::<RateLimits>("rate_limits")?,
            };
            save(&out.join(DESCRIPTORS), &descriptors::transcodable()?)?;
            save_json(&out.join("envoy.json"), &edge.bootstrap()?)
        }
        EnvoyCommand::Sidecar {
            target,
            out,
            identity,
        } => {
            let sidecar = sidecar::Sidecar::of(&policies, &config, target, identity)?;
            save_json(&out.join("envoy.json"), &sidecar.bootstrap())?;
            save_json(&out.join("identity.json"), &sidecar.identity())?;
            save_json(&out.join("trust.json"), &sidecar.trust())
        }
    }
}

fn origins(config: &Config) -> anyhow::Result<Vec<String>> {
    let hub: HubSettings = config.section("hub")?;
    let gateway: gateway::GatewayConfig = config.section("gateway")?;
    Ok(gateway.origins(hub.profile))
}

fn absolute(folder: &Path) -> io::Result<PathBuf> {
    std::path::absolute(folder)
}

fn save_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    save(path, text.as_bytes())
}

fn save(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
