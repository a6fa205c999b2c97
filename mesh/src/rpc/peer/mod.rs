//! The processes that serve a target elsewhere.
//!
//! A [`Peer`] knows the processes of one target: from the configuration, from DNS, or from a file. Each call
//! goes to the less busy of two that are picked at random, which is nearly as good as asking all of them
//! and needs no agreement between callers (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001). Whoever fails where others do not is left out for a while.

mod address;
mod connection;
mod endpoint;
mod load;
mod outlier;
mod source;

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use http::{Request, Response};
use metrics::{Counter, Gauge};
use parking_lot::{Mutex, RwLock};
use tonic::{Code, body::Body};

pub use address::InvalidPeer;
use connection::Resolve;
pub(super) use connection::SystemResolver;
pub(super) use endpoint::{Endpoint, Flight, SendError};

use super::breaker::counts_as_failure;
use crate::{clock::Clock, ids::Ids, simulation::Surroundings, tls::Tls};
use address::{Address, Security, Source};
use connection::Connector;
use outlier::Cause;

/// What all peers of a process share.
#[derive(Clone)]
pub(super) struct PeerParts {
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) tls: Option<Tls>,
    pub(super) resolver: Arc<dyn Resolve>,
    /// The network of a simulation, in place of all others.
    pub(super) world: Option<Arc<dyn Surroundings>>,
    /// The first time out of a process that is ejected.
    pub(super) ejection: Duration,
    /// The share of the processes that may be out.
    pub(super) most_ejected_percent: u32,
}

/// The processes that serve one target.
pub(super) struct Peer {
    target: String,
    source: Source,
    parts: PeerParts,
    connector: Connector,
    endpoints: RwLock<Arc<[Arc<Endpoint>]>>,
    /// When success rates are compared next.
    comparison: Mutex<Instant>,
    /// Wakes whoever keeps the addresses fresh.
    stale: Arc<tokio::sync::Notify>,
    refreshing: tokio::sync::Mutex<()>,
    ejected: Gauge,
    known: Gauge,
    resent: Counter,
}

impl Peer {
    /// The processes that the entry `value` of `[peers]` names. Needs a Tokio runtime.
    pub(super) fn new(
        target: &str,
        value: &str,
        parts: PeerParts,
    ) -> Result<Arc<Self>, InvalidPeer> {
        let security = match parts.tls {
            Some(_) => Security::Tls,
            None => Security::Plaintext,
        };
        let source = Source::parse(target, value, security)?;
        let now = parts.clock.monotonic();
        let label = target.to_owned();
        let peer = Arc::new(Self {
            connector: Connector {
                clock: parts.clock.clone(),
                resolver: Arc::clone(&parts.resolver),
                tls: parts.tls.clone(),
            },
            parts,
            endpoints: RwLock::new(Arc::new([])),
            comparison: Mutex::new(now + outlier::INTERVAL),
            stale: Arc::default(),
            refreshing: tokio::sync::Mutex::default(),
            ejected: metrics::gauge!("hub_mesh_ejected", "target" => label.clone()),
            known: metrics::gauge!("hub_mesh_endpoints", "target" => label.clone()),
            resent: metrics::counter!("hub_mesh_resent_total", "target" => label),
            target: target.to_owned(),
            source,
        });
        match &peer.source {
            Source::Static(addresses) => peer.replace(addresses.clone()),
            Source::Dns { .. } | Source::File { .. } => {
                tokio::spawn(source::keep_fresh(Arc::downgrade(&peer)));
            }
        }
        Ok(peer)
    }

    /// A process for the next attempt, not one of `tried`. `None`: all have been tried, or none is known.
    pub(super) fn pick(&self, tried: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints();
        let now = self.parts.clock.monotonic();
        self.compare_when_due(&endpoints, now);
        let untried: Vec<&Arc<Endpoint>> = endpoints
            .iter()
            .filter(|endpoint| !tried.iter().any(|known| Arc::ptr_eq(known, endpoint)))
            .collect();
        let usable: Vec<&Arc<Endpoint>> = untried
            .iter()
            .copied()
            .filter(|endpoint| endpoint.is_usable(now))
            .collect();
        // A doubtful process is better than none.
        let candidates = if usable.is_empty() { untried } else { usable };
        self.less_busy(&candidates, now)
    }

    /// Whether a second process could be asked beside one that is at work.
    pub(super) fn has_another(&self, than: &Arc<Endpoint>) -> bool {
        let now = self.parts.clock.monotonic();
        self.endpoints()
            .iter()
            .any(|endpoint| !Arc::ptr_eq(endpoint, than) && endpoint.is_usable(now))
    }

    fn less_busy(&self, candidates: &[&Arc<Endpoint>], now: Instant) -> Option<Arc<Endpoint>> {
        let count = candidates.len();
        if count < 2 {
            return candidates.first().map(|only| Arc::clone(only));
        }
        let random = self.parts.ids.entropy() as usize;
        let first = random % count;
        // Any but the first, each with the same chance.
        let second = (first + 1 + (random >> 32) % (count - 1)) % count;
        let (first, second) = (candidates.get(first)?, candidates.get(second)?);
        let chosen = if second.cost(now) < first.cost(now) {
            second
        } else {
            first
        };
        Some(Arc::clone(chosen))
    }

