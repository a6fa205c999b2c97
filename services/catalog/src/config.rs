//! The `[catalog]` section of the configuration.

use serde::{Deserialize, Serialize};

/// Settings of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// Currency of prices that name none, ISO 4217.
    pub currency: String,
    /// How long the search agent may take before the catalog searches by itself, in milliseconds.
    pub search_timeout_ms: u64,
    /// How long facets are kept, in seconds.
    pub facets_seconds: u64,
    /// How long totals of filtered lists are kept, in seconds.
    pub totals_seconds: u64,
    /// Totals of filtered lists are counted up to this number.
    pub total_limit: i64,
    /// How often views and purchases are written, in seconds.
    pub interest_seconds: u64,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            search_timeout_ms: 800,
            facets_seconds: 900,
            totals_seconds: 60,
            total_limit: 100_000,
            interest_seconds: 5,
        }
    }
}
