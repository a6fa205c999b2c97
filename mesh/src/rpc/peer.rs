//! A target in other processes, reached over HTTP/2.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tonic::{
    body::Body,
    transport::{Channel as Connection, Endpoint},
};
use tower::{Service, ServiceExt};

use crate::{service::BoxError, simulation::Surroundings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The processes that serve one target, balanced by power of two choices.
pub(super) struct Peer {
    route: Route,
}

enum Route {
    Network(Connection),
    Simulated {
        target: String,
        surroundings: Arc<dyn Surroundings>,
    },
}

/// An entry of `[peers]` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeer {
    /// The key names no target.
    #[error("[peers] {0}: there is no such target")]
    UnknownTarget(String),
    /// The value is not a list of URLs.
    #[error("[peers] {target}: {address:?} is not a URL such as http://127.0.0.1:7100")]
    Address {
        /// The target.
        target: String,
        /// The value.
        address: String,
    },
}

impl Peer {
    /// Connects lazily to `addresses`, URLs separated by commas. Needs a Tokio runtime.
    pub(super) fn new(target: &str, addresses: &str) -> Result<Self, InvalidPeer> {
        let invalid = |address: &str| InvalidPeer::Address {
            target: target.to_owned(),
            address: address.to_owned(),
        };
        let mut endpoints = Vec::new();
        for address in addresses.split(',').map(str::trim) {
            let url: http::Uri = address.parse().map_err(|_| invalid(address))?;
            if url.scheme_str() != Some("http") || url.authority().is_none() {
                return Err(invalid(address));
            }
            endpoints.push(
                Endpoint::from(url)
                    .connect_timeout(CONNECT_TIMEOUT)
                    .tcp_nodelay(true)
                    .http2_keep_alive_interval(KEEPALIVE)
                    .keep_alive_while_idle(true),
            );
        }
        let connection = match <[Endpoint; 1]>::try_from(endpoints) {
            Ok([only]) => only.connect_lazy(),
            Err(several) => Connection::balance_list(several.into_iter()),
        };
        Ok(Self {
            route: Route::Network(connection),
        })
    }

    /// Reaches a target through the network of a simulation.
    pub(super) fn simulated(target: &str, surroundings: Arc<dyn Surroundings>) -> Self {
        Self {
            route: Route::Simulated {
                target: target.to_owned(),
                surroundings,
            },
        }
    }

    /// Sends one request to one of the processes.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        match &self.route {
            Route::Network(connection) => {
                let mut connection = connection.clone();
                Ok(connection.ready().await?.call(request).await?)
            }
            Route::Simulated {
                target,
                surroundings,
            } => surroundings.call(target, request).await,
        }
    }
}
