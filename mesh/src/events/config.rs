//! How events are relayed and kept; the `[events]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Events of one store that are handed over but not yet taken, at most. Bounds the memory of the
    /// relay: when it is reached the relay waits for a consumer.
    pub window: usize,
    /// Outbox rows read at once.
    pub batch: usize,
    /// A moved watermark is written after this time, in milliseconds. Events taken within it are
    /// delivered again after a crash, without a second effect.
    pub watermark_interval_ms: u32,
    /// Outbox rows are kept this long after they were taken, in seconds.
    pub outbox_retention_s: u32,
    /// Inbox rows are kept this long, in seconds. Must be longer than any event can stay on its way.
    pub inbox_retention_s: u32,
    /// Discarded dead letters are kept this long, in seconds.
    pub discarded_retention_s: u32,
    /// How often old rows are removed, in seconds.
    pub purge_interval_s: u32,
}

impl Default for EventsConfig {
    fn default() -> Self {
        const DAY: u32 = 24 * 60 * 60;
        Self {
            window: 4096,
            batch: 256,
            watermark_interval_ms: 200,
            outbox_retention_s: DAY,
            inbox_retention_s: DAY,
            discarded_retention_s: 30 * DAY,
            purge_interval_s: 60,
        }
    }
}

impl EventsConfig {
    pub(super) fn watermark_interval(&self) -> Duration {
        Duration::from_millis(self.watermark_interval_ms.into())
    }

    pub(super) fn purge_interval(&self) -> Duration {
        // Zero would turn the background task into a busy loop.
        Duration::from_secs(u64::from(self.purge_interval_s.max(1)))
    }
}
