//! The `[inventory]` section of the configuration.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Settings of inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryConfig {
    /// How long units are held for an order that is not paid, in seconds.
    pub hold_seconds: u32,
    /// How often holds that are over are looked for, in milliseconds.
    pub sweep_interval_ms: u32,
    /// Ids of the locations that stock lies in, the first ones preferred for new variants.
    pub locations: Vec<String>,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self {
            hold_seconds: 15 * 60,
            sweep_interval_ms: 1000,
            locations: ["dc-east", "dc-central", "dc-west"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl InventoryConfig {
    pub(crate) fn hold_for(&self) -> TimeDelta {
        TimeDelta::seconds(self.hold_seconds.into())
    }

    pub(crate) fn sweep_interval(&self) -> Duration {
        Duration::from_millis(self.sweep_interval_ms.max(1).into())
    }
}
