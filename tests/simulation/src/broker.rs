//! The broker: a queue per consumer that survives everybody, and connections that do not.
//!
//! It promises what RabbitMQ's quorum queues with publisher confirms promise: a confirmed message is in every
//! queue that wants it, and stays there until it is acknowledged. It promises nothing else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use mesh::{
    events::Envelope,
    simulation::{Delivery, Intake, Receipt, Redelivery},
};

use crate::{
    bug::Bug,
    world::{Place, State, World},
};

/// Queues by consumer.
#[derive(Debug, Default)]
pub struct Broker {
    queues: BTreeMap<&'static str, Queue>,
    last: u64,
}

#[derive(Debug)]
struct Queue {
    process: usize,
    event_types: &'static [&'static str],
    /// Where deliveries go while the consumer's process lives.
    intake: Option<Intake>,
    /// Messages that are not acknowledged.
    messages: BTreeMap<u64, Message>,
    /// When the last message that keeps the order arrives.
    in_order: Duration,
}

#[derive(Clone, Debug)]
struct Message {
    envelope: Arc<Envelope>,
    encoded: Bytes,
    redelivery: Redelivery,
}

impl Broker {
    /// A process has gone, and its connections with it.
    pub(crate) fn disconnect(&mut self, process: usize) {
        for queue in self.queues.values_mut() {
            if queue.process == process {
                queue.intake = None;
            }
        }
    }

    /// How many messages nobody has acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.queues.values().map(|queue| queue.messages.len()).sum()
    }
}

/// A consumer connects: everything that is not acknowledged comes (again).
pub(crate) fn listen(
    place: &Place,
    name: &'static str,
    event_types: &'static [&'static str],
    intake: Intake,
) {
    place.world.with(|state| {
        let now = state.now;
        let queue = state.broker.queues.entry(name).or_insert_with(|| Queue {
            process: place.process,
            event_types,
            intake: None,
            messages: BTreeMap::new(),
            in_order: now,
        });
        queue.intake = Some(intake);
        for message in queue.messages.values_mut() {
            message.redelivery = Redelivery::Possible;
        }
        let waiting: Vec<u64> = queue.messages.keys().copied().collect();
        for id in waiting {
            send(state, name, id);
        }
    });
}

/// Takes an event from a relay.
pub(crate) fn publish(place: &Place, delivery: Delivery) {
    let message = Message {
        envelope: delivery.envelope,
        encoded: delivery.encoded,
        redelivery: delivery.redelivery,
    };
    place
        .world
        .with(|state| attempt(state, place.clone(), message, delivery.receipt));
}

/// Sends a message to the broker, again and again until it is confirmed or the process is gone.
fn attempt(state: &mut State, place: Place, message: Message, receipt: Receipt) {
    let faults = state.faults;
    if state.dice.hits(faults.publish_lost) {
        let kind = &message.envelope.event_type;
        state.note(format_args!(
            "{} loses {kind} on its way to the broker",
            place.name()
        ));
        if state.bug == Some(Bug::ConfirmBeforeStored) {
            let way = state.dice.micros(100, 2_000);
            state.after(way, move |world| confirm(world, &place, receipt));
        } else {
            again(state, place, message, receipt);
        }
        return;
    }
    let way = state.dice.micros(100, 2_000);
    state.after(way, move |world| {
        world.with(|state| store(state, place, message, receipt));
    });
}

fn again(state: &mut State, place: Place, message: Message, receipt: Receipt) {
    let pause = state.dice.micros(500_000, 5_000_000);
    state.after(pause, move |world| {
        world.with(|state| {
            // A relay that has died leaves it to its successor.
            if state.lives(place.process, place.life) {
                attempt(state, place, message, receipt);
            }
        });
    });
}

fn store(state: &mut State, place: Place, message: Message, receipt: Receipt) {
    let kind = message.envelope.event_type.clone();
    let key = message.envelope.ordering_key.clone();
    state.note(format_args!("{} publishes {kind} of {key}", place.name()));
    let wanting: Vec<&'static str> = state
        .broker
        .queues
        .iter()
        .filter(|(_, queue)| queue.event_types.contains(&kind.as_str()))
        .map(|(name, _)| *name)
        .collect();
    for name in wanting {
        state.broker.last += 1;
        let id = state.broker.last;
        if let Some(queue) = state.broker.queues.get_mut(name) {
            queue.messages.insert(id, message.clone());
        }
        send(state, name, id);
    }
    let faults = state.faults;
    if state.dice.hits(faults.confirm_lost) {
        state.note(format_args!("the confirmation of {kind} of {key} is lost"));
        again(state, place, message, receipt);
    } else {
        let way = state.dice.micros(100, 2_000);
        state.after(way, move |world| confirm(world, &place, receipt));
    }
}

fn confirm(world: &Arc<World>, place: &Place, receipt: Receipt) {
    if world.with(|state| state.lives(place.process, place.life)) {
        receipt.taken();
        world.with(|state| state.wake(place.process));
    }
}

/// Sends a message to its consumer.
fn send(state: &mut State, name: &'static str, id: u64) {
    let faults = state.faults;
    let way = state.dice.micros(100, 2_000);
    if state.dice.hits(faults.delivered_late) {
        let late = state.dice.micros(10_000, 60_000_000);
        state.after(late, move |world| deliver(world, name, id));
    } else {
        let now = state.now;
        let Some(queue) = state.broker.queues.get_mut(name) else {
            return;
        };
        // A queue is in order as long as nothing goes wrong.
        queue.in_order = queue.in_order.max(now + way);
        let wait = queue.in_order - now;
        state.after(wait, move |world| deliver(world, name, id));
    }
    if state.dice.hits(faults.delivered_twice) {
        let later = state.dice.micros(100, 10_000_000);
        state.after(later, move |world| deliver(world, name, id));
    }
}

fn deliver(world: &Arc<World>, name: &'static str, id: u64) {
    let taken = world.with(|state| {
        let queue = state.broker.queues.get_mut(name)?;
        let process = queue.process;
        let intake = queue.intake.clone()?;
        let message = queue.messages.get(&id)?.clone();
        if state.bug == Some(Bug::AcknowledgeBeforeEffect) {
            queue.messages.remove(&id);
        }
        let kind = &message.envelope.event_type;
        let key = &message.envelope.ordering_key;
        state.note(format_args!("{name} gets {kind} of {key} as {id}"));
        state.wake(process);
        Some((intake, message))
    });
    // Acknowledged meanwhile, or the consumer is gone and will be sent everything when it is back.
    let Some((intake, message)) = taken else {
        return;
    };
    let world = Arc::clone(world);
    intake.deliver(
        message.envelope,
        message.encoded,
        message.redelivery,
        Box::new(move || acknowledge(&world, name, id)),
    );
}

fn acknowledge(world: &Arc<World>, name: &'static str, id: u64) {
    world.with(|state| {
        let faults = state.faults;
        if state.dice.hits(faults.ack_lost) {
            state.note(format_args!(
                "{name} takes {id}, and the broker does not hear of it"
            ));
            let Some(message) = state
                .broker
                .queues
                .get_mut(name)
                .and_then(|queue| queue.messages.get_mut(&id))
            else {
                return;
            };
            message.redelivery = Redelivery::Possible;
            let pause = state.dice.micros(100_000, 20_000_000);
            state.after(pause, move |world| deliver(world, name, id));
            return;
        }
        state.note(format_args!("{name} takes {id}"));
        if let Some(queue) = state.broker.queues.get_mut(name) {
            queue.messages.remove(&id);
        }
    });
}
