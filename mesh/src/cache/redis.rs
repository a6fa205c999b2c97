//! The connection to Redis.
//!
//! A request must never fail or wait because of Redis, so the connection is either there or not, and
//! whoever asks learns that at once: [`Redis::ask`] answers `None` when there is no connection, when
//! the command takes too long, and when Redis refuses it. That is the circuit breaker: a connection that
//! breaks is dropped, and only a task of our own tries to make the next one. (The driver's
//! `ConnectionManager` makes callers wait for its attempts, which is what must not happen here.)

use std::{
    fmt, fs,
    future::Future,
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge};
use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisResult, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::sync::{Notify, watch};

use super::RedisSettings;
use crate::clock::Clock;

/// How long an attempt to connect may take.
const CONNECTING: Duration = Duration::from_secs(1);
/// How long after a loss, and between the first attempts, nobody asks Redis.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Commands without an answer, one after the other, that make the connection count as broken. One alone
/// may be due to this process or a slow command of somebody else.
const SILENCES: u32 = 3;
/// Commands that wait to be written to the socket.
const BUFFERED: usize = 1024;

/// A shared connection to Redis that comes and goes. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

/// Redis cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address (which may hold a password, and is not repeated here).
    #[error("REDIS_URL is not an address of Redis: {0}")]
    Address(String),
    /// The file of certificates.
    #[error("{path}: {source}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

struct Inner {
    client: Client,
    namespace: String,
    limit: Duration,
    /// The network's time: no test moves how long Redis takes.
    clock: Clock,
    connection: RwLock<Option<Link>>,
    silences: AtomicU32,
    lost: Arc<Notify>,
    /// How many connections there have been.
    connections: watch::Sender<u64>,
    meters: Meters,
}

/// One connection and its number.
#[derive(Clone)]
struct Link {
    number: u64,
    connection: MultiplexedConnection,
}

struct Meters {
    available: Gauge,
    timeouts: Counter,
    broken: Counter,
    refused: Counter,
}

impl Meters {
    fn new() -> Self {
        let errors =
            |kind: &'static str| metrics::counter!("hub_redis_errors_total", "kind" => kind);
        Self {
            available: metrics::gauge!("hub_redis_available"),
            timeouts: errors("timeout"),
            broken: errors("connection"),
            refused: errors("refused"),
        }
    }
}

impl Redis {
    /// A connection to the Redis at `url` (`redis://` or `rediss://`) whose keys begin with
    /// `namespace`. An address that nobody answers at is no error: it is tried again and again. The
    /// first attempt is waited for, for at most a second.
    ///
    /// # Errors
    /// An address or a file of certificates that cannot be used.
    pub async fn connect(
        url: &str,
        namespace: &str,
        settings: &RedisSettings,
    ) -> Result<Self, RedisError> {
        let (connections, _) = watch::channel(0);
        let redis = Self(Arc::new(Inner {
            client: client(url, settings)?,
            namespace: namespace.to_owned(),
            limit: settings.timeout(),
            clock: Clock::system(),
            connection: RwLock::default(),
            silences: AtomicU32::new(0),
            lost: Arc::default(),
            connections,
            meters: Meters::new(),
        }));
        redis.0.meters.available.set(0.0);
        if let Err(error) = redis.0.connect().await {
            tracing::warn!(%error, "Redis is not there; limits, sessions and caches stay in this process until it is");
        }
        tokio::spawn(keep_connected(
            Arc::downgrade(&redis.0),
            Arc::clone(&redis.0.lost),
        ));
        Ok(redis)
    }

