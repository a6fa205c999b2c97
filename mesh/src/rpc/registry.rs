//! Which RPCs there are, which of them this process serves, and where the others are.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    RpcService,
    breaker::{Breaker, BreakerSettings},
    latency::Latencies,
    limit::{LimitSettings, Limiter, Usual},
    meters::Meters,
    peer::{InvalidPeer, Peer, PeerParts, SystemResolver},
    retry::RetryBudget,
};
use crate::{
    clock::Clock,
    config::{MeshSettings, Peers},
    fault::{Faults, Point, Site},
    ids::Ids,
    policy::{CallGraph, MethodPolicy, PolicyTable},
    principal::PrincipalSeal,
    simulation::Surroundings,
    tls::Tls,
    validation::Validator,
};

/// Everything that calls need; one per hub.
pub(crate) struct Registry {
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(crate) seal: PrincipalSeal,
    pub(super) validator: Validator,
    pub(super) retries: u32,
    /// How long a required target that cannot be reached is waited for.
    pub(super) patience: Duration,
    graph: CallGraph,
    /// Cancelled when the process stops taking work; ends streams.
    pub(super) draining: CancellationToken,
    pub(super) in_flight: TaskTracker,
    methods: HashMap<String, Method>,
    services: HashMap<String, Arc<Slot>>,
}

/// One RPC.
pub(super) struct Method {
    pub(super) policy: Arc<MethodPolicy>,
    /// Its name in the call graph.
    pub(super) name: Arc<str>,
    /// Who may call it.
    pub(super) callers: Arc<HashSet<Arc<str>>>,
    pub(super) slot: Arc<Slot>,
    pub(super) meters: Meters,
    /// How long it usually takes here.
    pub(super) usual: Usual,
    /// How long it takes elsewhere.
    pub(super) latencies: Latencies,
    /// What is made to go wrong in calls of it.
    pub(super) faults: Site,
}

/// One RPC service, wherever it runs.
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    pub(super) target: String,
    pub(super) local: OnceLock<Box<dyn RpcService>>,
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) breaker: Option<Breaker>,
    pub(super) budget: RetryBudget,
    pub(super) limiter: Arc<Limiter>,
    /// Whether the rest works without its target.
    pub(super) optional: bool,
}

/// A service cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It is not in the contracts.
    #[error("{0} is not an RPC service of the contracts")]
    Unknown(String),
    /// It was registered before.
    #[error("{0} is registered twice")]
    Twice(String),
}

pub(crate) struct RegistryParts {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) seal: PrincipalSeal,
    pub(crate) validator: Validator,
    pub(crate) policies: PolicyTable,
    pub(crate) settings: MeshSettings,
    pub(crate) peers: Peers,
    pub(crate) tls: Option<Tls>,
    pub(crate) draining: CancellationToken,
    pub(crate) faults: Faults,
    /// The network of a simulation, in place of `peers`.
    pub(crate) surroundings: Option<Arc<dyn Surroundings>>,
}

impl Registry {
    pub(crate) fn new(parts: RegistryParts) -> Result<Self, InvalidPeer> {
        let mut peers = HashMap::new();
        let shared = PeerParts {
            clock: parts.clock.clone(),
            ids: parts.ids.clone(),
            tls: parts.tls,
            resolver: Arc::new(SystemResolver),
            ejection: Duration::from_millis(parts.settings.ejection_ms),
            most_ejected_percent: parts.settings.most_ejected_percent.min(100),
            world: parts.surroundings.clone(),
        };
        let limits = LimitSettings {
            least: parts.settings.least_concurrency,
            most: parts.settings.concurrency,
        };
        for (target, addresses) in &parts.peers.0 {
            if parts.policies.target(target).is_none() {
                return Err(InvalidPeer::UnknownTarget(target.clone()));
            }
            peers.insert(
                target.as_str(),
                Peer::new(target, addresses, shared.clone())?,
            );
        }
        if parts.surroundings.is_some() {
            for target in parts.policies.targets() {
                let somewhere = format!("http://{}.simulated:1", target.name);
                let peer = Peer::new(&target.name, &somewhere, shared.clone())?;
                peers.insert(target.name.as_str(), peer);
            }
        }
        let breaker = BreakerSettings {
            failure_percent: parts.settings.breaker_failure_percent.clamp(1, 100),
            open_for: Duration::from_millis(parts.settings.breaker_open_ms),
        };
        let mut services: HashMap<String, Arc<Slot>> = HashMap::new();
        let mut methods = HashMap::new();
        for policy in parts.policies.iter() {
            let slot = services.entry(policy.service.clone()).or_insert_with(|| {
                let name: Arc<str> = Arc::from(policy.service.as_str());
                let peer = peers.get(policy.target.as_str()).cloned();
                let optional = parts.settings.optional_targets.contains(&policy.target);
                Arc::new(Slot {
                    breaker: (peer.is_some() || optional)
                        .then(|| Breaker::new(Arc::clone(&name), parts.clock.clone(), breaker)),
                    name,
                    target: policy.target.clone(),
                    local: OnceLock::new(),
                    peer,
                    budget: RetryBudget::new(),
                    limiter: Arc::new(Limiter::new(&policy.service, limits)),
                    optional,
                })
            });
            methods.insert(
                policy.path.clone(),
                Method {
                    policy: Arc::clone(policy),
                    name: Arc::from(policy.name()),
                    callers: parts.policies.graph().callers_of(policy.name()),
                    slot: Arc::clone(slot),
                    meters: Meters::new(policy),
                    usual: Usual::default(),
                    latencies: Latencies::new(),
                    faults: parts.faults.at(Point::Rpc, policy.name()),
                },
            );
        }
        Ok(Self {
            clock: parts.clock,
            ids: parts.ids,
            seal: parts.seal,
            validator: parts.validator,
            retries: parts.settings.retries,
            patience: Duration::from_millis(parts.settings.patience_ms),
            graph: parts.policies.graph().clone(),
            draining: parts.draining,
            in_flight: TaskTracker::new(),
            methods,
            services,
        })
    }

    /// Makes this process serve the RPC service `name`.
    pub(crate) fn register(
        &self,
        name: &str,
        service: Box<dyn RpcService>,
    ) -> Result<(), RegisterError> {
        let slot = self
            .services
            .get(name)
            .ok_or_else(|| RegisterError::Unknown(name.to_owned()))?;
        slot.local
            .set(service)
            .map_err(|_| RegisterError::Twice(name.to_owned()))
    }

    /// Names of the services that this process serves, in no order.
    pub(crate) fn local_services(&self) -> impl Iterator<Item = &str> {
        self.services
            .values()
            .filter(|slot| slot.local.get().is_some())
            .map(|slot| slot.name.as_ref())
    }

    /// Names of all services of the contracts, in no order.
    pub(crate) fn all_services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Completes when no handler of this process is at work.
    pub(crate) async fn finish_calls(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
    }

    /// The target that the caller `name` of the call graph runs in.
    pub(super) fn target_of(&self, name: &str) -> Option<&str> {
        self.graph.caller(name).map(|caller| caller.target.as_str())
    }

    pub(super) fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}
