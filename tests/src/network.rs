//! Hosts of a mesh: each process in a network namespace of its own, and cuts between them.
//!
//! `tests/partition` makes the namespaces and names them in `HUB_TEST_HOSTS`. What is cut is dropped without a word,
//! as by a broken switch: nobody hears that a connection is refused.

use std::{collections::HashMap, env, net::IpAddr};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// The variable that names the hosts: `gateway=10.0.0.11@namespace` for each, separated by commas.
const HOSTS: &str = "HUB_TEST_HOSTS";

/// Where one group of targets runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its address, which the other hosts reach it at.
    pub address: IpAddr,
    namespace: String,
}

/// The hosts of this run by the group of targets that runs there; nothing when there are none.
///
/// # Errors
/// `HUB_TEST_HOSTS` cannot be read.
pub fn hosts() -> anyhow::Result<HashMap<String, Host>> {
    let Ok(named) = env::var(HOSTS) else {
        return Ok(HashMap::new());
    };
    let host = |entry: &str| {
        let (group, rest) = entry.split_once('=')?;
        let (address, namespace) = rest.split_once('@')?;
        let host = Host {
            address: address.parse().ok()?,
            namespace: namespace.to_owned(),
        };
        Some((group.to_owned(), host))
    };
    named
        .split(',')
        .map(|entry| host(entry).with_context(|| format!("{HOSTS}: {entry:?}")))
        .collect()
}

/// Packets that a host loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// From and to this address: all.
    With(IpAddr),
    /// From and to this port of this address: all.
    WithPort(IpAddr, u16),
    /// All that come in; what it sends arrives.
    Incoming,
    /// One of so many that come in.
    OneOf(u16),
}

impl Loss {
    fn rules(self) -> Vec<String> {
        match self {
            Self::With(address) => vec![
                format!("incoming ip saddr {address} counter drop"),
                format!("outgoing ip daddr {address} counter drop"),
            ],
            Self::WithPort(address, port) => vec![
                format!("incoming ip saddr {address} tcp sport {port} counter drop"),
                format!("outgoing ip daddr {address} tcp dport {port} counter drop"),
            ],
            Self::Incoming => vec!["incoming iifname != lo counter drop".to_owned()],
            Self::OneOf(many) => vec![format!(
                "incoming iifname != lo numgen random mod {many} 0 counter drop"
            )],
        }
    }
}

impl Host {
    /// What a command is run with to run here.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace]
            .map(str::to_owned)
            .to_vec()
    }

    /// Loses packets from now on.
    ///
    /// # Errors
    /// `nft` refuses.
    pub async fn lose(&self, losses: &[Loss]) -> anyhow::Result<()> {
        for rule in losses.iter().flat_map(|loss| loss.rules()) {
            self.nft(&format!("add rule inet cut {rule}")).await?;
        }
        Ok(())
    }

    /// Loses none any more; gives how many packets it has lost.
    ///
    /// # Errors
    /// `nft` refuses.
    pub async fn heal(&self) -> anyhow::Result<u64> {
        let rules = self.nft("list table inet cut").await?;
        self.nft("flush table inet cut").await?;
        let words: Vec<&str> = rules.split_whitespace().collect();
        let counts = words.windows(2).filter(|pair| pair[0] == "packets");
        counts.map(|pair| Ok(pair[1].parse::<u64>()?)).sum()
    }

    async fn nft(&self, command: &str) -> anyhow::Result<String> {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.namespace, "nft", command])
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "nft {command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}
