//! A post: relays and consumers that work where their leases are held.
//!
//! Without a broker events never leave the process, so its relays and consumers are one post: a second process
//! on the same database stands by as a whole. With a broker each relay and each consumer is a post of its own,
//! and the processes share them out.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    EventsConfig, amqp,
    lanes::{self, Inlet},
    leadership::{Leadership, Term},
    relay::{Progress, Relay},
    retries,
    rigged::RiggedTransport,
    simulated::{Intake, Outlet},
    subscription::Subscription,
    transport::{InProcess, Transport},
};
use crate::{
    clock::Clock,
    fault::Faults,
    simulation::Surroundings,
    store::{Store, StoreError},
};

/// Pause after the work could not begin.
const PAUSE: Duration = Duration::from_secs(1);
/// How long work may take to end after its leases were lost. Somebody else has begun by then; the inbox keeps
/// effects from happening twice.
const HURRY: Duration = Duration::from_secs(5);

/// How far the relays of this process are, by store.
pub(super) type Relayed = Arc<Mutex<Vec<(Store, Progress)>>>;

/// Relays and consumers that one process at a time runs.
pub(super) struct Post {
    pub(super) relayed: Vec<Store>,
    pub(super) subscriptions: Vec<Arc<Subscription>>,
    /// Consumers of this post's relays that every process runs for itself.
    pub(super) listeners: Vec<(Arc<Subscription>, Inlet)>,
    pub(super) broker: Option<Arc<amqp::Broker>>,
    pub(super) surroundings: Option<Arc<dyn Surroundings>>,
    pub(super) config: EventsConfig,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) progress: Relayed,
}

/// The tasks of a post that works.
pub(super) struct Working {
    stop_relays: CancellationToken,
    relays: JoinSet<()>,
    stop_lanes: CancellationToken,
    lanes: JoinSet<()>,
    background: JoinSet<()>,
}

impl Post {
    pub(super) fn leadership(&self) -> Leadership {
        Leadership::over(
            &self.relayed,
            self.subscriptions.iter().map(Arc::as_ref),
            self.clock.clone(),
        )
    }

    /// Works whenever the leases are held, until `stop` is cancelled and the work has ended. `begun` is work
    /// that has begun already.
    pub(super) async fn run(self, mut begun: Option<Working>, stop: CancellationToken) {
        let leadership = self.leadership();
        loop {
            let term = match begun {
                Some(_) => Term::undisputed(),
                None => match leadership.gain(&stop).await {
                    Some(term) => term,
                    None => return,
                },
            };
            let working = match begun.take() {
                Some(working) => working,
                None => match self.begin().await {
                    Ok(working) => working,
                    Err(error) => {
                        tracing::error!(%error, "relays and consumers cannot begin");
                        drop(term);
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = self.clock.sleep(PAUSE) => continue,
                        }
                    }
                },
            };
            tokio::select! {
                () = stop.cancelled() => {
                    working.end().await;
                    return;
                }
                () = term.lost() => {
                    tracing::warn!(post = self.name(), "another process takes over");
                    if self.clock.timeout(HURRY, working.end()).await.is_err() {
                        tracing::warn!(post = self.name(), "work was cut off");
                    }
                }
            }
        }
    }

    /// Starts the tasks.
    pub(super) async fn begin(&self) -> Result<Working, StoreError> {
        let stop_relays = CancellationToken::new();
        let stop_lanes = CancellationToken::new();
        let (mut relays, mut lanes, mut background) =
            (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let mut inlets = Vec::new();
        for subscription in &self.subscriptions {
            let (inlet, receivers) = Inlet::new(subscription.consumer().lanes());
            // Before the first delivery, or it could overtake one that is parked.
            subscription.load().await?;
            let ended = lanes::run(subscription, receivers, &stop_lanes, &mut lanes);
            lanes.spawn(retries::run(
                Arc::clone(subscription),
                inlet.clone(),
                stop_lanes.clone(),
            ));
            lanes.spawn(retries::look_for_parked(
                Arc::clone(subscription),
                stop_lanes.clone(),
            ));
            if let Some(broker) = &self.broker {
                broker.listen(subscription, &inlet, ended, &stop_lanes, &mut lanes);
            }
            inlets.push(inlet);
        }
        let transport: Arc<dyn Transport> = match (&self.broker, &self.surroundings) {
            (Some(broker), _) => broker.publisher(),
            (None, Some(surroundings)) => self.in_simulation(surroundings, &inlets),
            (None, None) => Arc::new(InProcess::new(
                self.subscriptions.iter().zip(&inlets).chain(
                    self.listeners
                        .iter()
                        .map(|(listener, inlet)| (listener, inlet)),
                ),
            )),
        };
        let transport = RiggedTransport::where_wanted(transport, &self.faults, &self.clock);
        for store in &self.relayed {
            let relay = Relay::resume(
                store.clone(),
                Arc::clone(&transport),
                self.clock.clone(),
                &self.config,
            )
            .await?;
            let mut progress = self.progress.lock();
            progress.retain(|(known, _)| !known.is_same(store));
            progress.push((store.clone(), relay.progress()));
            drop(progress);
            background.spawn(relay.keep_progress(stop_lanes.clone()));
            relays.spawn(relay.run(stop_relays.clone()));
        }
        Ok(Working {
            stop_relays,
            relays,
            stop_lanes,
            lanes,
            background,
        })
    }

    /// Everything comes from, and goes to, the broker of the simulation.
    fn in_simulation(
        &self,
        surroundings: &Arc<dyn Surroundings>,
        inlets: &[Inlet],
    ) -> Arc<dyn Transport> {
        let groups = self.subscriptions.iter().zip(inlets);
        let listeners = self.listeners.iter().map(|(known, inlet)| (known, inlet));
        for (subscription, inlet) in groups.chain(listeners) {
            surroundings.listen(
                subscription.name(),
                subscription.consumer().event_types(),
                Intake(inlet.clone()),
            );
        }
        Arc::new(Outlet(Arc::clone(surroundings)))
    }

    fn name(&self) -> String {
        let relays = self
            .relayed
            .iter()
            .map(|store| format!("relay:{}", store.name()));
        let consumers = self
            .subscriptions
            .iter()
            .map(|subscription| subscription.name().to_owned());
        relays.chain(consumers).collect::<Vec<_>>().join(", ")
    }
}

impl Working {
    /// Stops handing over and finishes the deliveries that are being handled.
    async fn end(mut self) {
        self.stop_relays.cancel();
        self.stop_lanes.cancel();
        while self.relays.join_next().await.is_some() {}
        while self.lanes.join_next().await.is_some() {}
        while self.background.join_next().await.is_some() {}
    }
}
