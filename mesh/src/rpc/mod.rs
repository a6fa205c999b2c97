//! Calls between services.
//!
//! A client is the generated tonic client over a [`Channel`]. The channel looks the RPC up: a service
//! of this process is called straight through its server layer, without a socket and without
//! serialising anything but the message; a service elsewhere is reached over HTTP/2 and mutual TLS
//! (`peer`, `remote`): balanced, with a circuit breaker and, where the contract says that it is safe, retries
//! and hedges. Either way the callee sees the same [`CallContext`] and the same layers (`server`) have run:
//! role, call graph, load shedding, validation, deadline, panics, metrics.

mod breaker;
mod caller;
mod channel;
mod context;
mod endpoint;
mod everywhere;
mod latency;
mod limit;
mod listener;
mod meters;
mod peer;
mod probe;
mod registry;
mod remote;
mod retry;
mod routes;
mod server;
mod stream;
mod wire;

pub use channel::Channel;
pub use context::{CallContext, Client};
pub use everywhere::TargetChannel;
pub use listener::{serve_call, serve_grpc};
pub use probe::serve_probes;
pub use routes::GrpcRoutes;
pub use wire::{MAX_MESSAGE, strip_internal_headers};

pub use peer::InvalidPeer;
pub use registry::RegisterError;

pub(crate) use caller::acting_as;
pub(crate) use endpoint::RpcService;
pub(crate) use everywhere::{OfTarget, contract_name, name_in};
pub(crate) use meters::code_name;
pub(crate) use registry::{Registry, RegistryParts};

#[cfg(test)]
mod tests;
