//! A Redis of a test's own: one that can be stopped while others go on using theirs.

use std::{net::TcpListener, path::Path, process::Stdio};

use anyhow::Context;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::wait::eventually;

/// A Redis server; it ends with its owner.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Redis {
    /// Starts one on a free port, empty.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut redis = Self {
            port,
            folder: tempfile::tempdir()?,
            process: None,
        };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Its address as `REDIS_URL` wants it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it: its connections break and everything in it is lost.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts it on the same port, empty.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = Some(launch(self.port, self.folder.path())?);
        let port = self.port;
        eventually("Redis to listen", || async move {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Ok(())
    }
}

fn launch(port: u16, folder: &Path) -> anyhow::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run redis-server")
}
