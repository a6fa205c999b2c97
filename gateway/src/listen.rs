//! The listener: connections in, requests to the pipeline, and an orderly end.

use std::{
    convert::Infallible,
    io,
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
    server::{conn::auto, graceful::GracefulShutdown},
};
use mesh::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{GatewayError, edge::Edge, pipeline};

/// How long requests in flight may take once draining has begun.
const DRAIN: Duration = Duration::from_secs(25);
/// Wait after an accept failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// hyper answers a head beyond this by itself; smaller ones are refused in the house format.
const HEAD_BUFFER: usize = 64 * 1024;
/// Headers of one request.
const MOST_HEADERS: usize = 128;

/// Serves `listener` until `shutdown`, then lets requests in flight finish.
///
/// # Errors
/// The listener is gone.
pub async fn serve(
    edge: Arc<Edge>,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), GatewayError> {
    let server = server(&edge);
    // hyper's timeouts begin when it knows the protocol; a client that says nothing, or too little to
    // tell, is cut off by this one.
    let patience = Duration::from_secs(edge.config.header_timeout_seconds.max(1) * 2);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(edge.config.max_connections));
    loop {
        // A place first: connections that are too many wait in the kernel's queue.
        let place = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if is_fatal(&error) {
                    return Err(GatewayError::Listener(error));
                }
                tracing::warn!(%error, "a connection was not accepted");
                edge.hub.clock().sleep(BREATH).await;
                continue;
            }
        };
        prepare(&stream);
        let seen = Arc::new(AtomicBool::new(false));
        let service = {
            let (edge, seen) = (Arc::clone(&edge), Arc::clone(&seen));
            service_fn(move |request: Request<Incoming>| {
                seen.store(true, Ordering::Relaxed);
                let edge = Arc::clone(&edge);
                async move { Ok::<_, Infallible>(pipeline::serve(&edge, peer, request).await) }
            })
        };
        let connection = server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        let first = edge.hub.clock().clone();
        tokio::spawn(async move {
            let silence = async {
                first.sleep(patience).await;
                if seen.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                // Broken connections are the client's business.
                outcome = connection => if let Err(error) = outcome {
                    tracing::debug!(%error, %peer, "a connection broke off");
                },
                () = silence => tracing::debug!(%peer, "a connection brought no request"),
            }
            drop(place);
        });
    }
    drop(listener);
    let left = graceful.count();
    tracing::info!(connections = left, "the gateway takes no more work");
    let drained = edge.hub.clock().timeout(DRAIN, graceful.shutdown()).await;
    if drained.is_err() {
        tracing::warn!("requests in flight were cut off");
    }
    Ok(())
}

fn server(edge: &Edge) -> auto::Builder<TokioExecutor> {
    let config = &edge.config;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(config.header_timeout_seconds.max(1)))
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

fn prepare(stream: &TcpStream) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
}

/// Whether accepting will never work again. Running out of file descriptors passes.
fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe
    )
}
