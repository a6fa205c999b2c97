//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use mesh::config::{Config, Sources};

/// Holiday Peak Hub: a retail platform as a gRPC service mesh.
///
/// Without a command it runs `hub up`: every service in one process on embedded storage, with a
/// demo shop on first start.
#[derive(Debug, Parser)]
#[command(name = "hub", version, propagate_version = true)]
pub struct Cli {
    /// Settings that every command understands.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Settings that every command understands. Each also has an environment variable and a place in
/// the configuration file; flags win over the environment, the environment over the file.
#[derive(Debug, Default, Args)]
pub struct Settings {
    /// Configuration file in TOML [default: hub.toml, when there is one] [env: HUB_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of everything the hub keeps [default: data] [env: HUB_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the gateway [default: 127.0.0.1:8080] [env: HUB_LISTEN]
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Settings {
    /// The configuration that these flags, the environment and the file make together.
    pub fn load(&self) -> anyhow::Result<Config> {
        self.load_with(&[])
    }

    /// As [`Settings::load`], with what the flags of a command set: dotted path and value.
    pub fn load_with(&self, flags: &[(&str, &str)]) -> anyhow::Result<Config> {
        let mut sources = Sources::from_process();
        if let Some(file) = &self.config {
            sources.file = Some(file.clone());
        }
        if let Some(folder) = &self.data_dir {
            sources = sources.with_override("hub.data_dir", folder.to_string_lossy());
        }
        if let Some(listen) = self.listen {
            sources = sources.with_override("hub.listen", listen.to_string());
        }
        for (path, value) in flags {
            sources = sources.with_override(path, *value);
        }
        Ok(Config::load(&sources)?)
    }
}

/// What the hub can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in this process (the default)
    Up(UpOptions),
    /// Run some services here and find the others through `[peers]`
    Serve(ServeOptions),
    /// Fill the shop with the demo data and end
    Seed,
    /// Copy everything that an embedded hub keeps, also while it serves
    Backup(BackupOptions),
    /// Make a data folder from a backup, after checking it
    Restore(RestoreOptions),
    /// List the services, their ports and what they are for
    Services,
    /// Make certificates for processes on this machine
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Print who calls whom and who hears which event, as the contract declares it
    Graph(GraphOptions),
    /// Create or update products from an NDJSON or CSV file
    Import(ImportOptions),
    /// Write configuration for Envoy, made from the contracts
    #[command(subcommand)]
    Envoy(EnvoyCommand),
    /// Print the OpenAPI 3.1 document
    Openapi,
    /// Print the effective configuration, secrets redacted
    Config,
    /// Look at the sagas of orders and help those that are stuck
    #[command(subcommand)]
    Sagas(SagaCommand),
    /// Look at events that could not be handled, replay or discard them
    #[command(subcommand)]
    Dlq(DeadLetterCommand),
    /// Look at what the hub has at its broker
    #[command(subcommand)]
    Events(EventsCommand),
}

impl Default for Command {
    fn default() -> Self {
        Self::Up(UpOptions::default())
    }
}

/// Options of `hub up`.
#[derive(Debug, Default, Args)]
pub struct UpOptions {
    /// Start with an empty shop instead of the demo shop
    #[arg(long)]
    pub empty: bool,
    /// What is to go wrong on purpose.
    #[command(flatten)]
    pub faults: FaultOptions,
}

/// What is to go wrong on purpose: for tests, never in production.
#[derive(Debug, Default, Args)]
pub struct FaultOptions {
    /// Make something go wrong on purpose, as `rpc=hub.payments.v1.*:cut,probability=0.2`; several times for
    /// several. docs/RELIABILITY.md has the grammar
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
}

impl FaultOptions {
    /// The setting that they make, if any was given.
    pub fn setting(&self) -> Option<(&'static str, String)> {
        // A list of strings is written alike in JSON and in TOML.
        let rules = serde_json::Value::from(self.fault.clone()).to_string();
        (!self.fault.is_empty()).then_some(("faults.rules", rules))
    }
}

/// Options of `hub serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Services to run, separated by commas; `hub services` lists them
    #[arg(long, value_delimiter = ',', required = true, value_name = "NAMES")]
    pub only: Vec<String>,
    /// Address of the gRPC listener for the other processes [default: 127.0.0.1 and the port that
    /// `hub services` shows for the first service]
    #[arg(long, value_name = "ADDR")]
    pub grpc: Option<SocketAddr>,
    /// Address of a plaintext listener for health checks and metrics, for those without a certificate
    #[arg(long, value_name = "ADDR")]
    pub probe: Option<SocketAddr>,
    /// Talk to the other processes without TLS; otherwise `[tls]` must be set
    #[arg(long)]
    pub plaintext: bool,
    /// What is to go wrong on purpose.
    #[command(flatten)]
    pub faults: FaultOptions,
}

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a development authority, if the folder has none, and certificates that it signs
    Dev(DevCertsOptions),
}

