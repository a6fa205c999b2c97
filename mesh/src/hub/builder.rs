//! Building a hub from its configuration.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{Hub, Inner, key::internal_key};
use crate::{
    blob::Blobs,
    cache::{Cache, Redis, RedisSettings},
    clock::Clock,
    config::{Config, HubSettings, MeshSettings, Peers, Profile, Secret, Sources},
    events::{Bus, EventsConfig, Group},
    fault::{FaultSettings, Faults},
    health::Phase,
    ids::Ids,
    policy::PolicyTable,
    principal::PrincipalSeal,
    private,
    rpc::{Channel, GrpcRoutes, Registry, RegistryParts},
    service::StartError,
    simulation::Surroundings,
    store::{Database, StoreConfig},
    telemetry::TelemetryConfig,
    tls::Tls,
    validation::Validator,
};

/// Builds a [`Hub`]. Everything has a default: no configuration, the system's clock.
#[derive(Debug, Default)]
#[must_use]
pub struct HubBuilder {
    config: Option<Config>,
    clock: Option<Clock>,
    ids: Option<Ids>,
    data_dir: Option<PathBuf>,
    surroundings: Option<Arc<dyn Surroundings>>,
    #[cfg(test)]
    calls: Vec<(&'static str, &'static str)>,
}

impl HubBuilder {
    /// With a configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// With another clock than the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// With another id generator than a random one.
    pub fn ids(mut self, ids: Ids) -> Self {
        self.ids = Some(ids);
        self
    }

    /// With another data folder than the configured one.
    pub fn data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self
    }

    /// In a simulated world: disks, network and broker are its own.
    pub fn surroundings(mut self, surroundings: Arc<dyn Surroundings>) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// With a call on top of those that the contract declares.
    #[cfg(test)]
    pub(crate) fn with_call(mut self, caller: &'static str, rpc: &'static str) -> Self {
        self.calls.push((caller, rpc));
        self
    }

    /// Reads the runtime's sections and the contracts, creates the data folder, and gives a hub that
    /// services can register with. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], in one line that says what to change.
    pub async fn build(self) -> Result<Hub, StartError> {
        let config = match self.config {
            Some(config) => config,
            None => Config::load(&Sources::default())?,
        };
        let mut settings: HubSettings = config.section("hub")?;
        if let Some(data_dir) = self.data_dir {
            settings.data_dir = data_dir;
        }
        let mesh: MeshSettings = config.section("mesh")?;
        let peers: Peers = config.section("peers")?;
        let tls = config.section("tls")?;
        let limits = config.section("rate_limits")?;
        let events: EventsConfig = config.section("events")?;
        let mut store_config: StoreConfig = config.section("store")?;
        if !config.sets("store", "directory") {
            store_config.directory.clone_from(&settings.data_dir);
        }
        store_config.database = database(&settings);
        if let Some(database) = &store_config.database {
            database.check()?;
        }
        // Declared for `Config::check`; the binary has used it before it builds a hub.
        let _: TelemetryConfig = config.section("telemetry")?;

        private::create_dir(&settings.data_dir).map_err(|source| StartError::DataDir {
            path: settings.data_dir.clone(),
            source,
        })?;
        let clock = self.clock.unwrap_or_else(Clock::system);
        let ids = self.ids.unwrap_or_else(|| Ids::random(clock.clone()));
        let tls = Tls::load(tls, clock.clone())?;
        let cache = cache(&settings, &config.section("redis")?, &clock, &ids).await?;
        let blobs = Blobs::open(&settings.blob_url, &settings.data_dir)
            .map_err(|error| StartError::config("hub", format!("blob_url: {error}")))?;
        let pool = contracts::descriptor_pool();
        let policies = PolicyTable::from_pool(pool)?;
        #[cfg(test)]
        let policies = self.calls.iter().fold(policies, |policies, (caller, rpc)| {
            policies.with_call(caller, rpc)
        });
        let now = clock.clone();
        let validator = Validator::with_clock(pool, move || now.now())?;
        let faults = faults(
            &config.section("faults")?,
            settings.profile,
            &policies,
            &clock,
            &ids,
        )?;
        let draining = CancellationToken::new();
        let plaintext = mesh.plaintext;
        let registry = Registry::new(RegistryParts {
            clock: clock.clone(),
            ids: ids.clone(),
            seal: PrincipalSeal::new(&internal_key(&mesh, &settings.data_dir)?),
            validator,
            policies: policies.clone(),
            settings: mesh,
            peers,
            tls: tls.clone(),
            draining: draining.clone(),
            faults: faults.clone(),
            surroundings: self.surroundings.clone(),
        })?;
        let channel = Channel::new(Arc::new(registry));
        let reporter = HealthReporter::new();
        reporter
            .set_service_status("", ServingStatus::NotServing)
            .await;
        let routes = GrpcRoutes::new(channel.clone(), reporter.clone())
            .map_err(|error| StartError::other("reflection", error))?;
        let bus = match &self.surroundings {
            None => bus(&settings, &policies, events, &clock, &ids)?,
            Some(world) => Bus::simulated(events, clock.clone(), Arc::clone(world)),
        };
        bus.rig(faults.clone());
        Ok(Hub(Arc::new(Inner {
            cache,
            blobs,
            bus,
            faults,
            surroundings: self.surroundings,
            clock,
            ids,
            config,
            settings,
            limits,
            store_config,
            policies,
            channel,
            routes,
            tls,
            plaintext,
            reporter,
            phase: Mutex::new(Phase::Starting),
            draining,
            stop_tasks: CancellationToken::new(),
            tasks: TaskTracker::new(),
            stores: tokio::sync::Mutex::default(),
            parts: Mutex::default(),
            belongings: Mutex::default(),
        })))
    }
}

