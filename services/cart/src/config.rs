//! The `[cart]` section of the configuration.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Settings of the cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CartConfig {
    /// Lines of a cart at most, 1 to 100.
    pub max_items: u32,
    /// Days after its last change that a guest's cart is forgotten.
    pub guest_days: u32,
    /// Days after its last change that a customer's cart is forgotten.
    pub customer_days: u32,
    /// Currency of an empty cart's sums, ISO 4217.
    pub currency: String,
    /// Issuer of access tokens.
    pub issuer: String,
    /// Audience of access tokens.
    pub audience: String,
}

impl Default for CartConfig {
    fn default() -> Self {
        Self {
            max_items: 100,
            guest_days: 14,
            customer_days: 90,
            currency: "USD".to_owned(),
            issuer: "hub".to_owned(),
            audience: "hub".to_owned(),
        }
    }
}

impl CartConfig {
    /// Lines of a cart at most. One request to the catalog names all of them.
    pub fn max_lines(&self) -> usize {
        self.max_items.clamp(1, 100) as usize
    }

    /// Life of a guest's cart after its last change.
    pub fn guest_life(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.guest_days))
    }

    /// Life of a customer's cart after its last change.
    pub fn customer_life(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.customer_days))
    }
}
