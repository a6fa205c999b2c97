//! The `[redis]` section. Where Redis is belongs to `[hub]` (`REDIS_URL`).

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// How Redis is talked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// How long a command may take, in milliseconds. A request waits no longer than this for Redis.
    pub timeout_ms: u64,
    /// File with the certificates (PEM) of the authorities that sign Redis' certificate, for
    /// `rediss://` with a private authority. Empty: the public ones.
    pub ca: PathBuf,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            timeout_ms: 75,
            ca: PathBuf::new(),
        }
    }
}

impl RedisSettings {
    /// How long a command may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(1))
    }
}
