//! The listener: connections in, requests to the pipeline, and an orderly end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulConnection, GracefulShutdown},
    },
};
use mesh::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{GatewayError, body::BoxError, edge::Edge, pipeline};

/// How long requests in flight may take once draining has begun.
const DRAIN: Duration = Duration::from_secs(25);
/// Wait after an accept failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// hyper answers a head beyond this by itself; smaller ones are refused in the house format.
const HEAD_BUFFER: usize = 64 * 1024;
/// Headers of one request.
const MOST_HEADERS: usize = 128;

/// Serves `listener` until `shutdown`, then lets requests in flight finish. Until they have, new
/// connections are still taken, so that whoever asks for health hears that the hub is not ready; the
/// pipeline refuses everything else.
///
/// # Errors
/// The listener is gone.
pub async fn serve(
    edge: Arc<Edge>,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), GatewayError> {
    let front = Front {
        server: server(&edge),
        places: Arc::new(Semaphore::new(edge.config.max_connections)),
        patience: Duration::from_secs(edge.config.header_timeout_seconds.max(1)),
        edge,
    };
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            guest = front.accept(&listener) => if let Some((stream, guest)) = guest? {
                let connection = graceful.watch(front.connect(stream, &guest));
                front.attend(guest, connection);
            },
        }
    }
    tracing::info!(
        connections = graceful.count(),
        "the gateway takes no more work"
    );
    let clock = front.edge.hub.clock().clone();
    let finish = clock.timeout(DRAIN, graceful.shutdown());
    tokio::pin!(finish);
    loop {
        tokio::select! {
            biased;
            drained = &mut finish => {
                if drained.is_err() {
                    tracing::warn!("requests in flight were cut off");
                }
                return Ok(());
            }
            guest = front.accept(&listener) => if let Some((stream, guest)) = guest? {
                let connection = front.connect(stream, &guest);
                front.attend(guest, connection);
            },
        }
    }
}

/// What connections are served with.
struct Front {
    edge: Arc<Edge>,
    server: auto::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    /// hyper's one timeout for heads also ends idle connections, and begins only when the protocol is
    /// known; so a first request that does not come in this time is cut off here.
    patience: Duration,
}

/// A client that has connected.
struct Guest {
    peer: SocketAddr,
    /// Whether it has made a request.
    seen: Arc<AtomicBool>,
    /// Its place among the connections.
    place: OwnedSemaphorePermit,
}

impl Front {
    /// Waits for a place and then for a client: connections that are too many wait in the kernel's
    /// queue. `None` when this one got away.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> Result<Option<(TcpStream, Guest)>, GatewayError> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return Ok(None);
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and complete: waiting to fill a packet only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                let guest = Guest {
                    peer,
                    seen: Arc::default(),
                    place,
                };
                Ok(Some((stream, guest)))
            }
            Err(error) if is_fatal(&error) => Err(GatewayError::Listener(error)),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                self.edge.hub.clock().sleep(BREATH).await;
                Ok(None)
            }
        }
    }

    fn connect(
        &self,
        stream: TcpStream,
        guest: &Guest,
    ) -> impl GracefulConnection<Output = Result<(), BoxError>> + Send + 'static {
        let (edge, seen, peer) = (Arc::clone(&self.edge), Arc::clone(&guest.seen), guest.peer);
        let service = service_fn(move |request: Request<Incoming>| {
            seen.store(true, Ordering::Relaxed);
            let edge = Arc::clone(&edge);
            async move { Ok::<_, Infallible>(pipeline::serve(&edge, peer, request).await) }
        });
        self.server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned()
    }

    /// Serves a connection to its end.
    fn attend(
        &self,
        guest: Guest,
        connection: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        let (clock, patience) = (self.edge.hub.clock().clone(), self.patience);
        tokio::spawn(async move {
            let silence = async {
                clock.sleep(patience).await;
                if guest.seen.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                // Broken connections are the client's business.
                outcome = connection => if let Err(error) = outcome {
                    tracing::debug!(%error, peer = %guest.peer, "a connection broke off");
                },
                () = silence => tracing::debug!(peer = %guest.peer, "a connection brought no request"),
            }
            drop(guest.place);
        });
    }
}

fn server(edge: &Edge) -> auto::Builder<TokioExecutor> {
    let config = &edge.config;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(config.idle_timeout_seconds.max(1)))
        .max_buf_size(HEAD_BUFFER.max(config.header_limit_bytes * 4))
        .max_headers(MOST_HEADERS)
        .keep_alive(true)
        .half_close(false);
    let header_list = u32::try_from(config.header_limit_bytes * 4).unwrap_or(u32::MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams)
        .max_header_list_size(header_list)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    server
}

/// Whether accepting will never work again. Running out of file descriptors passes.
fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe
    )
}
