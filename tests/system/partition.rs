//! Hosts that cannot reach each other, under checkout load.
//!
//! Each process has a host of its own: `tests/partition` makes them, which needs root.

#![allow(
    clippy::disallowed_methods,
    reason = "outages of real networks are measured on the real clock"
)]

use std::{collections::HashMap, env, net::IpAddr, time::Duration};

use anyhow::Context;
use system_tests::{Host, Hub, HubOptions, Loss, hosts};

use crate::{
    chaos::{Crowd, SHOPPERS},
    checkout::Shop,
};

/// How long a cut lasts: longer than a lease, so that whoever is cut off from the database loses its leases.
const OUTAGE: Duration = Duration::from_secs(12);

/// What one host loses for a while.
struct Cut {
    name: &'static str,
    host: &'static str,
    losses: Vec<Loss>,
}

/// Where an engine listens, by the variable with its URL.
fn engine(variable: &str) -> anyhow::Result<(IpAddr, u16)> {
    let url = env::var(variable).context(variable.to_owned())?;
    let (_, after) = url.split_once('@').context("no user in the URL")?;
    let address = after.split('/').next().unwrap_or_default();
    let address: std::net::SocketAddr = address.parse().context(url.clone())?;
    Ok((address.ip(), address.port()))
}

fn cuts(hosts: &HashMap<String, Host>) -> anyhow::Result<Vec<Cut>> {
    let (database, database_port) = engine("HUB_TEST_DATABASE_URL")?;
    let (broker, broker_port) = engine("HUB_TEST_AMQP_URL")?;
    let others = |name: &str| {
        hosts
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(_, host)| Loss::With(host.address))
            .collect::<Vec<_>>()
    };
    Ok(vec![
        Cut {
            name: "payments from all others",
            host: "payments",
            losses: others("payments"),
        },
        Cut {
            name: "inventory from all others",
            host: "inventory",
            losses: others("inventory"),
        },
        Cut {
            name: "orders from PostgreSQL",
            host: "orders",
            losses: vec![Loss::WithPort(database, database_port)],
        },
        Cut {
            name: "orders from RabbitMQ",
            host: "orders",
            losses: vec![Loss::WithPort(broker, broker_port)],
        },
        Cut {
            name: "payments hears nothing, but is heard",
            host: "payments",
            losses: vec![Loss::Incoming],
        },
        Cut {
            name: "the gateway loses one packet in five",
            host: "gateway",
            losses: vec![Loss::OneOf(5)],
        },
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs hosts in network namespaces; tests/partition runs it"]
async fn whatever_is_cut_off_no_order_is_lost_or_charged_twice() {
    let hosts = hosts().unwrap();
    let hub = Hub::start_with(HubOptions::unlimited().replicas(1))
        .await
        .unwrap();
    let shop = Shop::open(&hub, 100_000).await;
    let crowd = Crowd::gather(&hub.api());
    crowd.recovers("the start").await;
    let mut report = Vec::new();
    for cut in cuts(&hosts).unwrap() {
        let host = &hosts[cut.host];
        host.lose(&cut.losses).await.unwrap();
        // Not a wait for something to happen: the length of the cut is the test's input.
        tokio::time::sleep(OUTAGE).await;
        let lost = host.heal().await.unwrap();
        assert!(lost > 0, "{}: nothing was cut", cut.name);
        report.push((cut.name, lost, crowd.recovers(cut.name).await));
    }
    let (orders, complaints) = crowd.disperse().await;
    let fresh: Vec<String> = orders.keys().cloned().collect();
    shop.check(&hub.api(), &orders, &fresh).await;
    println!("\n{} orders, all ended", orders.len());
    println!(
        "| cut off for {OUTAGE:?} | packets lost | next {SHOPPERS} orders finished after it was healed |"
    );
    for (name, lost, took) in report {
        println!("| {name} | {lost} | {:.1} s |", took.as_secs_f64());
    }
    println!(
        "answers that shoppers had to repeat: {:?}",
        complaints.counts()
    );
}
