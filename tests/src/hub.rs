//! Hubs under test: one process, or the processes of a mesh, behind the same handle.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use futures::future::try_join_all;
use tempfile::TempDir;

use crate::{
    api::Api,
    disk::{Filler, with_small_disk},
    engines::{Engines, Mode, Shop},
    mesh::{self, Size},
    process::{Finished, Launch, Process, run},
};

/// When it is set, data folders and logs stay behind: what a failed test is understood from.
const KEEP: &str = "HUB_TESTS_KEEP";

/// How a hub is started.
#[derive(Clone, Debug, Default)]
pub struct HubOptions {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    mode: Option<Mode>,
    size: Size,
    disk_mib: Option<u32>,
}

impl HubOptions {
    /// Without request limits: what most tests want.
    pub fn unlimited() -> Self {
        let mut options = Self::default();
        for role in ["ANONYMOUS", "GUEST", "CUSTOMER", "STAFF", "ADMIN"] {
            options = options.env(&format!("HUB__RATE_LIMITS__{role}"), "0");
        }
        options
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With a command-line argument of `hub up`.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// In this mode, whatever that of the run is.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// As a mesh with this many processes of each kind.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.mode = Some(Mode::Mesh);
        self.size = Size {
            gateways: replicas,
            others: replicas,
        };
        self
    }

    /// As a mesh with this many gateways and one process of each other kind.
    #[must_use]
    pub fn with_gateways(mut self, gateways: usize) -> Self {
        self.mode = Some(Mode::Mesh);
        self.size = Size {
            gateways,
            others: 1,
        };
        self
    }

    /// In one process on its own files, on a disk of this size that goes away with the process. See
    /// [`small_disks_refused`](crate::small_disks_refused).
    #[must_use]
    pub fn on_disk_of(mut self, mib: u32) -> Self {
        self.mode = Some(Mode::Embedded);
        self.disk_mib = Some(mib);
        self
    }

    fn shop(&self) -> Shop {
        if self.arguments.iter().any(|argument| argument == "--empty") {
            Shop::Empty
        } else {
            Shop::Demo
        }
    }
}

/// A running hub. It dies with the value, and with the test process however that ends.
#[derive(Debug)]
pub struct Hub {
    mode: Mode,
    members: Vec<Member>,
    /// What commands on this hub are run with.
    environment: Vec<(String, String)>,
    folder: TempDir,
    // Last, so that the processes are gone before what they stand on.
    engines: Option<Engines>,
}

/// One process, running or not.
#[derive(Debug)]
struct Member {
    name: String,
    launch: Launch,
    process: Process,
}

