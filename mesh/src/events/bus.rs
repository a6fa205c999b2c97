//! The bus: puts stores, relays and consumers together, and starts and stops them in order.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Audience, BrokerAddress, Consumer, DeadLetters, EventsConfig, Group,
    amqp::{Broker, BrokerTasks},
    dead_letters,
    lanes::{self, Inlet},
    post::{Post, Relayed},
    relay::{self, Progress},
    retention,
    rigged::RiggedConsumer,
    subscription::Subscription,
    topic,
};
use crate::{
    clock::Clock,
    fault::Faults,
    ids::Ids,
    simulation::Surroundings,
    store::{Store, StoreError},
};

/// How often the backlog is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a shutdown waits for events that are being relayed.
const RELAY_PATIENCE: Duration = Duration::from_secs(2);

/// Why the bus refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Consumers and stores are made known before the start.
    #[error("the bus has started already")]
    Started,
    /// Two consumers have one name; the inbox could not tell them apart.
    #[error("there are two consumers named {0}")]
    DuplicateConsumer(&'static str),
    /// Two stores have one name.
    #[error("there are two stores named {0}")]
    DuplicateStore(String),
    /// A consumer wants an event type that does not exist.
    #[error("consumer {consumer} wants {event_type}, which is not an event type")]
    UnknownEventType {
        /// The consumer.
        consumer: &'static str,
        /// What it asked for.
        event_type: &'static str,
    },
    /// The address of the broker cannot be used.
    #[error("the broker's address (AMQP_URL) cannot be used: {0}")]
    BrokerAddress(String),
    /// The broker refused.
    #[error("the broker: {0}")]
    Broker(String),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything in flight was finished.
    Finished,
    /// Time ran out; what was cut off is delivered again at the next start.
    TimedOut,
}

/// Events of a store that wait for some consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The store that emitted them.
    pub store: String,
    /// How many.
    pub events: u64,
    /// When the oldest was emitted.
    pub oldest: Option<DateTime<Utc>>,
}

/// The event bus of a process. Cheap to clone; it stops hard when the last handle goes away without
/// [`Bus::shutdown`].
///
/// ```ignore
/// let bus = Bus::new(EventsConfig::default(), clock);   // or Bus::over(...) with a broker
/// bus.attach(&orders_store)?;                          // its outbox is relayed
/// bus.subscribe(Arc::new(Charge::new()), &payments_store)?;
/// bus.start().await?;
/// // ...
/// bus.shutdown(Duration::from_secs(20)).await;
/// ```
#[derive(Clone, Debug)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: EventsConfig,
    clock: Clock,
    carrier: Carrier,
    members: Mutex<Members>,
    progress: Relayed,
    running: tokio::sync::Mutex<Option<Running>>,
}

/// What carries events from relays to consumers.
#[derive(Debug)]
enum Carrier {
    /// Nothing: both are in this process.
    Process,
    Broker {
        address: BrokerAddress,
        /// The consumer groups of the whole installation.
        groups: Vec<Group>,
        ids: Ids,
        broker: OnceLock<Arc<Broker>>,
    },
    /// Through the broker of a simulation.
    Simulated(Arc<dyn Surroundings>),
}

#[derive(Debug, Default)]
struct Members {
    /// Stores whose outbox is relayed.
    producers: Vec<Store>,
    subscriptions: Vec<Arc<Subscription>>,
    faults: Faults,
    phase: Phase,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Gathering,
    Started,
}

#[derive(Debug)]
struct Running {
    stop_posts: CancellationToken,
    posts: JoinSet<()>,
    stop_listeners: CancellationToken,
    listeners: JoinSet<()>,
    background: JoinSet<()>,
    broker: Option<BrokerTasks>,
}

impl Bus {
    /// A bus without members whose events stay in this process.
    pub fn new(config: EventsConfig, clock: Clock) -> Self {
        Self::with_carrier(config, clock, Carrier::Process)
    }

    /// A bus without members whose events go through the broker of a simulation.
    pub(crate) fn simulated(
        config: EventsConfig,
        clock: Clock,
        surroundings: Arc<dyn Surroundings>,
    ) -> Self {
        Self::with_carrier(config, clock, Carrier::Simulated(surroundings))
    }

