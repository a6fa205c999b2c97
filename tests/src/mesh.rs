//! The processes of a hub that runs as a mesh.

use std::{collections::HashMap, net::TcpListener, path::Path};

use anyhow::{Context, ensure};
use tokio::sync::OnceCell;

use crate::process::{Launch, run};

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

/// How the processes are started, each in a data folder of its own below `folder`.
///
/// # Errors
/// No certificates can be made, or no port is free.
pub(crate) async fn launches(
    folder: &Path,
    environment: &[(String, String)],
) -> anyhow::Result<Vec<(&'static str, Launch)>> {
    let certificates = certificates().await?;
    let ports: HashMap<&str, u16> = GROUPS
        .iter()
        .map(|(name, _)| Ok((*name, free_port()?)))
        .collect::<anyhow::Result<_>>()?;
    let peers: Vec<(String, String)> = GROUPS
        .iter()
        .filter(|(name, _)| *name != GATEWAY)
        .flat_map(|(name, targets)| targets.iter().map(move |target| (name, target)))
        .map(|(name, target)| {
            let variable = format!("HUB__PEERS__{}", target.to_uppercase());
            (variable, format!("https://127.0.0.1:{}", ports[name]))
        })
        .collect();
    let launches = GROUPS.iter().map(|(name, targets)| {
        let mut environment = environment.to_vec();
        environment.extend(peers.iter().cloned());
        let data = folder.join(format!("data-{name}"));
        let file = |suffix: &str| certificates.join(format!("{}{suffix}", targets.join("-")));
        let settings = [
            ("HUB_DATA_DIR", data.display().to_string()),
            ("HUB_LISTEN", "127.0.0.1:0".to_owned()),
            ("HUB__TLS__CERT", file(".pem").display().to_string()),
            ("HUB__TLS__KEY", file(".key").display().to_string()),
            (
                "HUB__TLS__CA",
                certificates.join("ca.pem").display().to_string(),
            ),
        ];
        environment.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        let grpc = format!("127.0.0.1:{}", ports[name]);
        let arguments = ["serve", "--only", &targets.join(","), "--grpc", &grpc];
        let launch = Launch {
            folder: folder.to_owned(),
            log: format!("{name}.log"),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment,
        };
        (*name, launch)
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
