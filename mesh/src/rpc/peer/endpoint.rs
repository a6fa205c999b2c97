//! One process that serves a target, and what is known of it.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response, uri::PathAndQuery};
use parking_lot::Mutex;
use tonic::body::Body;

use super::{
    address::{Address, Security},
    connection::{ConnectError, Connector, Link},
    load::PeakEwma,
    outlier::Record,
};
use crate::{service::BoxError, simulation::Surroundings};

/// How long a process that could not be reached is left alone: this, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A process.
pub(crate) struct Endpoint {
    pub(super) address: Address,
    in_flight: AtomicU32,
    standing: Mutex<Standing>,
    /// The network of a simulation, in place of connections.
    world: Option<Arc<dyn Surroundings>>,
    link: Mutex<Option<Link>>,
    /// Held by whoever connects, so that a thousand waiting calls open one connection.
    dialing: tokio::sync::Mutex<()>,
}

struct Standing {
    load: PeakEwma,
    record: Record,
    unreachable: Option<Unreachable>,
}

struct Unreachable {
    failures: u32,
    until: Instant,
}

/// A call in flight to a process; it leaves when dropped.
pub(crate) struct Flight {
    pub(super) endpoint: Arc<Endpoint>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No process has begun to work on it: it may be sent again, whatever it does.
    #[error("the request was not taken")]
    NotTaken(#[source] NotTaken),
    /// Nobody knows how far it came.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// There is no connection.
    #[error(transparent)]
    Unreachable(BoxError),
    /// The connection ended before it was sent, or the process said that it did not take it.
    #[error(transparent)]
    Refused(hyper::Error),
}

impl Endpoint {
    pub(super) fn new(
        address: Address,
        world: Option<Arc<dyn Surroundings>>,
        now: Instant,
    ) -> Self {
        Self {
            address,
            world,
            in_flight: AtomicU32::new(0),
            standing: Mutex::new(Standing {
                load: PeakEwma::new(now),
                record: Record::default(),
                unreachable: None,
            }),
            link: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Flight {
            endpoint: Arc::clone(self),
        }
    }

    /// The cost of one more call.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        self.standing.lock().load.cost(in_flight, now)
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.standing.lock().record.is_ejected(now)
    }

    /// Whether calls should go here: it is not ejected, and the last attempt to reach it did not just fail.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        let mut standing = self.standing.lock();
        let reachable = standing
            .unreachable
            .as_ref()
            .is_none_or(|unreachable| unreachable.until <= now);
        reachable && !standing.record.is_ejected(now)
    }

    /// Notes how a call ended. True when the process should be ejected.
    pub(super) fn note(&self, failed: bool, took: Duration, now: Instant) -> bool {
        let mut standing = self.standing.lock();
        // An error that comes fast must not look like a process at leisure.
        if !failed {
            standing.load.observe(took, now);
        }
        standing.record.note(failed)
    }

    pub(super) fn eject(&self, base: Duration, now: Instant) -> Duration {
        self.standing.lock().record.eject(base, now)
    }

    pub(super) fn interval(&self) -> Option<f64> {
        self.standing.lock().record.interval()
    }

    /// Sends one request.
    pub(super) async fn send(
        &self,
        connector: &Connector,
        target: &str,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        if let Some(world) = &self.world {
            return world.call(target, request).await.map_err(SendError::Broken);
        }
        let mut link = self.link(connector, target).await.map_err(|error| {
            self.was_unreachable(connector.clock.monotonic());
            tracing::debug!(target_name = target, address = %self.address, %error, "a process cannot be reached");
            SendError::NotTaken(NotTaken::Unreachable(Box::new(error)))
        })?;
        *request.uri_mut() = self.uri(request.uri().path_and_query());
        match link.sender.try_send_request(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                let error = failed.into_error();
                if unsent || is_refusal(&error) {
                    // Whoever comes next connects anew.
                    self.forget(&link);
                    Err(SendError::NotTaken(NotTaken::Refused(error)))
                } else {
                    Err(SendError::Broken(error.into()))
                }
            }
        }
    }

    async fn link(&self, connector: &Connector, target: &str) -> Result<Link, ConnectError> {
        let generation = connector.generation();
        if let Some(link) = self.open_link(generation) {
            return Ok(link);
        }
        let _alone = self.dialing.lock().await;
        if let Some(link) = self.open_link(generation) {
            return Ok(link);
        }
        let link = connector.connect(target, &self.address).await?;
        *self.link.lock() = Some(link.clone());
        self.standing.lock().unreachable = None;
        Ok(link)
    }

    fn open_link(&self, generation: u64) -> Option<Link> {
        self.link
            .lock()
            .as_ref()
            .filter(|link| !link.sender.is_closed() && !self.is_outdated(link, generation))
            .cloned()
    }

    /// Whether the connection was made with certificates that have been replaced.
    fn is_outdated(&self, link: &Link, generation: u64) -> bool {
        self.address.security == Security::Tls && link.generation < generation
    }

    /// Lets go of the connection that `link` is of, if it still is the one in use.
    fn forget(&self, link: &Link) {
        if link.sender.is_closed() {
            self.link.lock().take_if(|known| known.sender.is_closed());
        }
    }

    fn was_unreachable(&self, now: Instant) {
        let mut standing = self.standing.lock();
        let failures = standing
            .unreachable
            .as_ref()
            .map_or(0, |unreachable| unreachable.failures)
            .saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(10) - 1));
        standing.unreachable = Some(Unreachable {
            failures,
            until: now + pause.min(LONGEST_PAUSE),
        });
    }

    fn uri(&self, path: Option<&PathAndQuery>) -> http::Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.address.security.scheme());
        parts.authority = Some(self.address.authority.clone());
        parts.path_and_query = Some(
            path.cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        // Scheme, authority and path are all there, which is all that can be missing.
        http::Uri::from_parts(parts).unwrap_or_default()
    }
}

/// Whether the peer said that it has not looked at the request: a stream that it refused, or one beyond
/// those that it finishes before it goes away (RFC 9113, sections 6.8 and 8.7).
fn is_refusal(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let reason = error.reason();
            return error.is_remote()
                && ((error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM))
                    || (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)));
        }
        cause = error.source();
    }
    false
}
