//! How stores are opened; the `[store]` section of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far SQLite waits for the disk before a commit is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// An answered commit survives a power cut.
    #[default]
    Full,
    /// An answered commit survives the process, but the last ones may be lost in a power cut.
    Normal,
    /// The operating system decides; for tests and throw-away data.
    Off,
}

/// Settings that all stores of a process share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Folder of the database files; created when it does not exist.
    pub directory: PathBuf,
    /// Durability of a commit.
    pub synchronous: Synchronous,
    /// Reader connections per store, at least 1; all but the first are opened when needed.
    pub readers: usize,
    /// Page cache of the writer connection in KiB; each reader gets a quarter.
    pub cache_kib: u32,
    /// How much of a file is read through memory mapping, in MiB; 0 turns it off.
    pub mmap_mib: u32,
    /// Write closures that share a commit at most.
    pub group_limit: usize,
    /// Write closures that wait at most; more are refused as unavailable.
    pub queue_limit: usize,
    /// How long to wait for a lock that another process holds, in milliseconds.
    pub busy_timeout_ms: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("data"),
            synchronous: Synchronous::Full,
            readers: 4,
            cache_kib: 8 * 1024,
            mmap_mib: 256,
            group_limit: 256,
            queue_limit: 16 * 1024,
            busy_timeout_ms: 5_000,
        }
    }
}

impl StoreConfig {
    /// The defaults with the database files in `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            ..Self::default()
        }
    }
}
