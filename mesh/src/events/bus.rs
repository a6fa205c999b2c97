//! The bus: puts stores, relays and consumers together, and starts and stops them in order.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Consumer, DeadLetters, EventsConfig,
    lanes::{self, Inlet},
    relay::{self, Relay},
    retention, retries,
    subscription::Subscription,
    topic,
    transport::{InProcess, Transport},
    window::Window,
};
use crate::{
    args,
    clock::Clock,
    store::{Store, StoreError},
};

/// How often the backlog is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

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
/// let bus = Bus::new(EventsConfig::default(), clock);
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
    members: Mutex<Members>,
    running: tokio::sync::Mutex<Option<Running>>,
}

#[derive(Debug, Default)]
struct Members {
    /// Stores whose outbox is relayed.
    producers: Vec<Store>,
    subscriptions: Vec<Arc<Subscription>>,
    windows: Vec<(Store, Arc<Window>)>,
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
    stop_relays: CancellationToken,
    relays: JoinSet<()>,
    stop_lanes: CancellationToken,
    lanes: JoinSet<()>,
    background: JoinSet<()>,
}

impl Bus {
    /// A bus without members.
    pub fn new(config: EventsConfig, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                clock,
                members: Mutex::default(),
                running: tokio::sync::Mutex::default(),
            }),
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
        let subscription = Subscription::new(consumer, store.clone(), self.inner.clock.clone());
        members.subscriptions.push(Arc::new(subscription));
        Ok(())
    }

    /// Starts relays and consumers. Nothing is delivered before.
    ///
    /// # Errors
    /// [`BusError::Started`], or a store's error.
    pub async fn start(&self) -> Result<(), BusError> {
        let mut running = self.inner.running.lock().await;
        let (producers, subscriptions) = {
            let mut members = self.gathering()?;
            members.phase = Phase::Started;
            (members.producers.clone(), members.subscriptions.clone())
        };
        let Inner { config, clock, .. } = self.inner.as_ref();
        let stop_relays = CancellationToken::new();
        let stop_lanes = CancellationToken::new();
        let (mut relays, mut lanes, mut background) =
            (JoinSet::new(), JoinSet::new(), JoinSet::new());

        let mut inlets = Vec::new();
        for subscription in &subscriptions {
            let (inlet, receivers) = Inlet::new(subscription.consumer().lanes());
            // Before the first delivery, or it could overtake one that is parked.
            subscription.load().await?;
            lanes::run(subscription, receivers, &stop_lanes, &mut lanes);
            lanes.spawn(retries::run(
                Arc::clone(subscription),
                inlet.clone(),
                stop_lanes.clone(),
            ));
            inlets.push(inlet);
        }
        let transport: Arc<dyn Transport> =
            Arc::new(InProcess::new(subscriptions.iter().zip(&inlets)));

        let mut windows = Vec::new();
        for store in &producers {
            let relay =
                Relay::resume(store.clone(), Arc::clone(&transport), clock.clone(), config).await?;
            windows.push((store.clone(), relay.window()));
            background.spawn(relay.keep_watermark(stop_lanes.clone()));
            relays.spawn(relay.run(stop_relays.clone()));
        }
        let relayed: Arc<[Store]> = producers.as_slice().into();
        for (store, consumers) in by_store(&producers, &subscriptions) {
            background.spawn(retention::run(
                store,
                consumers,
                Arc::clone(&relayed),
                config.clone(),
                clock.clone(),
                stop_relays.clone(),
            ));
        }
        background.spawn(measure(
            Arc::downgrade(&self.inner),
            clock.clone(),
            stop_relays.clone(),
        ));
        self.inner.members.lock().windows = windows;
        *running = Some(Running {
            stop_relays,
            relays,
            stop_lanes,
            lanes,
            background,
        });
        Ok(())
    }

    /// Stops handing over, finishes the deliveries that are being handled, and makes the watermarks durable.
    /// After `limit` it gives up what is not finished.
    pub async fn shutdown(&self, limit: Duration) -> Drained {
        let Some(mut running) = self.inner.running.lock().await.take() else {
            return Drained::Finished;
        };
        running.stop_relays.cancel();
        running.stop_lanes.cancel();
        let ending = async {
            while running.relays.join_next().await.is_some() {}
            while running.lanes.join_next().await.is_some() {}
            while running.background.join_next().await.is_some() {}
        };
        let drained = match self.inner.clock.timeout(limit, ending).await {
            Ok(()) => Drained::Finished,
            Err(_) => Drained::TimedOut,
        };
        drop(running);
        let windows = std::mem::take(&mut self.inner.members.lock().windows);
        for (store, window) in windows {
            if let Err(error) = relay::write_watermark(&store, window.low_mark()).await {
                tracing::warn!(store = store.name(), %error, "a watermark was not written");
            }
        }
        drained
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
        let (producers, windows) = {
            let members = self.inner.members.lock();
            (members.producers.clone(), members.windows.clone())
        };
        let mut backlog = Vec::with_capacity(producers.len());
        for store in producers {
            let window = windows.iter().find(|(known, _)| known.is_same(&store));
            let taken = match window {
                Some((_, window)) => window.low_mark(),
                None => relay::watermark(&store).await?,
            };
            let rows = store
                .scan(
                    "SELECT COUNT(*) AS events, MIN(created_at) AS oldest FROM outbox WHERE seq > $1",
                    args![taken],
                )
                .await?;
            let (events, oldest) = match rows.first() {
                Some(row) => (row.get("events")?, row.get("oldest")?),
                None => (0, None),
            };
            let name = store.name().to_owned();
            let age = oldest.map_or(0.0, |oldest: DateTime<Utc>| {
                (self.inner.clock.now() - oldest).num_milliseconds() as f64 / 1000.0
            });
            metrics::gauge!("hub_outbox_depth", "store" => name.clone()).set(events as f64);
            metrics::gauge!("hub_outbox_age_seconds", "store" => name.clone()).set(age);
            backlog.push(Backlog {
                store: name,
                events,
                oldest,
            });
        }
        Ok(backlog)
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
            backlog = bus.backlog() => {
                if let Err(error) = backlog {
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
