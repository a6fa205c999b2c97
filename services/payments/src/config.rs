//! The `[payments]` section.

use std::time::Duration;

use mesh::Secret;
use serde::{Deserialize, Serialize};

/// Who moves the money and how we speak to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentsConfig {
    /// Who charges cards.
    pub provider: ProviderKind,
    /// Stripe's secret key.
    pub stripe_secret_key: Secret<String>,
    /// Where Stripe's API is.
    pub stripe_base_url: String,
    /// How long an answer of the provider is waited for, in seconds.
    pub provider_timeout_seconds: u64,
    /// Secret that webhooks are signed with. Empty: webhooks are refused.
    pub webhook_secret: Secret<String>,
    /// How far the time in a webhook's signature may be off, in seconds.
    pub webhook_tolerance_seconds: i64,
}

/// The providers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// The test processor in the embedded profile; none elsewhere, so that no shop gives goods away for
    /// test cards because a setting was forgotten.
    #[default]
    Auto,
    /// The in-process test processor.
    Test,
    /// Stripe.
    Stripe,
}

impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Auto,
            stripe_secret_key: Secret::default(),
            stripe_base_url: "https://api.stripe.com".to_owned(),
            provider_timeout_seconds: 10,
            webhook_secret: Secret::default(),
            webhook_tolerance_seconds: 300,
        }
    }
}

impl PaymentsConfig {
    /// How long an answer of the provider is waited for.
    pub fn provider_timeout(&self) -> Duration {
        Duration::from_secs(self.provider_timeout_seconds.max(1))
    }
}