    /// Begins a call to a process.
    pub(super) fn begin(&self, endpoint: &Arc<Endpoint>) -> Flight {
        endpoint.begin()
    }

    /// Sends one request of a call that has begun.
    pub(super) async fn send(
        &self,
        flight: &Flight,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        let outcome = flight
            .endpoint
            .send(&self.connector, &self.target, request)
            .await;
        if matches!(outcome, Err(SendError::NotTaken(_))) {
            // Where one process has gone, its address may have a successor.
            self.stale.notify_one();
        }
        outcome
    }

    /// Notes how a call ended, and ejects the process when it has failed too often.
    pub(super) fn finish(&self, flight: &Flight, code: Code, took: Duration) {
        let now = self.parts.clock.monotonic();
        if flight.endpoint.note(counts_as_failure(code), took, now) {
            self.eject(&self.endpoints(), &flight.endpoint, Cause::Consecutive, now);
        }
    }

    /// Counts a request that is sent again because nobody had taken it.
    pub(super) fn resent(&self) {
        self.resent.increment(1);
    }

    /// Asks for the addresses now, unless they stand in the configuration.
    pub(super) async fn refresh(&self) {
        let _alone = self.refreshing.lock().await;
        match source::addresses(&self.source, &*self.parts.resolver).await {
            Ok(Some(addresses)) if !addresses.is_empty() => self.replace(addresses),
            Ok(None) => {}
            // Old addresses are better than none.
            Ok(Some(_)) => {
                tracing::warn!(
                    target_name = self.target,
                    "no address is known; the old ones stay"
                );
            }
            Err(error) => {
                tracing::warn!(target_name = self.target, %error, "the addresses cannot be asked for; the old ones stay");
            }
        }
    }

    /// Whether any process is known.
    pub(super) fn is_known(&self) -> bool {
        !self.endpoints.read().is_empty()
    }

    /// Whether more than one process is known.
    pub(super) fn is_several(&self) -> bool {
        self.endpoints.read().len() > 1
    }

    /// Takes new addresses over. What is known of processes that stay is kept; calls in flight to those that
    /// go are finished.
    fn replace(&self, mut addresses: Vec<Address>) {
        addresses.dedup_by(|a, b| a == b);
        let now = self.parts.clock.monotonic();
        let mut endpoints = self.endpoints.write();
        let next: Arc<[Arc<Endpoint>]> = addresses
            .into_iter()
            .map(|address| {
                endpoints
                    .iter()
                    .find(|known| known.address == address)
                    .cloned()
                    .unwrap_or_else(|| {
                        Arc::new(Endpoint::new(address, self.parts.world.clone(), now))
                    })
            })
            .collect();
        self.known.set(next.len() as f64);
        *endpoints = next;
    }

    fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        Arc::clone(&self.endpoints.read())
    }

    fn eject(&self, all: &[Arc<Endpoint>], endpoint: &Endpoint, cause: Cause, now: Instant) {
        let out = all.iter().filter(|other| other.is_ejected(now)).count();
        if !outlier::may_eject(out, all.len(), self.parts.most_ejected_percent) {
            return;
        }
        let time = endpoint.eject(self.parts.ejection, now);
        tracing::warn!(
            target_name = self.target,
            address = %endpoint.address,
            cause = cause.name(),
            seconds = time.as_secs(),
            "a process is left out"
        );
        metrics::counter!(
            "hub_mesh_ejections_total",
            "target" => self.target.clone(),
            "cause" => cause.name(),
        )
        .increment(1);
        self.ejected.set((out + 1) as f64);
    }

    /// Compares success rates once an interval; the calls of the target drive it.
    fn compare_when_due(&self, endpoints: &[Arc<Endpoint>], now: Instant) {
        {
            let Some(mut due) = self.comparison.try_lock() else {
                return;
            };
            if now < *due {
                return;
            }
            *due = now + outlier::INTERVAL;
        }
        let rates: Vec<(&Arc<Endpoint>, f64)> = endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint, endpoint.interval()?)))
            .collect();
        let numbers: Vec<f64> = rates.iter().map(|(_, rate)| *rate).collect();
        if let Some(threshold) = outlier::threshold(&numbers) {
            for (endpoint, rate) in rates {
                if rate < threshold && !endpoint.is_ejected(now) {
                    self.eject(endpoints, endpoint, Cause::SuccessRate, now);
                }
            }
        }
        let out = endpoints
            .iter()
            .filter(|endpoint| endpoint.is_ejected(now))
            .count();
        self.ejected.set(out as f64);
    }
}

/// Whoever keeps addresses fresh must not keep the peer alive.
type WeakPeer = Weak<Peer>;

#[cfg(test)]
mod tests;
