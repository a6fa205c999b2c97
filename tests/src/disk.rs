//! A disk that is so small that a test can fill it: a file system in memory which only one hub sees.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// What is written at once; a page, so that not even one is left.
const BLOCK: [u8; 4096] = [0; 4096];

/// Why this machine gives a process no file system of its own; `None` when it does. It takes user namespaces,
/// which Debian gives to everybody and some containers to nobody.
pub async fn small_disks_refused() -> Option<String> {
    let here = tempfile::tempdir().ok()?;
    let tried = Command::new("unshare")
        .args(["--map-root-user", "--mount"])
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(here.path())
        .output()
        .await;
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare cannot be run: {error}")),
    }
}

/// The words in front of a command that runs it with a disk of `mib` MiB at `folder`. The disk goes away with
/// the process.
pub(crate) fn with_small_disk(folder: &Path, mib: u32) -> Vec<String> {
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
    let folder = folder.display().to_string();
    ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        .map(str::to_owned)
        .into_iter()
        .chain([mount, folder])
        .collect()
}

/// A file that takes all the room there was. It goes away with the value.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Filler {
    /// Fills the file system that process `pid` sees at `folder`.
    ///
    /// # Errors
    /// The file cannot be written, for another reason than that it is full.
    pub(crate) fn fill(pid: u32, folder: &Path) -> anyhow::Result<Self> {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let seen = folder.strip_prefix("/").context("no absolute folder")?;
        let path = root.join(seen).join("filler");
        let mut file = File::create_new(&path)?;
        let filler = Self(path);
        let mut blocks = 0_u64;
        loop {
            match file.write_all(&BLOCK) {
                Ok(()) => blocks += 1,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(blocks > 0, "the disk was full already");
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Nobody is left to see it when the process has ended.
        let _ = std::fs::remove_file(&self.0);
    }
}
