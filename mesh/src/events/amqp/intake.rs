//! Takes messages from the broker and leads them into the lanes of a consumer.
//!
//! The broker sends ahead as many messages as the prefetch allows; that bounds what the lanes hold. A message is
//! acknowledged when its event is in safe hands. When the connection ends, what is in the lanes is finished, and
//! comes again from the broker: the inbox knows it then.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use lapin::{
    Channel,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use tokio_util::sync::CancellationToken;

use super::{
    acks::Acks,
    link::{Link, Session},
    message,
    names::{Names, all_slots},
};
use crate::{
    clock::Clock,
    events::{
        Audience,
        lanes::Inlet,
        subscription::Subscription,
        transport::{Delivery, Ledger, Receipt},
    },
};

/// Pause after a queue could not be consumed from.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a channel may take to close.
const PATIENCE: Duration = Duration::from_secs(2);
/// Dead messages that are moved at the same time.
const DEAD_PREFETCH: u16 = 16;

/// What is consumed, and for whom.
#[derive(Clone)]
pub(super) struct Intake {
    pub(super) link: Arc<Link>,
    pub(super) names: Names,
    pub(super) subscription: Arc<Subscription>,
    pub(super) prefetch: u16,
    /// Cancelled when the lanes have ended after `stop`.
    pub(super) lanes_ended: CancellationToken,
}

/// Where messages come from, and where they go.
pub(super) enum Source {
    /// The queue of the consumer group, into the lanes.
    Group(Inlet),
    /// A queue of this process, into the lanes.
    Process(uuid::Uuid, Inlet),
    /// What the broker has given up, into the dead letters of the consumer's store.
    Dead,
}

/// Why consuming ended.
enum End {
    Stopped,
    Failed(String),
}

impl From<lapin::Error> for End {
    fn from(error: lapin::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A channel that is consumed from.
struct Tap {
    channel: Channel,
    consumer: lapin::Consumer,
    acks: Arc<Acks>,
    clock: Clock,
}

impl Drop for Tap {
    /// Closes the channel, which gives everything back in one step. Left to itself the consumer would cancel
    /// itself first.
    fn drop(&mut self) {
        let (channel, consumer) = (self.channel.clone(), self.consumer.clone());
        let clock = self.clock.clone();
        // Without a runtime the process is ending, and with it the connection.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // It fails when the channel is closed already.
                let _ = clock
                    .timeout(PATIENCE, channel.close(200, "OK".into()))
                    .await;
                drop(consumer);
            });
        }
    }
}

