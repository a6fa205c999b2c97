//! The boundary between relays and consumers.
//!
//! A relay knows outboxes and what is left to relay, a consumer knows effects and inboxes; what lies between
//! them is a [`Transport`]. In one process that is a table from event type to lanes. A broker is another
//! implementation: it takes the receipt when the broker has confirmed the message, and on the other side
//! makes deliveries whose receipt acknowledges it (see [`super::amqp`]).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{Envelope, lanes::Inlet, subscription::Subscription};

/// Carries events from relays to consumers.
pub trait Transport: Send + Sync + 'static {
    /// Takes charge of a delivery. It never fails and never blocks: an event that cannot be passed on yet
    /// keeps its receipt untaken, which keeps the watermark before it and in the end stops the relay.
    fn hand_over(&self, delivery: Delivery);
}

/// An event on its way.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub envelope: Arc<Envelope>,
    /// The event as it was written: a newer version of the producer may have put more into it than this
    /// process can read.
    pub encoded: Bytes,
    /// Whether it may have been delivered before.
    pub redelivery: Redelivery,
    /// To be taken once the event is in safe hands.
    pub receipt: Receipt,
}

/// Whether an event may have been delivered before, so that asking the inbox first is worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// It was written after this relay started and is handed over for the first time.
    First,
    /// It was there when the relay started, or comes from a broker again.
    Possible,
}

/// Keeps account of the events that somebody still has to take.
pub(super) trait Ledger: std::fmt::Debug + Send + Sync + 'static {
    /// The event was taken once.
    fn take(&self, entry: u64);
    /// The event must be taken `more` times in addition.
    fn expect_more(&self, entry: u64, more: u32);
}

/// The sender's claim to hear when an event is in safe hands: confirmed by the broker, its effect committed,
/// parked, or a dead letter. What hearing it means depends on the sender: a watermark that moves, a mark in
/// the outbox, an acknowledgement to the broker. A receipt that is dropped untaken means that the event has to
/// be delivered again.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    ledger: Arc<dyn Ledger>,
    entry: u64,
}

impl Receipt {
    pub(super) fn new(ledger: Arc<dyn Ledger>, entry: u64) -> Self {
        Self { ledger, entry }
    }

    /// The event is in safe hands.
    pub fn taken(self) {
        self.ledger.take(self.entry);
    }

    /// Receipts for `count` takers, all of whom have to take the event. None means that it is taken.
    pub fn split(self, count: usize) -> impl Iterator<Item = Receipt> {
        match u32::try_from(count) {
            Ok(0) => self.ledger.take(self.entry),
            Ok(1) => {}
            Ok(count) => self.ledger.expect_more(self.entry, count - 1),
            // So many takers cannot exist; untaken, the event is at least not lost.
            Err(_) => {}
        }
        let (ledger, entry) = (self.ledger, self.entry);
        (0..count).map(move |_| Receipt::new(Arc::clone(&ledger), entry))
    }
}

/// The transport inside one process: every subscribed consumer gets the event into its lanes.
#[derive(Debug)]
pub(super) struct InProcess {
    routes: HashMap<&'static str, Vec<Inlet>>,
}

impl InProcess {
    pub(super) fn new<'a>(
        subscriptions: impl Iterator<Item = (&'a Arc<Subscription>, &'a Inlet)>,
    ) -> Self {
        let mut routes: HashMap<_, Vec<_>> = HashMap::new();
        for (subscription, inlet) in subscriptions {
            for event_type in subscription.consumer().event_types() {
                routes.entry(*event_type).or_default().push(inlet.clone());
            }
        }
        Self { routes }
    }
}

impl Transport for InProcess {
    fn hand_over(&self, delivery: Delivery) {
        let inlets = self
            .routes
            .get(delivery.envelope.event_type.as_str())
            .map_or(&[][..], Vec::as_slice);
        for (inlet, receipt) in inlets.iter().zip(delivery.receipt.split(inlets.len())) {
            inlet.deliver(Delivery {
                envelope: Arc::clone(&delivery.envelope),
                encoded: delivery.encoded.clone(),
                redelivery: delivery.redelivery,
                receipt,
            });
        }
    }
}
