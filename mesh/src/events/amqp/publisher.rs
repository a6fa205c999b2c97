//! Publishes events and waits until the broker has them.
//!
//! As many messages are on their way as there are lanes; events with the same key share a lane, which goes on
//! to the next one only when the broker has confirmed. So a message that the broker refuses cannot be
//! overtaken by a later one of its key. Nothing is given up: a lane tries until its event is confirmed, and
//! meanwhile the window of the relay fills and the relay stops reading.

use std::sync::Arc;

use lapin::{
    Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Link, Session},
    message::{self, Attempt},
    names::{Names, routing_key},
};
use crate::{
    clock::Clock,
    events::{
        inbox::key_of,
        transport::{Delivery, Transport},
    },
};

/// Pause after the broker refused a message.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// The way of events to the broker.
#[derive(Debug)]
pub(super) struct Publisher {
    lanes: Box<[mpsc::UnboundedSender<Delivery>]>,
}

/// What all lanes share.
struct Outlet {
    link: Arc<Link>,
    names: Names,
    clock: Clock,
    /// The channel in confirm mode, with the session that it belongs to.
    channel: Mutex<Option<(Session, Channel)>>,
    confirm_seconds: metrics::Histogram,
    confirmed: metrics::Counter,
    refused: metrics::Counter,
    interrupted: metrics::Counter,
}

impl Publisher {
    /// Starts `lanes` lanes. They end when `stop` is cancelled; what they have not published then stays in the
    /// outbox.
    pub(super) fn start(
        link: Arc<Link>,
        names: Names,
        clock: Clock,
        lanes: usize,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let published = |result: &'static str| metrics::counter!("hub_amqp_published_total", "result" => result);
        let outlet = Arc::new(Outlet {
            link,
            names,
            clock,
            channel: Mutex::default(),
            confirm_seconds: metrics::histogram!("hub_amqp_publish_confirm_seconds"),
            confirmed: published("confirmed"),
            refused: published("refused"),
            interrupted: published("interrupted"),
        });
        let lanes = (0..lanes.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                tasks.spawn(run_lane(Arc::clone(&outlet), receiver, stop.clone()));
                sender
            })
            .collect();
        Self { lanes }
    }
}

impl Transport for Publisher {
    fn hand_over(&self, delivery: Delivery) {
        let lane = crate::events::lanes::index(key_of(&delivery.envelope), self.lanes.len());
        // A lane that has ended leaves the event in the outbox. The channels have no bound of their own: what
        // can be in them is bounded by the windows of the relays.
        let _ = self.lanes[lane].send(delivery);
    }
}

async fn run_lane(
    outlet: Arc<Outlet>,
    mut lane: mpsc::UnboundedReceiver<Delivery>,
    stop: CancellationToken,
) {
    loop {
        let delivery = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            delivery = lane.recv() => match delivery {
                Some(delivery) => delivery,
                None => return,
            },
        };
        tokio::select! {
            () = outlet.publish(&delivery) => delivery.receipt.taken(),
            // Without a broker there is nothing to wait for; with one, a confirmation that is on its way only
            // saves a second delivery.
            () = stop.cancelled() => return,
        }
    }
}

/// How an attempt to publish ended.
enum Outcome {
    Confirmed,
    Refused,
    Interrupted(Session),
}

impl Outlet {
    /// Publishes until the broker has confirmed.
    async fn publish(&self, delivery: &Delivery) {
        let mut attempt = Attempt::First;
        loop {
            match self.try_publish(delivery, attempt).await {
                Outcome::Confirmed => return self.confirmed.increment(1),
                Outcome::Refused => {
                    self.refused.increment(1);
                    tracing::warn!(
                        event_id = delivery.envelope.event_id,
                        "the broker refused an event; it is published again"
                    );
                    self.clock.sleep(PAUSE).await;
                }
                Outcome::Interrupted(session) => {
                    self.interrupted.increment(1);
                    session.report_broken();
                    self.link.session(Some(&session)).await;
                }
            }
            attempt = Attempt::Again;
        }
    }

    async fn try_publish(&self, delivery: &Delivery, attempt: Attempt) -> Outcome {
        let (session, channel) = self.channel().await;
        let Some(channel) = channel else {
            return Outcome::Interrupted(session);
        };
        let envelope = delivery.envelope.as_ref();
        let Some(exchange) = self.names.exchange_of(&envelope.event_type) else {
            // Nobody can want a type that does not exist here; a newer process will know its topic.
            return Outcome::Refused;
        };
        let begin = self.clock.monotonic();
        let sent = channel
            .basic_publish(
                exchange.as_str().into(),
                routing_key(&envelope.event_type, key_of(envelope))
                    .as_str()
                    .into(),
                BasicPublishOptions::default(),
                &delivery.encoded,
                message::properties(delivery, attempt),
            )
            .await;
        let confirmation = match sent {
            Ok(confirmation) => confirmation.await,
            Err(error) => Err(error),
        };
        match confirmation {
            Ok(Confirmation::Ack(_)) => {
                self.confirm_seconds
                    .record(self.clock.monotonic().saturating_duration_since(begin));
                Outcome::Confirmed
            }
            Ok(_) => Outcome::Refused,
            Err(error) => {
                tracing::debug!(%error, "an event was not confirmed");
                Outcome::Interrupted(session)
            }
        }
    }

    /// The channel of the connection that is up, once there is one. None when the connection gives no channel.
    async fn channel(&self) -> (Session, Option<Channel>) {
        let session = self.link.session(None).await;
        let mut open = self.channel.lock().await;
        if let Some((of, channel)) = &*open
            && of.is(&session)
        {
            return (session, Some(channel.clone()));
        }
        let channel = match confirming(&session).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::debug!(%error, "no channel to publish on");
                return (session, None);
            }
        };
        *open = Some((session.clone(), channel.clone()));
        (session, Some(channel))
    }
}

async fn confirming(session: &Session) -> lapin::Result<Channel> {
    let channel = session.connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}
