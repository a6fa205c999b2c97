//! The edge of the hub: REST, gRPC-Web and gRPC on one port.
//!
//! A gateway is a listener and a pipeline ([`pipeline`](crate) reads as the list of what happens to a
//! request). Nothing in it names a route, a role or a limit: bindings, policies and the OpenAPI
//! document are all derived from the descriptors of the contract, so a new RPC is served, limited,
//! cached and documented without a line here.
//!
//! ```text
//! connection ── pipeline ─┬─ pages        /, /docs, /openapi.json, /health, /metrics
//!                         ├─ REST         transcoder ─ idempotency, shared cache ─┐
//!                         └─ gRPC(-Web) ── credentials, limits, policy ───────────┴─ mesh
//! ```

mod admission;
mod auth;
mod body;
mod call;
mod config;
pub mod cors;
mod edge;
mod etag;
mod exchange;
mod grpc;
mod idempotency;
mod images;
mod limits;
mod listen;
mod openapi;
mod pages;
mod pipeline;
mod refusal;
mod rest;
mod routes;
mod security_headers;
mod service;
mod shared_cache;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mesh::{Hub, Shutdown, StartError};
use tokio::net::TcpListener;

pub use auth::ACCESS_COOKIE;
pub use config::{AccessLog, AuthConfig, GatewayConfig};
pub use openapi::openapi_document;
pub use service::register;

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// Its configuration or its store.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `gateway.cors_origins`.
    #[error("gateway.cors_origins: {0}")]
    Origin(#[from] cors::InvalidOrigin),
    /// `gateway.trusted_proxies`.
    #[error("gateway.trusted_proxies: {0}")]
    Proxy(#[from] config::InvalidNetwork),
    /// `auth.insecure_cookies`.
    #[error("auth: {0}")]
    Cookies(#[from] config::InsecureCookies),
    /// The `google.api.http` rules of the contract.
    #[error("the contract's HTTP rules: {0}")]
    Contract(#[from] transcoding::BuildError),
    /// The socket.
    #[error("the listener failed: {0}")]
    Listener(#[source] std::io::Error),
}

/// The edge of one hub.
#[derive(Clone)]
pub struct Gateway {
    edge: Arc<edge::Edge>,
}

impl Gateway {
    /// The gateway of `hub`; it serves nothing yet.
    ///
    /// # Errors
    /// A configuration or a contract that cannot be used.
    pub fn new(hub: &Hub) -> Result<Self, GatewayError> {
        Ok(Self {
            edge: Arc::new(edge::Edge::new(hub)?),
        })
    }

    /// Serves `listener` until `shutdown` is cancelled; then accepts nothing more, lets what is in
    /// flight finish for at most 25 s, and returns.
    ///
    /// # Errors
    /// The store cannot be opened, or the listener is gone.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> Result<(), GatewayError> {
        self.edge.keep_books(service::ledger(&self.edge.hub).await?);
        listen::serve(self.edge, listener, shutdown).await
    }
}
