//! The port where a process serves the mesh.
//!
//! This is the inside: other processes of the hub call here, with the caller sealed in a token. People
//! and their programs come through the gateway. A call without a valid token is anonymous here too.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::{
    Status,
    body::Body,
    transport::{Server, server::TcpIncoming},
};
use tower::Service;

use super::{GrpcRoutes, wire::read_context};
use crate::hub::Hub;

const KEEPALIVE: Duration = Duration::from_secs(20);
const MAX_HEADERS: u32 = 16 * 1024;

/// The port could not be served.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Serves the services of this process on a bound listener until the hub drains; then finishes what is
/// in flight.
///
/// # Errors
/// The transport fails.
pub async fn serve_grpc(listener: TcpListener, hub: Hub) -> Result<(), ServeError> {
    let draining = hub.shutdown_token().cancelled_owned();
    let inside = Inside {
        routes: hub.grpc_routes().of_this_process(),
        hub,
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_max_header_list_size(MAX_HEADERS)
        .serve_with_incoming_shutdown(inside, incoming, draining)
        .await?;
    Ok(())
}

/// Reads the context from the headers, then serves.
#[derive(Clone)]
struct Inside {
    routes: GrpcRoutes,
    hub: Hub,
}

impl Service<Request<Body>> for Inside {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inside = self.clone();
        Box::pin(async move { Ok(inside.serve(request).await) })
    }
}

impl Inside {
    async fn serve(&self, mut request: Request<Body>) -> Response<Body> {
        let Self { routes, hub } = self;
        let seal = &hub.registry().seal;
        match read_context(request.headers(), seal, hub.clock(), hub.ids()) {
            Ok(context) => {
                request.extensions_mut().insert(context);
                routes.serve(request).await
            }
            Err(failure) => Status::from(failure).into_http(),
        }
    }
}

/// Serves one call as [`serve_grpc`] does, whatever network carried it: that of the simulation has no
/// sockets.
pub async fn serve_call(hub: &Hub, request: Request<Body>) -> Response<Body> {
    let inside = Inside {
        routes: hub.grpc_routes().of_this_process(),
        hub: hub.clone(),
    };
    inside.serve(request).await
}
