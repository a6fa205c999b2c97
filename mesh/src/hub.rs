//! [`Hub`]: one process of the system and what everything in it shares.
//!
//! A hub is built from a configuration, handed to each service so that it can register, then started,
//! and in the end drained. It knows no service by name: which ones a process runs is the business of
//! the binary that composes it.

mod builder;
mod key;
mod lifecycle;

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::server::HealthReporter;

pub use builder::HubBuilder;
pub use lifecycle::Drained;

pub(crate) use key::installed_key;

use crate::{
    blob::Blobs,
    cache::Cache,
    clock::Clock,
    config::{Config, HubSettings, Profile, RateLimits},
    events::Bus,
    fault::{Faults, Point},
    health::{self, Component, HealthReport, Phase},
    ids::Ids,
    policy::PolicyTable,
    principal::PrincipalSeal,
    rpc::{Channel, GrpcRoutes, Registry},
    service::{Check, Reach, Shutdown, StartError},
    simulation::Surroundings,
    store::{Migration, Store, StoreConfig},
    tls::Tls,
};

/// One process of the system. Cheap to clone; clones are the same process.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    clock: Clock,
    ids: Ids,
    config: Config,
    settings: HubSettings,
    limits: RateLimits,
    store_config: StoreConfig,
    surroundings: Option<Arc<dyn Surroundings>>,
    policies: PolicyTable,
    channel: Channel,
    routes: GrpcRoutes,
    tls: Option<Tls>,
    plaintext: bool,
    cache: Cache,
    blobs: Blobs,
    bus: Bus,
    faults: Faults,
    reporter: HealthReporter,
    phase: Mutex<Phase>,
    draining: CancellationToken,
    stop_tasks: CancellationToken,
    tasks: TaskTracker,
    stores: tokio::sync::Mutex<Vec<Store>>,
    parts: Mutex<Parts>,
    belongings: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

/// What started services brought along that can fail later.
#[derive(Default)]
struct Parts {
    services: Vec<&'static str>,
    checks: Vec<(&'static str, Check)>,
    failed_tasks: Vec<Component>,
    reach: Reach,
}

impl Hub {
    /// Begins a hub.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// The clock of the process.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The id generator of the process.
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// What generated clients are built on: `OrderServiceClient::new(hub.channel())`.
    pub fn channel(&self) -> Channel {
        self.0.channel.clone()
    }

    /// The cache of the process.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// Pictures and documents of the installation.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The event bus of the process.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// What goes wrong in this process on purpose: usually nothing. Whoever has started it arms them.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The policies of all RPCs.
    pub fn policies(&self) -> &PolicyTable {
        &self.0.policies
    }

    /// The gRPC services of all contracts with health and reflection, for the gateway to mount.
    pub fn grpc_routes(&self) -> GrpcRoutes {
        self.0.routes.clone()
    }

    /// The `[hub]` section.
    pub fn settings(&self) -> &HubSettings {
        &self.0.settings
    }

    /// What the installation is for.
    pub fn profile(&self) -> Profile {
        self.0.settings.profile
    }

    /// Folder of everything that the process keeps.
    pub fn data_dir(&self) -> &Path {
        &self.0.settings.data_dir
    }

    /// The seal of the installation, with which the edge recognises operators.
    pub fn seal(&self) -> &PrincipalSeal {
        &self.registry().seal
    }

    /// The certificates of the process, if it has any.
    pub fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    /// Fails unless the operator has said how calls between processes are protected: by certificates that
    /// speak for `targets`, or not at all.
    ///
    /// # Errors
    /// One line that says what to set.
    pub fn require_protection<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StartError> {
        let Some(tls) = self.tls() else {
            if self.0.plaintext {
                return Ok(());
            }
            return Err(StartError::config(
                "tls",
                "processes talk over TLS: set cert, key and ca (`hub certs dev` makes some), or pass --plaintext",
            ));
        };
        let identity = tls.identity_of_process();
        match targets.into_iter().find(|target| !identity.runs(target)) {
            None => Ok(()),
            Some(target) => Err(StartError::config(
                "tls",
                format!("the certificate speaks for {identity}, not for {target}"),
            )),
        }
    }

    /// Requests per minute by role.
    pub fn limits(&self) -> &RateLimits {
        &self.0.limits
    }

    /// The whole configuration.
    pub fn configuration(&self) -> &Config {
        &self.0.config
    }

