//! The `[orders]` section of the configuration: how long each step of an order is waited for.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Settings of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// How long the stock may take to be held, in seconds.
    pub reservation_seconds: u32,
    /// How long a charge may take, in seconds.
    pub payment_seconds: u32,
    /// How long a shopper may take who pays through the browser, in seconds.
    pub intent_seconds: u32,
    /// How long a shipment may take to be planned, in seconds.
    pub shipment_seconds: u32,
    /// How long stock and money may take to be given back before they are asked for again, in seconds.
    pub compensation_seconds: u32,
    /// How long after its delivery an order is closed, in days.
    pub completion_days: u32,
    /// How often deadlines are looked at, in milliseconds.
    pub deadline_interval_ms: u32,
    /// What is added to deadlines that passed while the service was down, in seconds.
    pub grace_seconds: u32,
    /// How long the stock and the reservation agent are waited for before the checkout goes on without
    /// them, in milliseconds.
    pub lookup_ms: u32,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            reservation_seconds: 30,
            payment_seconds: 60,
            intent_seconds: 15 * 60,
            shipment_seconds: 5 * 60,
            compensation_seconds: 60,
            completion_days: 14,
            deadline_interval_ms: 1000,
            grace_seconds: 30,
            lookup_ms: 2000,
        }
    }
}

impl OrdersConfig {
    pub(crate) fn reservation(&self) -> TimeDelta {
        TimeDelta::seconds(self.reservation_seconds.into())
    }

    pub(crate) fn payment(&self) -> TimeDelta {
        TimeDelta::seconds(self.payment_seconds.into())
    }

    pub(crate) fn intent(&self) -> TimeDelta {
        TimeDelta::seconds(self.intent_seconds.into())
    }

    pub(crate) fn shipment(&self) -> TimeDelta {
        TimeDelta::seconds(self.shipment_seconds.into())
    }

    pub(crate) fn compensation(&self) -> TimeDelta {
        TimeDelta::seconds(self.compensation_seconds.max(1).into())
    }

    pub(crate) fn completion(&self) -> TimeDelta {
        TimeDelta::days(self.completion_days.into())
    }

    pub(crate) fn grace(&self) -> TimeDelta {
        TimeDelta::seconds(self.grace_seconds.into())
    }

    pub(crate) fn deadline_interval(&self) -> Duration {
        Duration::from_millis(self.deadline_interval_ms.max(1).into())
    }

    pub(crate) fn lookup(&self) -> Duration {
        Duration::from_millis(self.lookup_ms.max(1).into())
    }
}
