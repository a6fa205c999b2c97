//! The bus of a simulated process: events leave for, and arrive from, the broker of the simulation.

use std::sync::Arc;

use bytes::Bytes;

use super::{Delivery, Envelope, Receipt, Redelivery, Transport, lanes::Inlet, transport::Ledger};
use crate::simulation::{Acknowledgement, Surroundings};

/// Hands events over to the broker of the simulation.
#[derive(Debug)]
pub(super) struct Outlet(pub(super) Arc<dyn Surroundings>);

impl Transport for Outlet {
    fn hand_over(&self, delivery: Delivery) {
        self.0.publish(delivery);
    }
}

/// Where the broker of the simulation delivers events to one consumer.
#[derive(Clone, Debug)]
pub struct Intake(pub(super) Inlet);

impl Intake {
    /// Delivers an event. `taken` is called once it is in safe hands; when it never is, because the process
    /// ends first, the event has to be delivered again.
    pub fn deliver(
        &self,
        envelope: Arc<Envelope>,
        encoded: Bytes,
        redelivery: Redelivery,
        taken: Box<dyn FnOnce() + Send>,
    ) {
        let ledger: Arc<dyn Ledger> = Arc::new(Acknowledgement::new(taken));
        self.0.deliver(Delivery {
            envelope,
            encoded,
            redelivery,
            receipt: Receipt::new(ledger, 0),
        });
    }
}

impl Ledger for Acknowledgement {
    fn take(&self, _: u64) {
        self.give();
    }

    fn expect_more(&self, _: u64, _: u32) {}
}
