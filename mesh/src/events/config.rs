//! How events are relayed and kept; the `[events]` section of the configuration.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::parking::Schedule;

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
    /// How often an outbox on PostgreSQL is looked at although nobody has said that there is something new, in
    /// milliseconds.
    pub poll_interval_ms: u32,
    /// Outbox rows are kept this long after they were taken, in seconds.
    pub outbox_retention_s: u32,
    /// Inbox rows are kept this long, in seconds. Must be longer than any event can stay on its way.
    pub inbox_retention_s: u32,
    /// Discarded dead letters are kept this long, in seconds.
    pub discarded_retention_s: u32,
    /// How often old rows are removed, in seconds.
    pub purge_interval_s: u32,
    /// How long after its first, second, … failed attempt an event is tried again, in milliseconds, give or take a
    /// tenth. After the last one it becomes a dead letter.
    pub retry_delays_ms: Vec<u32>,
    /// Messages that the broker sends to a consumer ahead of its acknowledgements, at most.
    pub prefetch: u16,
    /// Events that are published and wait for the broker's confirmation, at most; events with the same key
    /// wait for each other.
    pub confirm_batch: usize,
    /// What kind of queue consumer groups have at the broker. Queues that exist keep their kind.
    pub queue_type: QueueType,
    /// How often a quorum queue delivers a message that nobody acknowledges before it becomes a dead letter:
    /// the protection against an event that ends the process that handles it. A restart of a consumer counts
    /// as one delivery of everything that it had not finished.
    pub delivery_limit: u32,
    /// Seconds between signs of life on a connection to the broker; the URL's own parameter `heartbeat` has
    /// precedence.
    pub heartbeat_s: u16,
    /// PEM file with the authority that signed the broker's certificate. Empty: a public one.
    pub broker_ca: PathBuf,
}

/// What kind of queue the broker keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated, with a delivery limit and at-least-once dead letters.
    #[default]
    Quorum,
    /// On one node; for measurements on one machine.
    Classic,
}

impl QueueType {
    /// The name that the broker knows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

impl Default for EventsConfig {
    fn default() -> Self {
        const DAY: u32 = 24 * 60 * 60;
        Self {
            window: 4096,
            batch: 256,
            watermark_interval_ms: 200,
            poll_interval_ms: 1_000,
            outbox_retention_s: DAY,
            inbox_retention_s: DAY,
            discarded_retention_s: 30 * DAY,
            purge_interval_s: 60,
            retry_delays_ms: vec![1_000, 5_000, 30_000, 120_000, 600_000],
            prefetch: 256,
            confirm_batch: 256,
            queue_type: QueueType::Quorum,
            delivery_limit: 20,
            heartbeat_s: 10,
            broker_ca: PathBuf::new(),
        }
    }
}

impl EventsConfig {
    pub(super) fn watermark_interval(&self) -> Duration {
        Duration::from_millis(self.watermark_interval_ms.into())
    }

    pub(super) fn poll_interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.poll_interval_ms.max(10)))
    }

    pub(super) fn retry_schedule(&self) -> Schedule {
        Schedule::new(&self.retry_delays_ms)
    }

    pub(super) fn purge_interval(&self) -> Duration {
        // Zero would turn the background task into a busy loop.
        Duration::from_secs(u64::from(self.purge_interval_s.max(1)))
    }
}