impl Hub {
    /// Starts a hub with the demo shop and without request limits.
    ///
    /// # Errors
    /// It does not come up; the error holds what it printed.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(HubOptions::unlimited()).await
    }

    /// Starts a hub.
    ///
    /// # Errors
    /// It does not come up; the error holds what it printed.
    pub async fn start_with(options: HubOptions) -> anyhow::Result<Self> {
        let mut folder = tempfile::tempdir()?;
        folder.disable_cleanup(std::env::var_os(KEEP).is_some());
        let mode = options.mode.unwrap_or_else(Mode::of_run);
        let engines = match mode {
            Mode::Embedded => None,
            Mode::Engines | Mode::Mesh => Some(Engines::create(options.shop()).await?),
        };
        // The last one of a name counts: a test may bring an engine of its own.
        let mut environment = match &engines {
            Some(engines) => engines.environment()?,
            None => Vec::new(),
        };
        environment.extend(options.environment.iter().cloned());
        let launches = match mode {
            Mode::Embedded | Mode::Engines => vec![(mesh::GATEWAY.to_owned(), {
                let mut environment = environment.clone();
                let data = folder.path().join("data");
                let wrapper = match options.disk_mib {
                    Some(mib) => {
                        std::fs::create_dir(&data)?;
                        with_small_disk(&data, mib)
                    }
                    None => Vec::new(),
                };
                environment.push(("HUB_DATA_DIR".to_owned(), data.display().to_string()));
                environment.push(("HUB_LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
                Launch {
                    folder: folder.path().to_owned(),
                    log: "hub.log".to_owned(),
                    wrapper,
                    arguments: options.arguments.clone(),
                    environment,
                }
            })],
            Mode::Mesh => {
                environment.extend(mesh::environment()?);
                mesh::launches(folder.path(), &environment, options.size).await?
            }
        };
        let mut members = try_join_all(launches.into_iter().map(|(name, launch)| async move {
            let process = Process::spawn(&launch).await?;
            anyhow::Ok(Member {
                name,
                launch,
                process,
            })
        }))
        .await?;
        // Whoever is started again comes back to the address that clients know.
        for gateway in members.iter_mut().filter(|member| member.is_gateway()) {
            let listen = gateway.process.address.to_string();
            let known = ("HUB_LISTEN".to_owned(), listen);
            gateway.launch.environment.push(known);
        }
        let gateway = members
            .iter()
            .find(|member| member.is_gateway())
            .context("no gateway")?;
        let listen = gateway.process.address.to_string();
        environment.push(("HUB_LISTEN".to_owned(), listen));
        let data = gateway.data_dir().display().to_string();
        environment.push(("HUB_DATA_DIR".to_owned(), data));
        Ok(Self {
            mode,
            members,
            environment,
            folder,
            engines,
        })
    }

    /// How it is composed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.gateway().process.address
    }

    /// Process id of the gateway, which is the whole hub unless it is a mesh.
    pub fn pid(&self) -> u32 {
        self.gateway().process.pid
    }

    /// Its data folder; of a mesh, the gateway's.
    pub fn data_dir(&self) -> PathBuf {
        self.gateway().data_dir()
    }

    /// What it stands on, unless that is its own files.
    pub fn engines(&self) -> Option<&Engines> {
        self.engines.as_ref()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let logs = self.members.iter().map(|member| member.launch.log());
        logs.collect::<Vec<_>>().concat()
    }

    /// A REST client for it.
    pub fn api(&self) -> Api {
        Api::new(self.address())
    }

    /// Where each of its gateways listens.
    pub fn gateways(&self) -> Vec<SocketAddr> {
        self.members
            .iter()
            .filter(|member| member.is_gateway())
            .map(|member| member.process.address)
            .collect()
    }

    /// Names of its processes.
    pub fn members(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.name.clone())
            .collect()
    }

    /// Kills all its processes as `kill -9` does and starts them again on the same folders and ports.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn crash_and_restart(&mut self) -> anyhow::Result<()> {
        self.crash().await?;
        self.start_again().await
    }

    /// Kills its processes as `kill -9` does.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.signal("KILL").await?;
        for member in &mut self.members {
            member.process.ended().await?;
        }
        Ok(())
    }

    /// Asks it to stop as an operator does and waits for its exit code; of a mesh, the worst one.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        self.signal("TERM").await?;
        self.ended().await
    }

    /// Waits for it to end by itself, or after a signal, and gives its exit code; of a mesh, the worst one.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut worst = Some(0);
        for member in &mut self.members {
            let code = member.process.ended().await?;
            if code != Some(0) {
                worst = code;
            }
        }
        Ok(worst)
    }

    /// Sends a signal by name to all its processes and does not wait.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        for member in &self.members {
            member.process.signal(name).await?;
        }
        Ok(())
    }

    /// Starts its processes again on the same folders and ports.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        try_join_all(self.members.iter_mut().map(Member::start)).await?;
        Ok(())
    }

    /// Kills one process as `kill -9` does and waits for its end.
    ///
    /// # Errors
    /// There is no such process, or the signal cannot be sent.
    pub async fn kill_member(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.member(name)?;
        member.process.signal("KILL").await?;
        member.process.ended().await.map(drop)
    }

    /// Asks one process to stop as an operator does and waits for its exit code.
    ///
    /// # Errors
    /// There is no such process, or the signal cannot be sent.
    pub async fn stop_member(&mut self, name: &str) -> anyhow::Result<Option<i32>> {
        let member = self.member(name)?;
        member.process.signal("TERM").await?;
        member.process.ended().await
    }

    /// Sends a signal by name to one process and does not wait.
    ///
    /// # Errors
    /// There is no such process, or the signal cannot be sent.
    pub async fn signal_member(&mut self, name: &str, signal: &str) -> anyhow::Result<()> {
        self.member(name)?.process.signal(signal).await
    }

    /// Waits for one process to end and gives its exit code.
    ///
    /// # Errors
    /// There is no such process, or it cannot be waited for.
    pub async fn member_ended(&mut self, name: &str) -> anyhow::Result<Option<i32>> {
        self.member(name)?.process.ended().await
    }

    /// Starts one process again.
    ///
    /// # Errors
    /// There is no such process, or it does not come up.
    pub async fn start_member(&mut self, name: &str) -> anyhow::Result<()> {
        self.member(name)?.start().await
    }

    /// Sets an environment variable for processes that are started from now on.
    pub fn set_environment(&mut self, key: &str, value: &str) {
        let variable = (key.to_owned(), value.to_owned());
        for member in &mut self.members {
            member.launch.environment.push(variable.clone());
        }
    }

    /// Fills the disk of a hub that has a small one.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn fill_disk(&self) -> anyhow::Result<Filler> {
        Filler::fill(self.pid(), &self.data_dir())
    }

    /// Runs another command of the binary on this hub's folder and address.
    ///
    /// # Errors
    /// The command cannot be run.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        // The last one of a name counts.
        let environment: HashMap<&str, &String> = self
            .environment
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let environment: Vec<(&str, String)> = environment
            .into_iter()
            .map(|(key, value)| (key, value.clone()))
            .collect();
        run(self.folder.path(), arguments, &environment).await
    }

    fn gateway(&self) -> &Member {
        // `start_with` has found one.
        self.members
            .iter()
            .find(|member| member.is_gateway())
            .unwrap_or_else(|| unreachable!("every hub has a gateway"))
    }

    fn member(&mut self, name: &str) -> anyhow::Result<&mut Member> {
        self.members
            .iter_mut()
            .find(|member| member.name == name)
            .with_context(|| format!("there is no process {name}"))
    }
}

impl Member {
    fn is_gateway(&self) -> bool {
        self.name.starts_with(mesh::GATEWAY)
    }

    fn data_dir(&self) -> PathBuf {
        let folder = self
            .launch
            .environment
            .iter()
            .rev()
            .find(|(key, _)| key == "HUB_DATA_DIR");
        folder.map_or_else(PathBuf::new, |(_, folder)| PathBuf::from(folder))
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        self.process = Process::spawn(&self.launch).await?;
        Ok(())
    }
}
