//! The port where a process serves the mesh.
//!
//! This is the inside: other processes of the hub call here, with the caller sealed in a token, over mutual
//! TLS unless the operator has said that plaintext will do. People and their programs come through the
//! gateway.
//!
//! When the hub drains, nothing new is accepted, and each connection is told to go away: streams that have
//! begun are finished, and what the client sends after that it sends to another process.

use std::{convert::Infallible, fmt, io, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Status, body::Body};

use super::{GrpcRoutes, wire::read_context};
use crate::{
    hub::Hub,
    tls::{PeerIdentity, Tls},
};

/// How often a silent connection is asked whether it is alive, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after accepting has failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const MAX_HEADERS: u32 = 16 * 1024;
/// Streams of one connection. The limit of each service is what counts; this only bounds memory.
const MAX_STREAMS: u32 = 2048;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// Serves the services of this process on a bound listener until the hub drains; then finishes what is
/// in flight.
pub async fn serve_grpc(listener: TcpListener, hub: Hub) {
    let inside = Arc::new(Inside {
        routes: hub.grpc_routes().of_this_process(),
        tls: hub.tls().cloned(),
        draining: hub.shutdown_token(),
        hub,
    });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = inside.draining.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let inside = Arc::clone(&inside);
                connections.spawn(async move { inside.connection(stream).await });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                inside.hub.clock().sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// What all connections share.
struct Inside {
    routes: GrpcRoutes,
    hub: Hub,
    tls: Option<Tls>,
    draining: CancellationToken,
}

impl Inside {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Without it small frames wait; a connection that refuses the option works all the same.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.talk(stream, None).await,
            Some(tls) => {
                let acceptor = TlsAcceptor::from(tls.server());
                let handshake = self.hub.clock().timeout(HANDSHAKE, acceptor.accept(stream));
                let stream = match handshake.await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return refuse(&error),
                    Err(elapsed) => return refuse(&elapsed),
                };
                let certificate = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .and_then(<[_]>::first);
                // The handshake has verified it; a session without one cannot come so far.
                let Some(identity) = certificate.and_then(|certificate| tls.identity(certificate))
                else {
                    return refuse(&io::Error::other("no certificate"));
                };
                self.talk(stream, Some(identity)).await;
            }
        }
    }

    async fn talk<S>(&self, stream: S, identity: Option<PeerIdentity>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = Guests {
            routes: self.routes.clone(),
            hub: self.hub.clone(),
            identity,
        };
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            () = self.draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection of another process ended");
        }
    }
}

fn refuse(error: &dyn fmt::Display) {
    tracing::warn!(%error, "a process was not let in");
    metrics::counter!("hub_mesh_refused_connections_total").increment(1);
}

/// Reads the context from the headers, then serves.
#[derive(Clone)]
struct Guests {
    routes: GrpcRoutes,
    hub: Hub,
    identity: Option<PeerIdentity>,
}

impl hyper::service::Service<Request<Incoming>> for Guests {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self {
            routes,
            hub,
            identity,
        } = self.clone();
        Box::pin(async move {
            let mut request = request.map(Body::new);
            if let Some(identity) = identity {
                request.extensions_mut().insert(identity);
            }
            Ok(served(&hub, &routes, request).await)
        })
    }
}

/// Serves one call as [`serve_grpc`] does, whatever network carried it: that of the simulation has no
/// sockets.
pub async fn serve_call(hub: &Hub, request: Request<Body>) -> Response<Body> {
    served(hub, &hub.grpc_routes().of_this_process(), request).await
}

async fn served(hub: &Hub, routes: &GrpcRoutes, mut request: Request<Body>) -> Response<Body> {
    let seal = &hub.registry().seal;
    match read_context(request.headers(), seal, hub.clock(), hub.ids()) {
        Ok(context) => {
            request.extensions_mut().insert(context);
            routes.serve(request).await
        }
        Err(failure) => Status::from(failure).into_http(),
    }
}
