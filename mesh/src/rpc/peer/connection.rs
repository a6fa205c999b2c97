//! One HTTP/2 connection to another process.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::address::{Address, Security};
use crate::{
    clock::Clock,
    tls::{Tls, TlsError},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle or silent connection is asked whether it is alive, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(5);
/// Bytes in flight to us, per stream and in all.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// What names the server in the handshake; nobody looks at it.
const UNNAMED: &str = "hub.invalid";

/// Where names become addresses. A seam, so that tests can move a name.
pub(in crate::rpc) trait Resolve: Send + Sync {
    /// All addresses of `host`.
    fn lookup<'a>(&'a self, host: &'a str, port: u16)
    -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Asks the operating system.
pub(in crate::rpc) struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the name cannot be resolved: {0}")]
    Lookup(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
    #[error(transparent)]
    Certificates(#[from] TlsError),
    #[error("the process has no certificates")]
    Unprotected,
    #[error("HTTP/2 cannot be spoken: {0}")]
    Http(#[from] hyper::Error),
    #[error("nobody answered in time")]
    Timeout,
}

/// Makes connections.
pub(super) struct Connector {
    pub(super) clock: Clock,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) tls: Option<Tls>,
}

/// An open connection, and which certificates it was made with.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) sender: SendRequest<Body>,
    pub(super) generation: u64,
}

impl Connector {
    /// The certificates in use now; a connection made with others is better replaced.
    pub(super) fn generation(&self) -> u64 {
        self.tls.as_ref().map_or(0, Tls::generation)
    }

    /// Connects to the process at `address`, which is to run `target`.
    pub(super) async fn connect(
        &self,
        target: &str,
        address: &Address,
    ) -> Result<Link, ConnectError> {
        self.clock
            .timeout(CONNECT_TIMEOUT, self.open(target, address))
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self, target: &str, address: &Address) -> Result<Link, ConnectError> {
        let stream = self.dial(address).await?;
        match (address.security, &self.tls) {
            (Security::Plaintext, _) => speak(stream, 0).await,
            (Security::Tls, None) => Err(ConnectError::Unprotected),
            (Security::Tls, Some(tls)) => {
                let (config, generation) = tls.client(target)?;
                let name = ServerName::try_from(UNNAMED).map_err(|error| {
                    ConnectError::Handshake(io::Error::new(io::ErrorKind::InvalidInput, error))
                })?;
                let stream = TlsConnector::from(config)
                    .connect(name, stream)
                    .await
                    .map_err(ConnectError::Handshake)?;
                speak(stream, generation).await
            }
        }
    }

    async fn dial(&self, address: &Address) -> Result<TcpStream, ConnectError> {
        let candidates = match address.host.parse() {
            Ok(ip) => vec![SocketAddr::new(ip, address.port)],
            Err(_) => self
                .resolver
                .lookup(&address.host, address.port)
                .await
                .map_err(ConnectError::Lookup)?,
        };
        let mut last = ConnectError::NoAddress;
        for candidate in candidates {
            match TcpStream::connect(candidate).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                    return Ok(stream);
                }
                Err(error) => last = ConnectError::Connect(error),
            }
        }
        Err(last)
    }
}

async fn speak<S>(stream: S, generation: u64) -> Result<Link, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await?;
    // Ends when the last sender is gone and the last answer has been read, or when the peer ends it.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to another process ended");
        }
    });
    Ok(Link { sender, generation })
}
