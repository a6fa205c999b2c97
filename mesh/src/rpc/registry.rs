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
    bulkhead::Bulkhead,
    meters::Meters,
    peer::{InvalidPeer, Peer},
    retry::RetryBudget,
};
use crate::{
    clock::Clock,
    config::{MeshSettings, Peers},
    ids::Ids,
    policy::{MethodPolicy, PolicyTable},
    principal::PrincipalSeal,
    simulation::Surroundings,
    validation::Validator,
};

/// Everything that calls need; one per hub.
pub(crate) struct Registry {
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(crate) seal: PrincipalSeal,
    pub(super) validator: Validator,
    pub(super) retries: u32,
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
}

/// One RPC service, wherever it runs.
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    pub(super) target: String,
    pub(super) local: OnceLock<Box<dyn RpcService>>,
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) breaker: Option<Breaker>,
    pub(super) budget: RetryBudget,
    pub(super) bulkhead: Arc<Bulkhead>,
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
    pub(crate) draining: CancellationToken,
    /// The network of a simulation, in place of `peers`.
    pub(crate) surroundings: Option<Arc<dyn Surroundings>>,
}

impl Registry {
    pub(crate) fn new(parts: RegistryParts) -> Result<Self, InvalidPeer> {
        let mut peers = HashMap::new();
        for (target, addresses) in &parts.peers.0 {
            if parts.policies.target(target).is_none() {
                return Err(InvalidPeer::UnknownTarget(target.clone()));
            }
            peers.insert(target.as_str(), Arc::new(Peer::new(target, addresses)?));
        }
        if let Some(surroundings) = &parts.surroundings {
            for target in parts.policies.targets() {
                let peer = Peer::simulated(&target.name, Arc::clone(surroundings));
                peers.insert(target.name.as_str(), Arc::new(peer));
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
                    bulkhead: Arc::new(Bulkhead::new(parts.settings.concurrency)),
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
                },
            );
        }
        Ok(Self {
            clock: parts.clock,
            ids: parts.ids,
            seal: parts.seal,
            validator: parts.validator,
            retries: parts.settings.retries,
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

    pub(super) fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}