/// The faults that are to be injected, and a word of them that nobody overlooks.
fn faults(
    settings: &FaultSettings,
    profile: Profile,
    policies: &PolicyTable,
    clock: &Clock,
    ids: &Ids,
) -> Result<Faults, StartError> {
    let faults = Faults::new(settings, policies, clock, ids)
        .map_err(|error| StartError::config("faults", error.to_string()))?;
    if !faults.rules().is_empty() && profile == Profile::Production {
        return Err(StartError::config(
            "faults",
            "faults are never injected in the production profile; remove the rules",
        ));
    }
    for rule in faults.rules() {
        tracing::warn!(%rule, "a fault will be injected on purpose");
    }
    Ok(faults)
}

/// The cache: shared through Redis when there is one.
async fn cache(
    settings: &HubSettings,
    redis: &RedisSettings,
    clock: &Clock,
    ids: &Ids,
) -> Result<Cache, StartError> {
    let url = settings.redis_url.expose();
    if url.is_empty() {
        return Ok(Cache::in_process(clock.clone()));
    }
    let redis = Redis::connect(url, &settings.namespace, redis)
        .await
        .map_err(|error| StartError::config("hub", format!("redis_url: {error}")))?;
    Ok(Cache::over_redis(redis, clock.clone(), ids.clone()))
}

/// The bus: over a broker when there is one.
fn bus(
    settings: &HubSettings,
    policies: &PolicyTable,
    config: EventsConfig,
    clock: &Clock,
    ids: &Ids,
) -> Result<Bus, StartError> {
    if settings.amqp_url.expose().is_empty() {
        return Ok(Bus::new(config, clock.clone()));
    }
    let address = settings.broker(&config);
    Ok(Bus::over(
        address,
        Group::all_in(policies.graph()),
        config,
        clock.clone(),
        ids.clone(),
    )?)
}

/// The database that the settings name, if they name one.
fn database(settings: &HubSettings) -> Option<Database> {
    let given = |url: &Secret<String>| (!url.expose().is_empty()).then(|| url.clone());
    Some(Database {
        url: given(&settings.database_url)?,
        read_url: given(&settings.database_read_url),
    })
}
