//! Hub processes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::api::Api;

/// Line of the banner that names the address.
const ADDRESS_LINE: &str = "health";

/// When it is set, data folders and logs stay behind: what a failed test is understood from.
const KEEP: &str = "HUB_TESTS_KEEP";

/// How long a command may take: generous, because it only costs time when a test fails.
const COMMAND_PATIENCE: Duration = Duration::from_secs(120);

/// How a hub is started.
#[derive(Clone, Debug, Default)]
pub struct HubOptions {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
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

    /// With a command-line argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }
}

/// A running hub. It dies with the value, and with the test process however that ends.
pub struct Hub {
    options: HubOptions,
    folder: TempDir,
    process: Process,
}

struct Process {
    /// A shell that waits for its standard input to close and then kills the hub.
    guard: Child,
    _lifeline: ChildStdin,
    hub_pid: u32,
    address: SocketAddr,
    _output: BufReader<ChildStdout>,
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
        let process = Process::spawn(&options, folder.path(), "127.0.0.1:0").await?;
        Ok(Self {
            options,
            folder,
            process,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Process id of the hub itself.
    pub fn pid(&self) -> u32 {
        self.process.hub_pid
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("hub.log")).unwrap_or_default()
    }

    /// A REST client for it.
    pub fn api(&self) -> Api {
        Api::new(self.address())
    }

    /// Kills the process as `kill -9` does and starts it again on the same folder and port.
    ///
    /// # Errors
    /// It does not come up again.
    pub async fn crash_and_restart(&mut self) -> anyhow::Result<()> {
        self.crash().await?;
        self.start_again().await
    }

    /// Kills the process as `kill -9` does.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.process.signal("KILL").await?;
        self.process.guard.wait().await?;
        Ok(())
    }

    /// Asks the process to stop as an operator does and waits for its exit code.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        self.process.signal("TERM").await?;
        self.ended().await
    }

    /// Waits for the process to end by itself, or after a signal, and gives its exit code.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        Ok(self.process.guard.wait().await?.code())
    }

    /// Sends a signal by name and does not wait.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.process.signal(name).await
    }

    /// Starts the process again on the same folder and port.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let listen = self.address().to_string();
        self.process = Process::spawn(&self.options, self.folder.path(), &listen).await?;
        Ok(())
    }

    /// Runs another command of the binary on this hub's folder and address.
    ///
    /// # Errors
    /// The command cannot be run.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        let folder = self.data_dir();
        let listen = self.address().to_string();
        let environment = [
            ("HUB_DATA_DIR", folder.to_string_lossy().into_owned()),
            ("HUB_LISTEN", listen),
        ];
        run(self.folder.path(), arguments, &environment).await
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command of the binary in `folder` to its end.
///
/// # Errors
/// The command cannot be run, or it does not end.
pub async fn run(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> anyhow::Result<Finished> {
    let mut command = Command::new(binary()?);
    command
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND_PATIENCE, command.output())
        .await
        .with_context(|| format!("hub {} does not end", arguments.join(" ")))??;
    Ok(Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

impl Process {
    async fn spawn(options: &HubOptions, folder: &Path, listen: &str) -> anyhow::Result<Self> {
        // The shell prints the hub's pid, then the hub's output follows. When this process ends, the
        // pipe closes, `read` returns and the hub is killed; when the hub ends first, so does the shell,
        // with the hub's exit code.
        const GUARD: &str = r#"
            exec 3<&0
            "$@" </dev/null 2>>hub.log &
            hub=$!
            echo "$hub"
            ( read -r _ <&3; kill -9 "$hub" 2>/dev/null ) &
            watcher=$!
            wait "$hub"
            code=$?
            kill "$watcher" 2>/dev/null
            exit "$code"
        "#;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "hub-guard"])
            .arg(binary()?)
            .args(&options.arguments)
            .envs(options.environment.iter().map(|(key, value)| (key, value)))
            .env("HUB_DATA_DIR", folder.join("data"))
            .env("HUB_LISTEN", listen)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run sh")?;
        let lifeline = guard.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(guard.stdout.take().context("no standard output")?);
        let mut first = String::new();
        output.read_line(&mut first).await?;
        let hub_pid = first.trim().parse().context("no process id")?;
        match read_address(&mut output).await? {
            Some(address) => Ok(Self {
                guard,
                _lifeline: lifeline,
                hub_pid,
                address,
                _output: output,
            }),
            None => {
                let mut rest = String::new();
                output.read_to_string(&mut rest).await?;
                let log = std::fs::read_to_string(folder.join("hub.log")).unwrap_or_default();
                bail!("the hub did not come up: {rest}{log}")
            }
        }
    }

    async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.hub_pid.to_string()])
            .status()
            .await?;
        anyhow::ensure!(status.success(), "cannot send {name} to {}", self.hub_pid);
        Ok(())
    }
}

/// Reads the banner up to the line with the address.
async fn read_address(output: &mut BufReader<ChildStdout>) -> anyhow::Result<Option<SocketAddr>> {
    let mut line = String::new();
    while output.read_line(&mut line).await? > 0 {
        if line.trim_start().starts_with(ADDRESS_LINE) {
            let url = line
                .split("http://")
                .nth(1)
                .context("no address in the banner")?;
            let address = url.split('/').next().unwrap_or_default();
            return Ok(Some(address.trim().parse()?));
        }
        line.clear();
    }
    Ok(None)
}

/// The `hub` binary beside this test binary.
fn binary() -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests
        .ancestors()
        .find(|folder| folder.join("hub").is_file())
        .context("there is no hub binary; run `cargo test --workspace` or `cargo build` first")?;
    Ok(folder.join("hub"))
}
