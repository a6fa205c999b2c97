//! Events over RabbitMQ.
//!
//! ```text
//! outbox ─► relay ─► publisher ─► exchange <ns>.<topic> ─► queue <ns>.<consumer> ─► intake ─► lanes ─► inbox
//!                                  key Type.slot            │ delivered too often
//!                                                           └─► <ns>.dead ─► <ns>.<consumer>.dead ─► dead letters
//! ```
//!
//! A consumer group has one durable queue with a single active consumer, so the order of a key that the producer
//! gave survives. What the broker promises is at least once; the inbox makes effects happen once. The broker may
//! be away for hours: outboxes fill, and empty when it is back. Reasons are in
//! `docs/adr/0012-events-over-rabbitmq.md`.

mod acks;
mod address;
mod depth;
mod intake;
mod link;
mod message;
mod names;
mod publisher;
mod topology;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use address::BrokerAddress;
pub use names::{SLOTS, slot};
pub use topology::{Group, Topology};

#[cfg(test)]
pub(super) use names::routing_key as routing_key_of;

use self::{
    intake::{Intake, Source},
    link::{Link, Purpose},
    names::Names,
    publisher::Publisher,
};
use super::{
    BusError, EventsConfig, lanes::Inlet, subscription::Subscription, transport::Transport,
};
use crate::{clock::Clock, ids::Ids};

/// The connections of a process to its broker.
#[derive(Debug)]
pub(super) struct Broker {
    outgoing: Arc<Link>,
    incoming: Arc<Link>,
    names: Names,
    publisher: Arc<Publisher>,
    /// Names this process among those with the same consumers.
    process: Uuid,
    prefetch: u16,
}

/// What a broker keeps running besides relays and consumers.
#[derive(Debug)]
pub(super) struct BrokerTasks {
    stop_publisher: CancellationToken,
    publisher: JoinSet<()>,
    stop_links: CancellationToken,
    links: JoinSet<()>,
}

impl Broker {
    /// Begins to connect. It does not wait for the broker.
    pub(super) fn start(
        address: &BrokerAddress,
        groups: Vec<Group>,
        measured: Vec<&'static str>,
        config: &EventsConfig,
        clock: &Clock,
        ids: &Ids,
    ) -> Result<(Self, BrokerTasks), BusError> {
        let endpoint = address.resolve(config.heartbeat_s)?;
        let topology = Topology::new(&address.namespace, groups, config);
        let names = topology.names().clone();
        let stop_links = CancellationToken::new();
        let stop_publisher = CancellationToken::new();
        let mut links = JoinSet::new();
        let mut open = |purpose| {
            let link = Arc::new(Link::new(
                purpose,
                endpoint.clone(),
                topology.clone(),
                clock.clone(),
                ids.clone(),
            ));
            let (kept, stop) = (Arc::clone(&link), stop_links.clone());
            links.spawn(async move { kept.keep(stop).await });
            link
        };
        let (outgoing, incoming) = (open(Purpose::Publish), open(Purpose::Consume));
        links.spawn(depth::run(
            Arc::clone(&incoming),
            names.clone(),
            measured,
            clock.clone(),
            stop_links.clone(),
        ));
        let mut lanes = JoinSet::new();
        let publisher = Publisher::start(
            Arc::clone(&outgoing),
            names.clone(),
            clock.clone(),
            config.confirm_batch,
            &stop_publisher,
            &mut lanes,
        );
        let broker = Self {
            outgoing,
            incoming,
            names,
            publisher: Arc::new(publisher),
            process: ids.uuid(),
            prefetch: config.prefetch.max(1),
        };
        let tasks = BrokerTasks {
            stop_publisher,
            publisher: lanes,
            stop_links,
            links,
        };
        Ok((broker, tasks))
    }

    /// Carries events to the broker.
    pub(super) fn publisher(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.publisher) as Arc<dyn Transport>
    }

    /// Leads the messages of a consumer into its lanes until `stop` is cancelled. `lanes_ended` is to be cancelled
    /// when the lanes have ended.
    pub(super) fn listen(
        &self,
        subscription: &Arc<Subscription>,
        inlet: &Inlet,
        lanes_ended: CancellationToken,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        let intake = self.intake(subscription, lanes_ended);
        tasks.spawn(intake.clone().run(Source::Dead, stop.clone()));
        tasks.spawn(intake.run(Source::Group(inlet.clone()), stop.clone()));
    }

    /// As [`Broker::listen`] for a consumer that every process runs for itself.
    pub(super) fn listen_here(
        &self,
        subscription: &Arc<Subscription>,
        inlet: &Inlet,
        lanes_ended: CancellationToken,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        let intake = self.intake(subscription, lanes_ended);
        let source = Source::Process(self.process, inlet.clone());
        tasks.spawn(intake.run(source, stop.clone()));
    }

    fn intake(&self, subscription: &Arc<Subscription>, lanes_ended: CancellationToken) -> Intake {
        Intake {
            link: Arc::clone(&self.incoming),
            names: self.names.clone(),
            subscription: Arc::clone(subscription),
            prefetch: self.prefetch,
            lanes_ended,
        }
    }

    /// Nothing when events come and go, else what is wrong.
    pub(super) fn trouble(&self) -> Option<String> {
        self.outgoing.trouble().or_else(|| self.incoming.trouble())
    }
}

impl BrokerTasks {
    /// Stops publishing.
    pub(super) async fn stop_publishing(&mut self) {
        self.stop_publisher.cancel();
        while self.publisher.join_next().await.is_some() {}
    }

    /// Closes the connections.
    pub(super) async fn close(mut self) {
        self.stop_publishing().await;
        self.stop_links.cancel();
        while self.links.join_next().await.is_some() {}
    }
}