    /// The section `name` of the configuration.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong type, by name.
    pub fn config<T>(&self, name: &str) -> Result<T, StartError>
    where
        T: DeserializeOwned + Serialize + Default + Any,
    {
        Ok(self.0.config.section(name)?)
    }

    /// Opens the store of service `name`, or gives the one already open.
    ///
    /// # Errors
    /// The store cannot be opened or migrated.
    pub async fn store(
        &self,
        name: &str,
        migrations: &'static [Migration],
    ) -> Result<Store, StartError> {
        let mut stores = self.0.stores.lock().await;
        if let Some(open) = stores.iter().find(|store| store.name() == name) {
            return Ok(open.clone());
        }
        let (clock, ids) = (self.0.clock.clone(), self.0.ids.clone());
        let store = match &self.0.surroundings {
            None => Store::open(name, &self.0.store_config, migrations, clock, ids).await?,
            Some(world) => Store::simulated(name, Arc::clone(world), migrations, clock, ids)?,
        };
        let store = store.rigged(self.0.faults.at(Point::Store, name));
        stores.push(store.clone());
        Ok(store)
    }

    /// The one `T` of this process, made when it is first asked for: memory that a service's consumers
    /// and its listeners share.
    pub fn belonging<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut belongings = self.0.belongings.lock();
        let known = belongings
            .get(&TypeId::of::<T>())
            .and_then(|known| Arc::clone(known).downcast::<T>().ok());
        known.unwrap_or_else(|| {
            let made = Arc::new(make());
            belongings.insert(TypeId::of::<T>(), Arc::clone(&made) as _);
            made
        })
    }

    /// The stores that are open.
    pub(crate) async fn stores(&self) -> Vec<Store> {
        self.0.stores.lock().await.clone()
    }

    /// Cancelled when the process stops taking work.
    pub fn shutdown_token(&self) -> Shutdown {
        self.0.draining.clone()
    }

    /// Where the process is in its life.
    pub fn phase(&self) -> Phase {
        *self.0.phase.lock()
    }

    /// Whether the process takes requests: started and not draining. Parts are not asked; see
    /// [`Hub::health`].
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving
    }

    /// Names of the services that run in this process.
    pub fn services(&self) -> Vec<&'static str> {
        self.0.parts.lock().services.clone()
    }

    /// Asks every part how it is: stores, services' checks, tasks, the bus, the broker,
    /// Redis and the blobs.
    pub async fn health(&self) -> HealthReport {
        let inner = &*self.0;
        let stores = inner.stores.lock().await.clone();
        let (checks, mut components) = {
            let parts = inner.parts.lock();
            (parts.checks.clone(), parts.failed_tasks.clone())
        };
        let (stores, checks, bus, broker, redis, blobs) = tokio::join!(
            futures::future::join_all(
                stores
                    .iter()
                    .map(|store| health::of_store(&inner.clock, store))
            ),
            futures::future::join_all(checks.iter().map(|(service, check)| health::of_check(
                &inner.clock,
                service,
                check
            ))),
            health::probe(&inner.clock, "bus".to_owned(), async {
                let backlog = inner
                    .bus
                    .backlog()
                    .await
                    .map_err(|error| error.to_string())?;
                let waiting: u64 = backlog.iter().map(|store| store.events).sum();
                Ok(format!("{waiting} events waiting"))
            }),
            async {
                if !inner.bus.has_broker() {
                    return None;
                }
                let trouble = async { inner.bus.broker_trouble().map_or(Ok(String::new()), Err) };
                let part = health::probe(&inner.clock, "broker".to_owned(), trouble).await;
                // Outboxes keep what happens while it is away.
                Some(part.optional())
            },
            async {
                let redis = inner.cache.redis()?;
                let part = health::probe(&inner.clock, "redis".to_owned(), redis.ping()).await;
                Some(part.optional())
            },
            health::probe(&inner.clock, "blobs".to_owned(), async {
                inner
                    .blobs
                    .check()
                    .await
                    .map(|()| String::new())
                    .map_err(|error| error.to_string())
            }),
        );
        components.extend(stores);
        components.extend(checks);
        components.push(bus);
        components.extend(broker);
        components.extend(redis);
        components.push(blobs.optional());
        components.sort_by(|a, b| a.name.cmp(&b.name));
        HealthReport {
            phase: self.phase(),
            components,
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.0.channel.registry()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("data_dir", &self.0.settings.data_dir)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
