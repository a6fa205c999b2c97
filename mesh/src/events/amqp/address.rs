//! Where the broker is.

use std::path::PathBuf;

use lapin::{tcp::OwnedTLSConfig, uri::AMQPUri};

use super::super::BusError;
use crate::config::Secret;

/// The broker of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerAddress {
    /// `amqp://user:password@host:5672/vhost`, or `amqps:`. A slash in the name of the virtual host is
    /// written `%2f`; without a path it is `/`.
    pub url: Secret<String>,
    /// Prefix of everything that is declared.
    pub namespace: String,
    /// PEM file with the authority that signed the broker's certificate, when it is not a public one.
    pub ca: Option<PathBuf>,
}

/// An address that can be connected to.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) uri: AMQPUri,
    pub(super) tls: OwnedTLSConfig,
}

impl BrokerAddress {
    /// Checks the address without connecting.
    pub(in crate::events) fn check(&self) -> Result<(), BusError> {
        self.resolve(0).map(drop)
    }

    pub(super) fn resolve(&self, heartbeat_s: u16) -> Result<Endpoint, BusError> {
        // The URL carries a password and is not repeated in the error.
        let mut uri: AMQPUri = self
            .url
            .expose()
            .parse()
            .map_err(|error: String| BusError::BrokerAddress(error))?;
        uri.query.heartbeat.get_or_insert(heartbeat_s);
        let cert_chain = match &self.ca {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                BusError::BrokerAddress(format!("{}: {error}", path.display()))
            })?),
            None => None,
        };
        Ok(Endpoint {
            uri,
            tls: OwnedTLSConfig {
                identity: None,
                cert_chain,
            },
        })
    }
}

impl Endpoint {
    /// Host and port, for people.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.place()).finish()
    }
}
