//! One process of a hub, and commands of its binary.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// How a line begins that names an address on which the process is ready.
const READY_LINES: [&str; 2] = ["health", "ready on"];

/// How long a command may take: generous, because it only costs time when a test fails.
const COMMAND_PATIENCE: Duration = Duration::from_secs(120);

/// How a process is started; it can be started again the same way.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Where it works and logs.
    pub(crate) folder: PathBuf,
    /// Name of its log in the folder.
    pub(crate) log: String,
    /// Words in front of the command.
    pub(crate) wrapper: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// A running process. It dies with the value, and with the test process however that ends.
#[derive(Debug)]
pub(crate) struct Process {
    /// A shell that waits for its standard input to close and then kills the hub.
    guard: Child,
    _lifeline: ChildStdin,
    pub(crate) pid: u32,
    /// What the line with the address said: the gateway's, or that of the gRPC listener.
    pub(crate) address: SocketAddr,
    _output: BufReader<ChildStdout>,
}

impl Launch {
    /// What the processes started this way have logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join(&self.log)).unwrap_or_default()
    }
}

impl Process {
    pub(crate) async fn spawn(launch: &Launch) -> anyhow::Result<Self> {
        // The shell prints the hub's pid, then the hub's output follows. When this process ends, the
        // pipe closes, `read` returns and the hub is killed; when the hub ends first, so does the shell,
        // with the hub's exit code.
        const GUARD: &str = r#"
            log=$1
            shift
            exec 3<&0
            "$@" </dev/null 2>>"$log" &
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
            .args(["-c", GUARD, "hub-guard", &launch.log])
            .args(&launch.wrapper)
            .arg(binary()?)
            .args(&launch.arguments)
            .envs(launch.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&launch.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run sh")?;
        let lifeline = guard.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(guard.stdout.take().context("no standard output")?);
        let mut first = String::new();
        output.read_line(&mut first).await?;
        let pid = first.trim().parse().context("no process id")?;
        match read_address(&mut output).await? {
            Some(address) => Ok(Self {
                guard,
                _lifeline: lifeline,
                pid,
                address,
                _output: output,
            }),
            None => {
                let mut rest = String::new();
                output.read_to_string(&mut rest).await?;
                bail!("the hub did not come up: {rest}{}", launch.log())
            }
        }
    }

    pub(crate) async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .status()
            .await?;
        anyhow::ensure!(status.success(), "cannot send {name} to {}", self.pid);
        Ok(())
    }

    /// Waits for its end and gives its exit code.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        Ok(self.guard.wait().await?.code())
    }
}

/// Reads up to the line with the address.
async fn read_address(output: &mut BufReader<ChildStdout>) -> anyhow::Result<Option<SocketAddr>> {
    let mut line = String::new();
    while output.read_line(&mut line).await? > 0 {
        let text = line.trim();
        if READY_LINES.iter().any(|begin| text.starts_with(begin)) {
            let address = text.rsplit("://").next().unwrap_or_default();
            let address = address.split('/').next().unwrap_or_default();
            return Ok(Some(address.trim().parse().context("no address")?));
        }
        line.clear();
    }
    Ok(None)
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

/// The `hub` binary beside this test binary.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests
        .ancestors()
        .find(|folder| folder.join("hub").is_file())
        .context("there is no hub binary; run `cargo test --workspace` or `cargo build` first")?;
    Ok(folder.join("hub"))
}
