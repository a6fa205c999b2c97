//! The processes of a hub that runs as a mesh.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::{Context, ensure};
use tokio::sync::OnceCell;

use crate::{
    network::hosts,
    process::{Launch, run},
};

/// Name of the process that clients talk to.
pub(crate) const GATEWAY: &str = "gateway";

/// Which targets run together.
const GROUPS: [(&str, &[&str]); 6] = [
    (GATEWAY, &["gateway"]),
    ("identity", &["identity", "admin"]),
    ("catalog", &["catalog"]),
    ("orders", &["cart", "orders"]),
    ("inventory", &["inventory", "shipping"]),
    ("payments", &["payments", "agents"]),
];

/// Ports are taken from below the range from which the system gives ports to outgoing connections, so that a
/// process that is started again finds its own still free.
const PORTS: std::ops::Range<u16> = 12_000..30_000;

/// What all processes of a mesh share besides its engines.
pub(crate) fn environment() -> anyhow::Result<Vec<(String, String)>> {
    let key = uuid::Uuid::from_u128(rand::random()).simple().to_string();
    Ok(vec![(
        "HUB__MESH__INTERNAL_KEY".to_owned(),
        format!("{key}{key}"),
    )])
}

/// How many processes of each kind a mesh has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) gateways: usize,
    pub(crate) others: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            gateways: 1,
            others: 1,
        }
    }
}

/// One process of the mesh.
struct Seat {
    /// The name of the group, with a number from the second replica on.
    name: String,
    group: &'static str,
    targets: &'static [&'static str],
    /// Where it listens for the others.
    grpc: SocketAddr,
    wrapper: Vec<String>,
}

fn seats(size: Size) -> anyhow::Result<Vec<Seat>> {
    let hosts = hosts()?;
    let mut seats = Vec::new();
    for (group, targets) in GROUPS {
        let host = hosts.get(group);
        let address = host.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |host| host.address);
        let replicas = match group {
            GATEWAY => size.gateways,
            _ => size.others,
        };
        for number in 1..=replicas {
            seats.push(Seat {
                name: match number {
                    1 => group.to_owned(),
                    _ => format!("{group}-{number}"),
                },
                group,
                targets,
                grpc: SocketAddr::new(address, free_port()?),
                wrapper: host.map(|host| host.wrapper()).unwrap_or_default(),
            });
        }
    }
    Ok(seats)
}

/// Where each process finds the targets of the others.
fn peers(seats: &[Seat]) -> Vec<(String, String)> {
    let mut addresses: HashMap<&str, Vec<String>> = HashMap::new();
    for seat in seats.iter().filter(|seat| seat.group != GATEWAY) {
        for target in seat.targets {
            let address = format!("https://{}", seat.grpc);
            addresses.entry(target).or_default().push(address);
        }
    }
    addresses
        .into_iter()
        .map(|(target, addresses)| {
            let variable = format!("HUB__PEERS__{}", target.to_uppercase());
            (variable, addresses.join(","))
        })
        .collect()
}

/// How the processes are started, as many as `size` says, every one in a data folder of its own below `folder`.
///
/// # Errors
/// No certificates can be made, or no port is free.
pub(crate) async fn launches(
    folder: &Path,
    environment: &[(String, String)],
    size: Size,
) -> anyhow::Result<Vec<(String, Launch)>> {
    let certificates = certificates().await?;
    let seats = seats(size)?;
    let peers = peers(&seats);
    let launches = seats.into_iter().map(|seat| {
        let Seat {
            name,
            targets,
            grpc,
            wrapper,
            ..
        } = seat;
        let mut environment = environment.to_vec();
        environment.extend(peers.iter().cloned());
        let data = folder.join(format!("data-{name}"));
        let file = |suffix: &str| certificates.join(format!("{}{suffix}", targets.join("-")));
        let settings = [
            ("HUB_DATA_DIR", data.display().to_string()),
            ("HUB_LISTEN", SocketAddr::new(grpc.ip(), 0).to_string()),
            ("HUB__TLS__CERT", file(".pem").display().to_string()),
            ("HUB__TLS__KEY", file(".key").display().to_string()),
            (
                "HUB__TLS__CA",
                certificates.join("ca.pem").display().to_string(),
            ),
        ];
        environment.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        let grpc = grpc.to_string();
        let arguments = ["serve", "--only", &targets.join(","), "--grpc", &grpc];
        let launch = Launch {
            folder: folder.to_owned(),
            log: format!("{name}.log"),
            wrapper,
            arguments: arguments.map(str::to_owned).to_vec(),
            environment,
        };
        (name, launch)
    });
    Ok(launches.collect())
}

/// A folder with a certificate for each process, made once a run.
async fn certificates() -> anyhow::Result<std::path::PathBuf> {
    static MADE: OnceCell<tempfile::TempDir> = OnceCell::const_new();
    let folder = MADE
        .get_or_try_init(|| async {
            let folder = tempfile::tempdir()?;
            let groups: Vec<String> = GROUPS
                .iter()
                .map(|(_, targets)| targets.join(","))
                .collect();
            let mut arguments = vec!["certs", "dev", "--out", "."];
            for targets in &groups {
                arguments.extend(["--target", targets]);
            }
            let finished = run(folder.path(), &arguments, &[]).await?;
            ensure!(
                finished.code == Some(0),
                "hub certs dev: {}",
                finished.stderr
            );
            anyhow::Ok(folder)
        })
        .await?;
    Ok(folder.path().to_owned())
}

fn free_port() -> anyhow::Result<u16> {
    (0..200)
        .map(|_| rand::random_range(PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no port is free")
}
