//! Events between services: outbox, relay, inbox, retries and dead letters.
//!
//! A service announces a state change by [`Tx::emit`](crate::store::Tx::emit) inside the transaction that
//! makes it, so an event exists exactly when its change does. Each store's *relay* reads the outbox and hands
//! every event to the [`Transport`], the lanes of the consumers in this process or a broker; what was taken is
//! durably recorded, by a watermark on SQLite and by marks on PostgreSQL. A [`Consumer`] reacts; its [`Effect`] and an inbox row commit together, so an event that
//! arrives twice has its effect once.
//!
//! Events that share an ordering key are handled one after the other per consumer. When a delivery fails it is
//! *parked* durably and tried again on a schedule; later events of the same key wait behind it, other keys
//! go on. What keeps failing becomes a dead letter with the whole event and the error.
//!
//! What is promised: delivery at least once, effects exactly once, order per key and producer. What is not:
//! any order between events of different producers.

mod amqp;
mod bus;
mod config;
mod consumer;
mod dead_letters;
mod emission;
mod inbox;
mod lanes;
mod leadership;
mod marks;
mod measures;
mod parking;
mod post;
mod relay;
mod retention;
mod retries;
mod rigged;
mod simulated;
mod subscription;
mod transport;
mod types;
mod window;

#[cfg(test)]
mod tests;

pub use amqp::{BrokerAddress, Group, SLOTS, Topology, slot};
pub use bus::{Backlog, Bus, BusError, Drained};
pub use config::{EventsConfig, QueueType};
pub use consumer::{Audience, Consumer, Effect, ReactError};
pub use contracts::hub::events::v1::{Envelope, envelope::Data};
pub use dead_letters::{
    DeadLetter, DeadLetterError, DeadLetterQuery, DeadLetters, Discarded, Discards,
};
pub use emission::Emission;
pub use simulated::Intake;
pub use transport::{Delivery, Receipt, Redelivery, Transport};
pub use types::{EVENT_TYPES, event_type, topic};