impl Intake {
    /// Consumes on each new session until `stop` is cancelled.
    pub(super) async fn run(self, source: Source, stop: CancellationToken) {
        let clock = self.subscription.clock();
        let mut last: Option<Session> = None;
        loop {
            let session = tokio::select! {
                () = stop.cancelled() => return,
                session = self.link.session(last.as_ref()) => session,
            };
            let error = match self.consume(&session, &source, &stop).await {
                End::Stopped => return,
                End::Failed(error) => error,
            };
            tracing::debug!(
                consumer = self.subscription.name(),
                error,
                "consuming was interrupted"
            );
            session.report_broken();
            last = Some(session);
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(PAUSE) => {}
            }
        }
    }

    async fn consume(&self, session: &Session, source: &Source, stop: &CancellationToken) -> End {
        let name = self.subscription.name();
        let consuming = async {
            match source {
                Source::Group(inlet) => {
                    let queue = self.names.queue(name);
                    let tap = self.tap(session, &queue, self.prefetch, stop).await?;
                    self.pour(tap, inlet, stop).await
                }
                Source::Process(process, inlet) => {
                    let queue = self.names.process_queue(name, *process);
                    self.declare_for_process(session, &queue).await?;
                    let tap = self.tap(session, &queue, self.prefetch, stop).await?;
                    // Whatever was published before the queue was there has passed unheard.
                    self.subscription.consumer().missed().await;
                    self.pour(tap, inlet, stop).await
                }
                Source::Dead => {
                    let queue = self.names.dead_queue(name);
                    let tap = self.tap(session, &queue, DEAD_PREFETCH, stop).await?;
                    self.bury(tap, stop).await
                }
            }
        };
        match consuming.await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn tap(
        &self,
        session: &Session,
        queue: &str,
        prefetch: u16,
        stop: &CancellationToken,
    ) -> Result<Tap, End> {
        tokio::select! {
            () = stop.cancelled() => Err(End::Stopped),
            tap = self.open_tap(session, queue, prefetch) => tap,
        }
    }

    async fn open_tap(&self, session: &Session, queue: &str, prefetch: u16) -> Result<Tap, End> {
        let channel = session.connection.create_channel().await?;
        channel
            .basic_qos(prefetch.max(1), BasicQosOptions::default())
            .await?;
        let consumer = channel
            .basic_consume(
                queue.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Tap {
            channel,
            consumer,
            acks: Arc::new(Acks::new(prefetch)),
            clock: self.subscription.clock().clone(),
        })
    }

    async fn declare_for_process(&self, session: &Session, queue: &str) -> Result<(), End> {
        let channel = session.connection.create_channel().await?;
        channel
            .queue_declare(
                queue.into(),
                QueueDeclareOptions::exclusive().auto_delete(),
                FieldTable::default(),
            )
            .await?;
        for event_type in self.subscription.consumer().event_types() {
            let Some(exchange) = self.names.exchange_of(event_type) else {
                continue;
            };
            channel
                .queue_bind(
                    queue.into(),
                    exchange.as_str().into(),
                    all_slots(event_type).as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        channel.close(200, "OK".into()).await?;
        Ok(())
    }

    /// Leads messages into the lanes, and acknowledges those that were taken.
    async fn pour(
        &self,
        mut tap: Tap,
        inlet: &Inlet,
        stop: &CancellationToken,
    ) -> Result<Infallible, End> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(self.leave(&tap).await),
                () = tap.acks.taken.notified() => acknowledge(&tap).await?,
                message = tap.consumer.next() => {
                    let message = arrived(message)?;
                    self.take_in(message, &tap.acks, inlet, stop).await;
                }
            }
        }
    }

    async fn take_in(
        &self,
        mut message: lapin::message::Delivery,
        acks: &Arc<Acks>,
        inlet: &Inlet,
        stop: &CancellationToken,
    ) {
        let receipt = Receipt::new(Arc::clone(acks) as Arc<dyn Ledger>, message.delivery_tag);
        let encoded = Bytes::from(std::mem::take(&mut message.data));
        match message::event_of(&message, encoded.clone()) {
            Ok((envelope, redelivery)) => {
                let wanted = self.subscription.consumer().event_types();
                if !wanted.contains(&envelope.event_type.as_str()) {
                    // A binding from the time when the consumer wanted this type.
                    return receipt.taken();
                }
                inlet.deliver(Delivery {
                    envelope: Arc::new(envelope),
                    encoded,
                    redelivery,
                    receipt,
                });
            }
            Err(error) if self.subscription.consumer().audience() == Audience::EveryProcess => {
                tracing::warn!(
                    consumer = self.subscription.name(),
                    error,
                    "a message was not heard"
                );
                receipt.taken();
            }
            Err(error) => {
                message.data = encoded.into();
                let letter = message::letter_of(self.subscription.name(), &message, error);
                if self.subscription.set_aside(letter, stop).await {
                    receipt.taken();
                }
            }
        }
    }

    async fn bury(&self, mut tap: Tap, stop: &CancellationToken) -> Result<Infallible, End> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(self.leave(&tap).await),
                message = tap.consumer.next() => {
                    let message = arrived(message)?;
                    let reason = message::reason_of(&message.properties);
                    let letter = message::letter_of(self.subscription.name(), &message, reason);
                    if self.subscription.set_aside(letter, stop).await {
                        message.acker.ack(BasicAckOptions::default()).await?;
                    }
                }
            }
        }
    }

    /// Acknowledges what the lanes finish and gives the rest back. The consumer stays until then: if it were
    /// cancelled, the next one would get later messages before the ones that are given back.
    async fn leave(&self, tap: &Tap) -> End {
        if let Err(error) = self.try_to_leave(tap).await {
            // What was not acknowledged is delivered again, and known.
            tracing::debug!(consumer = self.subscription.name(), %error, "left in disorder");
        }
        End::Stopped
    }

    async fn try_to_leave(&self, tap: &Tap) -> lapin::Result<()> {
        loop {
            acknowledge(tap).await?;
            tokio::select! {
                () = self.lanes_ended.cancelled() => break,
                () = tap.acks.taken.notified() => {}
            }
        }
        acknowledge(tap).await?;
        tap.channel.close(200, "OK".into()).await
    }
}

fn arrived(
    message: Option<lapin::Result<lapin::message::Delivery>>,
) -> Result<lapin::message::Delivery, End> {
    match message {
        Some(message) => Ok(message?),
        None => Err(End::Failed("the queue has gone".to_owned())),
    }
}

async fn acknowledge(tap: &Tap) -> lapin::Result<()> {
    let due = tap.acks.due();
    if let Some(tag) = due.up_to {
        let all = BasicAckOptions { multiple: true };
        tap.channel.basic_ack(tag, all).await?;
    }
    for tag in due.single {
        tap.channel
            .basic_ack(tag, BasicAckOptions::default())
            .await?;
    }
    Ok(())
}
