//! What an operator can set about the edge: the sections `[gateway]` and `[auth]`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};

use mesh::Profile;
use serde::{Deserialize, Serialize};

/// The `[gateway]` section.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Origins of web pages that may call with credentials, exactly as browsers send them
    /// (`https://shop.example`). Absent: `http://localhost:3000` in the embedded profile, none
    /// otherwise.
    pub cors_origins: Option<Vec<String>>,
    /// Networks (`10.0.0.0/8`, `::1`) of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are
    /// believed.
    pub trusted_proxies: Vec<String>,
    /// Largest request body in bytes.
    pub body_limit_bytes: usize,
    /// Largest request head in bytes.
    pub header_limit_bytes: usize,
    /// Time that a client may take from connecting to the end of its first request head, in seconds.
    pub header_timeout_seconds: u64,
    /// Time that a connection may be idle between requests, the next head included, in seconds. Longer
    /// than proxies keep theirs, so that none sends a request into a closing connection.
    pub idle_timeout_seconds: u64,
    /// Time that a client may take to send a request body, in seconds.
    pub body_timeout_seconds: u64,
    /// Connections that are open at the same time; more wait to be accepted.
    pub max_connections: usize,
    /// Streams that one HTTP/2 connection may have open at the same time.
    pub max_streams: u32,
    /// Longest life of a cached answer inside the gateway, in seconds. It caps what the contract
    /// allows, because stock levels are part of some answers and change without an event for each.
    /// 0 switches the cache off.
    pub cache_seconds: u64,
    /// Memory for cached answers, in MiB.
    pub cache_mebibytes: u64,
    /// How long an answer can be replayed by its `Idempotency-Key`, in hours.
    pub idempotency_hours: i64,
    /// How often an idle stream says that it is alive, in seconds.
    pub heartbeat_seconds: u64,
    /// Whether each request is logged.
    pub access_log: AccessLog,
}

/// Whether each request is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// One line per request, at level INFO under the target `gateway::access`.
    On,
    /// Only failures of the hub itself (5xx).
    Errors,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            cors_origins: None,
            trusted_proxies: Vec::new(),
            body_limit_bytes: 1024 * 1024,
            header_limit_bytes: 16 * 1024,
            header_timeout_seconds: 15,
            idle_timeout_seconds: 75,
            body_timeout_seconds: 20,
            max_connections: 8192,
            max_streams: 256,
            cache_seconds: 10,
            cache_mebibytes: 16,
            idempotency_hours: 24,
            heartbeat_seconds: 15,
            access_log: AccessLog::On,
        }
    }
}

impl GatewayConfig {
    /// The origins that CORS admits in `profile`.
    pub fn origins(&self, profile: Profile) -> Vec<String> {
        match (&self.cors_origins, profile) {
            (Some(origins), _) => origins.clone(),
            (None, Profile::Embedded) => vec!["http://localhost:3000".to_owned()],
            (None, Profile::Production) => Vec::new(),
        }
    }

    /// The networks of proxies that are believed.
    ///
    /// # Errors
    /// The first text that is not a network.
    pub fn proxies(&self) -> Result<Vec<Network>, InvalidNetwork> {
        self.trusted_proxies
            .iter()
            .map(|text| text.parse())
            .collect()
    }

    /// Time that a client may take to send a body.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds)
    }
}

/// The `[auth]` section: how credentials are checked at the edge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Who must have issued access tokens.
    pub issuer: String,
    /// For whom access tokens must have been issued.
    pub audience: String,
    /// Clock difference with the issuer that is forgiven, in seconds.
    pub leeway_seconds: i64,
    /// Leaves `Secure` off cookies, for clients that reach the hub by plain HTTP under a name other
    /// than localhost. Never in production.
    pub insecure_cookies: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: "hub".to_owned(),
            audience: "hub".to_owned(),
            leeway_seconds: 5,
            insecure_cookies: false,
        }
    }
}

impl AuthConfig {
    /// Whether these settings may be used in `profile`.
    ///
    /// # Errors
    /// [`InsecureCookies`] where real customers are.
    pub fn check(&self, profile: Profile) -> Result<(), InsecureCookies> {
        match (self.insecure_cookies, profile) {
            (true, Profile::Production) => Err(InsecureCookies),
            _ => Ok(()),
        }
    }
}

/// `auth.insecure_cookies` is set where it must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("insecure_cookies is for development and not allowed in the production profile")]
pub struct InsecureCookies;

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is not an address with an optional prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl Network {
    /// Whether `address` lies in this network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (Ipv4Addr::to_bits(network) ^ Ipv4Addr::to_bits(address)) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                (Ipv6Addr::to_bits(network) ^ Ipv6Addr::to_bits(address)) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(invalid());
        }
        Ok(Self { address, bits })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_knows_its_addresses() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.1.2".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()));
        assert!(!one.contains("::2".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("ten".parse::<Network>().is_err());
    }

    #[test]
    fn only_the_embedded_profile_has_a_default_origin() {
        let config = GatewayConfig::default();
        assert_eq!(config.origins(Profile::Embedded).len(), 1);
        assert!(config.origins(Profile::Production).is_empty());
    }
}
