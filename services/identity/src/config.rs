//! The `[identity]` section.

use mesh::Secret;
use serde::{Deserialize, Serialize};

/// How tokens and mails are made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// Life of an access token, in minutes.
    pub access_minutes: u32,
    /// Life of a refresh token, in days.
    pub refresh_days: u32,
    /// How long a signing key signs before the next takes over, in days.
    pub key_days: u32,
    /// Base URL of the links in mails.
    pub public_url: String,
    /// Sender of mails.
    pub mail_from: String,
    /// SMTP server as `smtps://host:port`, `smtp://host:port` (STARTTLS required) or
    /// `smtp+plain://host:port`, with `user:password@` when it asks for them. Empty: mails stay in
    /// the developers' mailbox.
    pub smtp_url: Secret<String>,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            issuer: "hub".to_owned(),
            audience: "hub".to_owned(),
            access_minutes: 15,
            refresh_days: 7,
            key_days: 30,
            public_url: "http://127.0.0.1:8080".to_owned(),
            mail_from: "Holiday Peak Hub <no-reply@hub.test>".to_owned(),
            smtp_url: Secret::default(),
        }
    }
}

impl IdentityConfig {
    /// Life of an access token.
    pub fn access_life(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::minutes(self.access_minutes.into())
    }

    /// Life of a refresh token.
    pub fn refresh_life(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(self.refresh_days.into())
    }

    /// How long a key signs.
    pub fn key_life(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(self.key_days.into())
    }
}