    /// The full name of a key.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.0.namespace)
    }

    /// Runs commands on the connection. `None` when there is none, when the answer takes too long, or
    /// when Redis refuses the command (out of memory, read only, loading): the caller goes on without.
    pub async fn ask<T, F, Fut>(&self, commands: F) -> Option<T>
    where
        F: FnOnce(MultiplexedConnection) -> Fut,
        Fut: Future<Output = RedisResult<T>>,
    {
        let inner = &*self.0;
        let Link { number, connection } = inner.connection.read().clone()?;
        match inner.clock.timeout(inner.limit, commands(connection)).await {
            Ok(Ok(answer)) => {
                inner.silences.store(0, Ordering::Relaxed);
                Some(answer)
            }
            Ok(Err(error)) if is_refusal(&error) => {
                inner.meters.refused.increment(1);
                tracing::debug!(%error, "Redis refused a command");
                if is_wrong_server(&error) {
                    inner.lose(number, "it cannot serve", &error);
                }
                None
            }
            Ok(Err(error)) => {
                inner.meters.broken.increment(1);
                inner.lose(number, "the connection broke", &error);
                None
            }
            Err(elapsed) => {
                inner.meters.timeouts.increment(1);
                if inner.silences.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCES {
                    inner.lose(number, "it does not answer", &elapsed);
                }
                None
            }
        }
    }

    /// How many connections there have been. Whoever keeps what Redis said compares it, because
    /// between two connections anything may have happened there.
    pub fn connections(&self) -> u64 {
        self.0.connections()
    }

    /// Changes whenever Redis has become reachable, perhaps with nothing in it.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.0.connections.subscribe()
    }

    /// Whether there is a connection.
    pub fn is_available(&self) -> bool {
        self.0.connection.read().is_some()
    }

    /// Asks Redis whether it is there.
    ///
    /// # Errors
    /// It is not, in words for an operator.
    pub async fn ping(&self) -> Result<String, String> {
        let pong: Option<String> = self
            .ask(|mut redis| async move { redis::cmd("PING").query_async(&mut redis).await })
            .await;
        pong.map(|_| format!("connection {}", self.connections()))
            .ok_or_else(|| {
                "Redis does not answer; limits and caches are those of this process".to_owned()
            })
    }
}

impl Inner {
    async fn connect(&self) -> RedisResult<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            // Each command has its own limit, and setting a timer twice costs.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFERED);
        let connecting = async {
            let mut connection = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            redis::cmd("PING")
                .query_async::<()>(&mut connection)
                .await?;
            RedisResult::Ok(connection)
        };
        let connection = self
            .clock
            .timeout(CONNECTING, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        self.silences.store(0, Ordering::Relaxed);
        let mut place = self.connection.write();
        let number = self.connections() + 1;
        *place = Some(Link { number, connection });
        // Under the lock, so that nobody uses the new connection under the old number.
        self.connections.send_replace(number);
        self.meters.available.set(1.0);
        Ok(())
    }

    fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Drops the connection with this number, unless another has taken its place.
    fn lose(&self, number: u64, what: &str, error: &dyn fmt::Display) {
        {
            let mut place = self.connection.write();
            if place.as_ref().is_none_or(|link| link.number != number) {
                return;
            }
            *place = None;
        }
        self.meters.available.set(0.0);
        tracing::warn!(
            %error,
            "Redis: {what}; limits, sessions and caches stay in this process until it is back"
        );
        self.lost.notify_one();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.lost.notify_one();
    }
}

/// Makes the next connection whenever there is none, until nobody needs one any more.
async fn keep_connected(inner: Weak<Inner>, lost: Arc<Notify>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let Some(redis) = inner.upgrade() else { return };
        let there = redis.connection.read().is_some();
        let clock = redis.clock.clone();
        if there {
            drop(redis);
            pause = SHORTEST_PAUSE;
            lost.notified().await;
            // Redis gets a moment before it is asked again.
            clock.sleep(pause).await;
            continue;
        }
        match redis.connect().await {
            Ok(()) => tracing::info!("Redis is there"),
            Err(error) => {
                tracing::debug!(%error, "Redis is still away");
                drop(redis);
                clock.sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn client(url: &str, settings: &RedisSettings) -> Result<Client, RedisError> {
    let address = |error: redis::RedisError| RedisError::Address(error.to_string());
    let info = url.into_connection_info().map_err(address)?;
    if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(address);
    }
    // The driver uses the process' provider of cryptography; a second installation changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if settings.ca.as_os_str().is_empty() {
        return Client::open(info).map_err(address);
    }
    let authorities = fs::read(&settings.ca).map_err(|source| RedisError::Certificates {
        path: settings.ca.clone(),
        source,
    })?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(authorities),
    };
    Client::build_with_tls(info, certificates).map_err(address)
}

/// Whether Redis has answered, with an error.
fn is_refusal(error: &redis::RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType
    )
}

/// Whether another connection may lead to a server that can do it: after a failover the old primary
/// only reads, and a server that starts is still loading.
fn is_wrong_server(error: &redis::RedisError) -> bool {
    matches!(
        error.code(),
        Some("READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH")
    )
}

impl fmt::Debug for Redis {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("namespace", &self.0.namespace)
            .field("available", &self.is_available())
            .finish_non_exhaustive()
    }
}