    /// A bus without members whose events go through a broker. `groups` are the consumer groups of the whole
    /// installation, whichever process runs them.
    ///
    /// # Errors
    /// [`BusError::BrokerAddress`]; whether the broker is there does not matter.
    pub fn over(
        address: BrokerAddress,
        groups: Vec<Group>,
        config: EventsConfig,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, BusError> {
        address.check()?;
        let broker = OnceLock::new();
        let carrier = Carrier::Broker {
            address,
            groups,
            ids,
            broker,
        };
        Ok(Self::with_carrier(config, clock, carrier))
    }

    fn with_carrier(config: EventsConfig, clock: Clock, carrier: Carrier) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                clock,
                carrier,
                members: Mutex::default(),
                progress: Relayed::default(),
                running: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// Makes things go wrong with events, for consumers that are made known from now on.
    pub(crate) fn rig(&self, faults: Faults) {
        self.inner.members.lock().faults = faults;
    }

    /// Whether events go through a broker to other processes.
    pub fn has_broker(&self) -> bool {
        matches!(self.inner.carrier, Carrier::Broker { .. })
    }

    /// What is wrong with the way to the broker; nothing when events come and go, or need no broker.
    pub fn broker_trouble(&self) -> Option<String> {
        match &self.inner.carrier {
            Carrier::Process | Carrier::Simulated(_) => None,
            Carrier::Broker { broker, .. } => match broker.get() {
                Some(broker) => broker.trouble(),
                None => Some("not connected yet".to_owned()),
            },
        }
    }

    /// Relays what `store` has in its outbox, from the start of the bus on. Attaching a store twice is
    /// harmless.
    ///
    /// # Errors
    /// [`BusError::Started`], [`BusError::DuplicateStore`] for another store of the same name.
    pub fn attach(&self, store: &Store) -> Result<(), BusError> {
        let mut members = self.gathering()?;
        for known in &members.producers {
            if known.is_same(store) {
                return Ok(());
            }
            if known.name() == store.name() {
                return Err(BusError::DuplicateStore(store.name().to_owned()));
            }
        }
        members.producers.push(store.clone());
        Ok(())
    }

    /// Delivers events to `consumer`, whose effects go to `store`.
    ///
    /// # Errors
    /// [`BusError::Started`], [`BusError::DuplicateConsumer`], [`BusError::UnknownEventType`].
    pub fn subscribe(&self, consumer: Arc<dyn Consumer>, store: &Store) -> Result<(), BusError> {
        let mut members = self.gathering()?;
        let name = consumer.name();
        if members
            .subscriptions
            .iter()
            .any(|known| known.name() == name)
        {
            return Err(BusError::DuplicateConsumer(name));
        }
        for event_type in consumer.event_types() {
            if topic(event_type).is_none() {
                return Err(BusError::UnknownEventType {
                    consumer: name,
                    event_type,
                });
            }
        }
        let consumer = RiggedConsumer::where_wanted(consumer, &members.faults);
        let schedule = self.inner.config.retry_schedule();
        let subscription =
            Subscription::new(consumer, store.clone(), self.inner.clock.clone(), schedule);
        members.subscriptions.push(Arc::new(subscription));
        Ok(())
    }

    /// Starts relays and consumers. Nothing is delivered before. A broker that is away is not waited for.
    ///
    /// # Errors
    /// [`BusError::Started`], or a store's error.
    pub async fn start(&self) -> Result<(), BusError> {
        let mut running = self.inner.running.lock().await;
        let (producers, subscriptions, faults) = {
            let mut members = self.gathering()?;
            members.phase = Phase::Started;
            (
                members.producers.clone(),
                members.subscriptions.clone(),
                members.faults.clone(),
            )
        };
        let Inner { config, clock, .. } = self.inner.as_ref();
        let (here, shared): (Vec<_>, Vec<_>) = subscriptions
            .iter()
            .cloned()
            .partition(|known| known.consumer().audience() == Audience::EveryProcess);
        let (broker, broker_tasks) = self.connect(&shared)?.unzip();

        let stop_listeners = CancellationToken::new();
        let mut listener_tasks = JoinSet::new();
        let mut listeners = Vec::new();
        for listener in here {
            let (inlet, receivers) = Inlet::new(listener.consumer().lanes());
            let ended = lanes::run(&listener, receivers, &stop_listeners, &mut listener_tasks);
            if let Some(broker) = &broker {
                broker.listen_here(
                    &listener,
                    &inlet,
                    ended,
                    &stop_listeners,
                    &mut listener_tasks,
                );
            }
            listeners.push((listener, inlet));
        }

        let stop_posts = CancellationToken::new();
        let mut posts = JoinSet::new();
        for (relayed, subscriptions) in self.split(&producers, shared) {
            let post = Post {
                relayed,
                subscriptions,
                listeners: listeners.clone(),
                broker: broker.clone(),
                surroundings: self.surroundings(),
                config: config.clone(),
                clock: clock.clone(),
                faults: faults.clone(),
                progress: Arc::clone(&self.inner.progress),
            };
            let begun = if post.leadership().is_undisputed() {
                Some(post.begin().await?)
            } else {
                None
            };
            posts.spawn(post.run(begun, stop_posts.clone()));
        }

        let mut background = JoinSet::new();
        let relayed: Arc<[Store]> = producers.as_slice().into();
        for (store, consumers) in by_store(&producers, &subscriptions) {
            background.spawn(retention::run(
                store,
                consumers,
                Arc::clone(&relayed),
                config.clone(),
                clock.clone(),
                stop_posts.clone(),
            ));
        }
        background.spawn(measure(
            Arc::downgrade(&self.inner),
            clock.clone(),
            stop_posts.clone(),
        ));
        *running = Some(Running {
            stop_posts,
            posts,
            stop_listeners,
            listeners: listener_tasks,
            background,
            broker: broker_tasks,
        });
        Ok(())
    }

    /// Begins to connect to the broker, if there is one.
    fn connect(
        &self,
        shared: &[Arc<Subscription>],
    ) -> Result<Option<(Arc<Broker>, BrokerTasks)>, BusError> {
        let Carrier::Broker {
            address,
            groups,
            ids,
            broker: place,
        } = &self.inner.carrier
        else {
            return Ok(None);
        };
        let own = shared.iter().map(|subscription| Group {
            consumer: subscription.name().to_owned(),
            events: subscription
                .consumer()
                .event_types()
                .iter()
                .map(ToString::to_string)
                .collect(),
        });
        let (broker, tasks) = Broker::start(
            address,
            own.chain(groups.iter().cloned()).collect(),
            shared
                .iter()
                .map(|subscription| subscription.name())
                .collect(),
            &self.inner.config,
            &self.inner.clock,
            ids,
        )?;
        let broker = Arc::clone(place.get_or_init(|| Arc::new(broker)));
        Ok(Some((broker, tasks)))
    }

    fn surroundings(&self) -> Option<Arc<dyn Surroundings>> {
        match &self.inner.carrier {
            Carrier::Simulated(surroundings) => Some(Arc::clone(surroundings)),
            Carrier::Process | Carrier::Broker { .. } => None,
        }
    }

    /// The posts: with a broker each relay and each consumer for itself, else all together.
    fn split(
        &self,
        producers: &[Store],
        shared: Vec<Arc<Subscription>>,
    ) -> Vec<(Vec<Store>, Vec<Arc<Subscription>>)> {
        match &self.inner.carrier {
            Carrier::Process | Carrier::Simulated(_) => vec![(producers.to_vec(), shared)],
            Carrier::Broker { .. } => {
                let relays = producers
                    .iter()
                    .map(|store| (vec![store.clone()], Vec::new()));
                let consumers = shared
                    .into_iter()
                    .map(|subscription| (Vec::new(), vec![subscription]));
                relays.chain(consumers).collect()
            }
        }
    }

    /// Stops handing over, finishes the deliveries that are being handled, and makes durable what was relayed.
    /// After `limit` it gives up what is not finished.
    pub async fn shutdown(&self, limit: Duration) -> Drained {
        let Some(mut running) = self.inner.running.lock().await.take() else {
            return Drained::Finished;
        };
        running.stop_posts.cancel();
        running.stop_listeners.cancel();
        let broker = running.broker.take();
        let ending = async {
            while running.posts.join_next().await.is_some() {}
            while running.listeners.join_next().await.is_some() {}
            while running.background.join_next().await.is_some() {}
            if let Some(broker) = broker {
                self.confirmed().await;
                broker.close().await;
            }
        };
        let drained = match self.inner.clock.timeout(limit, ending).await {
            Ok(()) => Drained::Finished,
            Err(_) => Drained::TimedOut,
        };
        drop(running);
        let progress = std::mem::take(&mut *self.inner.progress.lock());
        for (store, progress) in progress {
            if let Err(error) = progress.flush(&store).await {
                tracing::warn!(store = store.name(), %error, "it was not recorded what was relayed");
            }
        }
        drained
    }

    /// Waits a little until the broker has confirmed what was handed over.
    async fn confirmed(&self) {
        const LOOK: Duration = Duration::from_millis(10);
        let clock = &self.inner.clock;
        let waiting = async {
            while self.broker_trouble().is_none()
                && self
                    .inner
                    .progress
                    .lock()
                    .iter()
                    .any(|(_, progress)| progress.in_flight() > 0)
            {
                clock.sleep(LOOK).await;
            }
        };
        // What is not confirmed by then is published again.
        let _ = clock.timeout(RELAY_PATIENCE, waiting).await;
    }

    /// The dead letters of all members.
    pub fn dead_letters(&self) -> DeadLetters {
        let members = self.inner.members.lock();
        let stores = by_store(&members.producers, &members.subscriptions)
            .into_iter()
            .map(|(store, _)| store)
            .collect();
        DeadLetters::new(stores, members.subscriptions.clone())
    }

    /// How many events wait, for every store whose outbox is relayed.
    ///
    /// # Errors
    /// A store's.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        let producers = self.inner.members.lock().producers.clone();
        let mut backlog = Vec::with_capacity(producers.len());
        for store in producers {
            let progress = self.progress_of(&store);
            let unrelayed = relay::unrelayed(&store, progress.as_ref()).await?;
            let name = store.name().to_owned();
            let age = unrelayed.oldest.map_or(0.0, |oldest| {
                (self.inner.clock.now() - oldest).num_milliseconds() as f64 / 1000.0
            });
            metrics::gauge!("hub_outbox_depth", "store" => name.clone())
                .set(unrelayed.events as f64);
            metrics::gauge!("hub_outbox_age_seconds", "store" => name.clone()).set(age);
            backlog.push(Backlog {
                store: name,
                events: unrelayed.events,
                oldest: unrelayed.oldest,
            });
        }
        Ok(backlog)
    }

