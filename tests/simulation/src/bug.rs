//! Bugs that are planted to see whether the simulation finds them.
//!
//! None of them touches the services: they are in the disks and in the broker of the simulation, where they
//! undo what a line of the real code does.

use crate::{process::Role, world::State};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bug {
    /// Consumers do not remember which events they have handled.
    NoInbox,
    /// Inventory forgets that an order was cancelled before its reservation came.
    NoReservationTombstone,
    /// Payments forgets that an order was cancelled before its charge came.
    NoPaymentTombstone,
    /// The outbox counts an event as relayed although the broker does not have it.
    ConfirmBeforeStored,
    /// The broker forgets a message when it is delivered, before the consumer has committed its effect.
    AcknowledgeBeforeEffect,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoInbox,
        Self::NoReservationTombstone,
        Self::NoPaymentTombstone,
        Self::ConfirmBeforeStored,
        Self::AcknowledgeBeforeEffect,
    ];

    fn on_disks(self) -> &'static [(Role, &'static str)] {
        const FORGET: &str = "CREATE TRIGGER planted_bug AFTER INSERT ON inbox BEGIN \
             DELETE FROM inbox WHERE consumer = NEW.consumer AND event_id = NEW.event_id; END";
        match self {
            Self::NoInbox => &[
                (Role::Inventory, FORGET),
                (Role::Cart, FORGET),
                (Role::Orders, FORGET),
                (Role::Payments, FORGET),
                (Role::Shipping, FORGET),
            ],
            Self::NoReservationTombstone => &[(
                Role::Inventory,
                "CREATE TRIGGER planted_bug AFTER INSERT ON holds WHEN NEW.status = 'released' BEGIN \
                 DELETE FROM holds WHERE order_id = NEW.order_id; END",
            )],
            Self::NoPaymentTombstone => &[(
                Role::Payments,
                "CREATE TRIGGER planted_bug AFTER INSERT ON payments WHEN NEW.currency = '' BEGIN \
                 DELETE FROM payments WHERE order_id = NEW.order_id; END",
            )],
            Self::ConfirmBeforeStored | Self::AcknowledgeBeforeEffect => &[],
        }
    }

    /// Plants it.
    pub(crate) fn plant(self, state: &mut State) {
        for (role, sql) in self.on_disks() {
            if let Err(error) = state.disk(*role).batch(sql) {
                state
                    .violations
                    .push(format!("the bug {self:?} cannot be planted: {error}"));
            }
        }
    }
}
