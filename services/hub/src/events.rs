//! `hub events`: what the hub has at its broker.

use anyhow::{Context, bail};
use mesh::{
    PolicyTable,
    config::HubSettings,
    events::{EventsConfig, Group, Topology},
};

use crate::cli::{EventsCommand, Settings};

/// Runs a command about the broker.
///
/// # Errors
/// A configuration that cannot be used, or a broker that refuses.
pub async fn run(settings: &Settings, command: &EventsCommand) -> anyhow::Result<()> {
    let EventsCommand::Topology { delete } = command;
    let config = settings.load()?;
    let hub: HubSettings = config.section("hub")?;
    let events: EventsConfig = config.section("events")?;
    let policies = PolicyTable::from_pool(contracts::descriptor_pool())?;
    let groups = Group::all_in(policies.graph());
    let topology = Topology::new(&hub.namespace, groups, &events);
    print!("{topology}");
    if *delete {
        if hub.amqp_url.expose().is_empty() {
            bail!("no broker to delete from: set AMQP_URL");
        }
        topology
            .delete(&hub.broker(&events))
            .await
            .context("not everything was deleted")?;
        println!("deleted");
    }
    Ok(())
}
