//! The sections that the runtime itself reads.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::events::{BrokerAddress, EventsConfig};

/// The `[hub]` section: what a process is and where its things are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubSettings {
    /// Folder of everything that the process keeps (`--data-dir`, `HUB_DATA_DIR`).
    pub data_dir: PathBuf,
    /// Address of the gateway (`--listen`, `HUB_LISTEN`).
    pub listen: SocketAddr,
    /// What the installation is for.
    pub profile: Profile,
    /// How long the process goes on serving after it was told to stop and reports that it is not ready, in
    /// milliseconds: as long as balancers need to notice. 0 where nothing stands in front of it.
    pub drain_delay_ms: u64,
    /// PostgreSQL (`DATABASE_URL`); empty: SQLite files in the data folder.
    pub database_url: Secret<String>,
    /// A replica of it (`DATABASE_READ_URL`) that answers long reads; empty: the main one does.
    pub database_read_url: Secret<String>,
    /// RabbitMQ (`AMQP_URL`); empty: events stay in the process.
    pub amqp_url: Secret<String>,
    /// Redis (`REDIS_URL`); empty: the cache stays in the process.
    pub redis_url: Secret<String>,
    /// Where pictures and documents are (`BLOB_URL`): `file:///path`, `s3://bucket/prefix`,
    /// `az://container/prefix`, `gs://bucket/prefix`; empty: the folder `blobs` in the data folder.
    pub blob_url: String,
    /// First part of the names that the hub uses in RabbitMQ and Redis (`HUB_NAMESPACE`), so that two
    /// installations can share them.
    pub namespace: String,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            profile: Profile::Embedded,
            drain_delay_ms: 0,
            database_url: Secret::default(),
            database_read_url: Secret::default(),
            amqp_url: Secret::default(),
            redis_url: Secret::default(),
            blob_url: String::new(),
            namespace: "hub".to_owned(),
        }
    }
}

impl HubSettings {
    /// The broker of the installation, when it has one.
    pub fn broker(&self, events: &EventsConfig) -> BrokerAddress {
        BrokerAddress {
            url: self.amqp_url.clone(),
            namespace: self.namespace.clone(),
            ca: Some(events.broker_ca.clone()).filter(|path| !path.as_os_str().is_empty()),
        }
    }
}

/// What an installation is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One machine, for developers and demonstrations: demo users, developer mailbox.
    #[default]
    Embedded,
    /// Real customers: nothing of the demo.
    Production,
}

/// The `[mesh]` section: how services call each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshSettings {
    /// Secret of at least 32 characters that processes sign callers with. Empty: a random one, kept
    /// in the data folder.
    pub internal_key: Secret<String>,
    /// Whether processes talk to each other without TLS (`--plaintext`).
    pub plaintext: bool,
    /// Most RPCs that one service works on at the same time; more are refused, least important first. The
    /// limit in force is found between this and `least_concurrency`.
    pub concurrency: usize,
    /// The limit never falls below this.
    pub least_concurrency: usize,
    /// Times that a safe call is sent again to another process after UNAVAILABLE.
    pub retries: u32,
    /// How long a call waits for a target that cannot be reached, in milliseconds; calls to optional targets
    /// do not.
    pub patience_ms: u64,
    /// How long a process is left out that fails where others do not, in milliseconds; each time longer.
    pub ejection_ms: u64,
    /// The processes of a target that may be left out, in a hundred.
    pub most_ejected_percent: u32,
    /// Failures in a hundred calls that open a circuit breaker.
    pub breaker_failure_percent: u32,
    /// How long an open breaker refuses calls, in milliseconds.
    pub breaker_open_ms: u64,
    /// Targets that the rest works without: behind a breaker even in the same process.
    pub optional_targets: Vec<String>,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            internal_key: Secret::default(),
            plaintext: false,
            concurrency: 1024,
            least_concurrency: 128,
            retries: 2,
            patience_ms: 5_000,
            ejection_ms: 10_000,
            most_ejected_percent: 50,
            breaker_failure_percent: 50,
            breaker_open_ms: 5_000,
            optional_targets: vec!["agents".to_owned()],
        }
    }
}

/// The `[peers]` section: where the targets that this process does not run are, as
/// `orders = "https://10.0.0.7:7105"`, several separated by commas; `dns:orders.hub.svc:7105`, all addresses
/// of a name; or `file:/etc/hub/orders`, a line each. Names and files are read again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Peers(pub BTreeMap<String, String>);

/// The `[rate_limits]` section: requests per minute by role; 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Per client address, without credentials.
    pub anonymous: u32,
    /// Per guest session. Absent: as for customers.
    pub guest: Option<u32>,
    /// Per customer.
    pub customer: u32,
    /// Per member of staff.
    pub staff: u32,
    /// Per administrator.
    pub admin: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            anonymous: 100,
            guest: None,
            customer: 500,
            staff: 1000,
            admin: 10_000,
        }
    }
}

impl RateLimits {
    /// Requests per minute of a guest session.
    pub fn guest(&self) -> u32 {
        self.guest.unwrap_or(self.customer)
    }
}