/// Options of `hub certs dev`.
#[derive(Debug, Args)]
pub struct DevCertsOptions {
    /// Folder of the authority and the certificates
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Services that a certificate is for, separated by commas; several times for several certificates
    /// [default: one certificate for each service]
    #[arg(long, value_name = "NAMES")]
    pub target: Vec<String>,
    /// Name of the files [default: the services, joined by dashes]
    #[arg(long)]
    pub name: Option<String>,
    /// Host name or address to add besides localhost; several times for several
    #[arg(long)]
    pub host: Vec<String>,
    /// Days that the certificates are valid
    #[arg(long, default_value_t = 90)]
    pub days: u64,
}

/// Options of `hub graph`.
#[derive(Debug, Args)]
pub struct GraphOptions {
    /// How it is printed
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub format: GraphFormat,
}

/// How the call graph is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GraphFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
}

/// Options of `hub backup`.
#[derive(Debug, Args)]
pub struct BackupOptions {
    /// Folder for the backup; it must not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Options of `hub restore`.
#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// Folder of the backup; --data-dir is the folder to make, which must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
}

/// Options of `hub import`.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// File to read: .ndjson (one product a line) or .csv
    pub file: PathBuf,
}

/// What can be done with sagas.
#[derive(Debug, Subcommand)]
pub enum SagaCommand {
    /// List sagas, the ones in need of attention first
    List {
        /// Only sagas that wait for this: reservation, payment, shipment, compensation, completed, compensated
        #[arg(long)]
        step: Option<String>,
        /// Only sagas past their deadline
        #[arg(long)]
        overdue: bool,
        /// Page, 1-based
        #[arg(long, default_value_t = 1)]
        page: i32,
    },
    /// Show the saga of an order
    Show {
        /// Id of the order
        order_id: String,
    },
    /// Ask for the step that a saga waits for once more
    Retry {
        /// Id of the order
        order_id: String,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
    },
    /// Give up on a saga: cancel the order, give back stock and money
    Compensate {
        /// Id of the order
        order_id: String,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
    },
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List dead letters, newest first
    List {
        /// Only letters of this consumer
        #[arg(long, default_value = "")]
        consumer: String,
        /// Page, 1-based
        #[arg(long, default_value_t = 1)]
        page: i32,
    },
    /// Show a dead letter with the whole event
    Show {
        /// Id of the letter
        id: String,
    },
    /// Give a dead letter back to its consumer
    Replay {
        /// Id of the letter
        id: String,
    },
    /// Drop a dead letter for good
    Discard {
        /// Id of the letter
        id: String,
        /// Why; it is recorded
        #[arg(long)]
        reason: String,
    },
}

/// What can be done with the broker.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Print the exchanges, queues and bindings that the hub declares at RabbitMQ
    Topology {
        /// Delete them, with every event that is in them
        #[arg(long)]
        delete: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

/// Which Envoy the configuration is for.
#[derive(Debug, Subcommand)]
pub enum EnvoyCommand {
    /// In front of the hub: JSON, gRPC-Web and gRPC for clients, gRPC to the hub's gateway
    Edge {
        /// Folder for envoy.json and contracts.binpb
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Where Envoy listens
        #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
        bind: SocketAddr,
        /// Host and port of the hub's gateway; a name with several addresses is balanced over all
        #[arg(long, value_name = "HOST:PORT", default_value = "hub-gateway:8080")]
        upstream: String,
        /// Where the descriptors lie on the machine of Envoy [default: in the folder of --out]
        #[arg(long, value_name = "FILE")]
        descriptors: Option<PathBuf>,
    },
    /// Beside one process of the mesh: mTLS, the call graph and retries outside of the process
    Sidecar {
        /// The service
        #[arg(long, value_name = "NAME")]
        target: String,
        /// Folder for envoy.json and the names of the certificates
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Folder of tls.crt, tls.key and ca.crt on the machine of Envoy
        #[arg(long, value_name = "DIR", default_value = "/identity")]
        identity: PathBuf,
    },
}