    fn progress_of(&self, store: &Store) -> Option<Progress> {
        self.inner
            .progress
            .lock()
            .iter()
            .find(|(known, _)| known.is_same(store))
            .map(|(_, progress)| progress.clone())
    }

    /// How many events of a store are handed over and not taken.
    #[cfg(test)]
    pub(super) fn in_flight(&self, store: &Store) -> usize {
        self.progress_of(store)
            .map_or(0, |progress| progress.in_flight())
    }

    /// Shows how many dead letters wait for a decision.
    async fn count_dead_letters(&self) -> Result<(), StoreError> {
        let stores = {
            let members = self.inner.members.lock();
            by_store(&members.producers, &members.subscriptions)
        };
        for (store, _) in stores {
            let waiting = dead_letters::waiting(&store).await?;
            metrics::gauge!("hub_dead_letters", "store" => store.name().to_owned())
                .set(waiting as f64);
        }
        Ok(())
    }

    fn gathering(&self) -> Result<parking_lot::MutexGuard<'_, Members>, BusError> {
        let members = self.inner.members.lock();
        match members.phase {
            Phase::Gathering => Ok(members),
            Phase::Started => Err(BusError::Started),
        }
    }
}

/// Shows the backlog as metrics from time to time.
async fn measure(bus: Weak<Inner>, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(MEASURE_INTERVAL) => {}
        }
        let Some(inner) = bus.upgrade() else { return };
        let bus = Bus { inner };
        tokio::select! {
            () = stop.cancelled() => return,
            measured = async { bus.backlog().await?; bus.count_dead_letters().await } => {
                if let Err(error) = measured {
                    tracing::warn!(%error, "the backlog of events cannot be measured");
                }
            }
        }
    }
}

/// Every store once, with the consumers whose inbox it keeps.
fn by_store(
    producers: &[Store],
    subscriptions: &[Arc<Subscription>],
) -> Vec<(Store, Vec<&'static str>)> {
    let mut order = Vec::new();
    let mut consumers: HashMap<String, Vec<&'static str>> = HashMap::new();
    for store in producers.iter().chain(
        subscriptions
            .iter()
            .map(|subscription| subscription.store()),
    ) {
        if consumers
            .insert(store.name().to_owned(), Vec::new())
            .is_none()
        {
            order.push(store.clone());
        }
    }
    for subscription in subscriptions {
        if let Some(names) = consumers.get_mut(subscription.store().name()) {
            names.push(subscription.name());
        }
    }
    order
        .into_iter()
        .map(|store| {
            let names = consumers.remove(store.name()).unwrap_or_default();
            (store, names)
        })
        .collect()
}
