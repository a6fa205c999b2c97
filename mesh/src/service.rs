//! What a service crate registers: its RPCs, its store, its consumers, its background tasks.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService};

use crate::{
    config::ConfigError,
    events::{BusError, Consumer},
    policy::PolicyError,
    rpc::{InvalidPeer, OfTarget, RegisterError, RpcService, name_in},
    store::{Store, StoreError},
    tls::TlsError,
    validation::RuleError,
};

/// Tells a background task to end: `shutdown.cancelled().await`.
pub type Shutdown = CancellationToken;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a hub or a service cannot start. Each message is one line that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store cannot be opened or migrated.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policies of the contracts.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The validation rules of the contracts.
    #[error("the contract has a rule that cannot be enforced: {0}")]
    Rule(#[from] RuleError),
    /// An RPC service.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The event bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// An entry of `[peers]`.
    #[error(transparent)]
    Peer(#[from] InvalidPeer),
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data folder or a file in it.
    #[error("{path}: {source}")]
    DataDir {
        /// The path.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A consumer was added before any store.
    #[error("service {0} has a consumer, but no store for its effects")]
    ConsumerWithoutStore(&'static str),
    /// The hub was started before.
    #[error("the hub has started already")]
    Started,
    /// Anything else that a service needs and cannot get.
    #[error("{service}: {source}")]
    Other {
        /// The service.
        service: String,
        /// Why.
        source: BoxError,
    },
}

impl StartError {
    /// A value of the section `section` that has the right type but cannot be used.
    pub fn config(section: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config(ConfigError::Section {
            section: section.into(),
            message: message.into(),
        })
    }

    /// A service's own reason.
    pub fn other(service: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Other {
            service: service.into(),
            source: source.into(),
        }
    }
}

/// A service, ready to be started by [`Hub::start`](crate::Hub::start).
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) rpcs: Vec<(String, Box<dyn RpcService>)>,
    pub(crate) stores: Vec<Store>,
    pub(crate) consumers: Vec<(Arc<dyn Consumer>, Option<Store>)>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) checks: Vec<Check>,
    pub(crate) reach: Reach,
}

/// Which RPCs callers get at through a process that runs the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that it serves.
    #[default]
    Own,
    /// All: it passes calls on.
    All,
}

pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnOnce(Shutdown) -> BoxFuture<'static, Result<(), BoxError>> + Send>,
}

/// A readiness check of a service.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Service {
    /// Begins a service called `name`, as in configuration, metrics and `hub services`.
    pub fn builder(name: &'static str) -> ServiceBuilder {
        ServiceBuilder {
            service: Self {
                name,
                rpcs: Vec::new(),
                stores: Vec::new(),
                consumers: Vec::new(),
                tasks: Vec::new(),
                checks: Vec::new(),
                reach: Reach::Own,
            },
        }
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Adds the target's own server of a service that every target has.
    #[must_use]
    pub fn with_rpc_of_target<S>(mut self, server: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let name = name_in(S::NAME, self.name);
        self.rpcs.push((name, Box::new(OfTarget(server))));
        self
    }

    /// Its consumers of events.
    pub fn consumers(&self) -> impl Iterator<Item = &dyn Consumer> {
        self.consumers.iter().map(|(consumer, _)| consumer.as_ref())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field(
                "rpcs",
                &self.rpcs.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// Puts a [`Service`] together.
#[derive(Debug)]
#[must_use]
pub struct ServiceBuilder {
    service: Service,
}

impl ServiceBuilder {
    /// Adds a generated tonic server.
    pub fn rpc<S>(mut self, server: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.service
            .rpcs
            .push((S::NAME.to_owned(), Box::new(server)));
        self
    }

    /// Adds the service's store: its events are relayed, its health is watched, and it is closed at
    /// the end.
    pub fn store(mut self, store: Store) -> Self {
        self.service.stores.push(store);
        self
    }

    /// Adds a consumer of events. Its effects go to the store that was added last before it.
    pub fn consumer(mut self, consumer: impl Consumer) -> Self {
        let store = self.service.stores.last().cloned();
        self.service.consumers.push((Arc::new(consumer), store));
        self
    }

    /// Adds a background task. It is started when everything is registered, and is to end soon after
    /// the [`Shutdown`] it is given is cancelled. A task that panics or fails is logged and makes the
    /// service unready.
    pub fn task<F, Fut>(mut self, name: &'static str, task: F) -> Self
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: TaskOutcome,
    {
        self.service.tasks.push(Task {
            name,
            run: Box::new(move |shutdown| {
                let task = task(shutdown);
                Box::pin(async move { task.await.into_result() })
            }),
        });
        self
    }

    /// Says that the service passes calls on to all others: health is told for every one of them.
    pub fn edge(mut self) -> Self {
        self.service.reach = Reach::All;
        self
    }

    /// Adds a check that decides whether the service is ready; the error says why it is not.
    pub fn readiness<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.service.checks.push(Check {
            name,
            run: Arc::new(move || Box::pin(check())),
        });
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        self.service
    }
}

/// What a background task may return: nothing, or a result.
pub trait TaskOutcome: Send {
    /// The outcome as a result.
    ///
    /// # Errors
    /// The task's.
    fn into_result(self) -> Result<(), BoxError>;
}

impl TaskOutcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send> TaskOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}
