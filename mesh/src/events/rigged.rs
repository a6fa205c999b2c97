//! Events and consumers for which things go wrong on purpose; see [`crate::fault`].

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Audience, Consumer, Delivery, EVENT_TYPES, Effect, Envelope, ReactError, Receipt, Redelivery,
    Transport, inbox::key_of, transport::Ledger,
};
use crate::{
    clock::Clock,
    fault::{Faults, INJECTED, Kind, Point, Rigged, Site, published_name},
};

/// A consumer that is asked in vain.
pub(super) struct RiggedConsumer {
    consumer: Arc<dyn Consumer>,
    site: Site,
}

impl RiggedConsumer {
    /// The consumer as it is, unless there are faults for it.
    pub(super) fn where_wanted(consumer: Arc<dyn Consumer>, faults: &Faults) -> Arc<dyn Consumer> {
        if !faults.concern(Point::Consumer) {
            return consumer;
        }
        let site = faults.at(Point::Consumer, consumer.name());
        Arc::new(Self { consumer, site })
    }
}

#[async_trait]
impl Consumer for RiggedConsumer {
    fn name(&self) -> &'static str {
        self.consumer.name()
    }

    fn event_types(&self) -> &'static [&'static str] {
        self.consumer.event_types()
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(rigged) = self.site.rigged() else {
            return self.consumer.react(event).await;
        };
        let blow = rigged.strike().await;
        if blow == Some(Kind::Fail) {
            return Err(ReactError::retry(INJECTED));
        }
        let effect = self.consumer.react(event).await?;
        match blow {
            Some(_) => Err(ReactError::retry(INJECTED)),
            None => Ok(effect),
        }
    }

    fn audience(&self) -> Audience {
        self.consumer.audience()
    }

    async fn missed(&self) {
        self.consumer.missed().await;
    }

    fn lanes(&self) -> usize {
        self.consumer.lanes()
    }

    fn time_limit(&self) -> Duration {
        self.consumer.time_limit()
    }
}

/// After this time an event is published again that was not, or of which nobody knows whether it was.
const AGAIN: Duration = Duration::from_millis(200);
/// The second copy of an event comes within this time.
const SECOND_COPY: Duration = Duration::from_secs(2);
/// So many events of other keys overtake one that is held back,
const OVERTAKERS: usize = 3;
/// but it is not held back for longer than this: there may be no others.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// Hands events over late, twice, in another order, or at first not at all. Events of one key stay in order:
/// while one is held back, those behind it wait. Nothing is lost, because the receipt of an event that is held
/// back is not taken.
pub(super) struct RiggedTransport {
    shared: Arc<Shared>,
    /// Ends what is held back when the relays are gone; it stays in their outboxes.
    _stop: DropGuard,
}

struct Shared {
    transport: Arc<dyn Transport>,
    sites: HashMap<&'static str, Site>,
    clock: Clock,
    stop: CancellationToken,
    /// Keys that are held back, each with its events in order.
    held: Mutex<HashMap<String, Held>>,
}

struct Held {
    events: VecDeque<Delivery>,
    overtakers: usize,
    overtaken: CancellationToken,
}

/// Until when a key is held back.
enum Hold {
    /// For a time.
    For(Duration),
    /// Until others have overtaken it.
    BehindOthers,
    /// Until publishing is not made to fail any more.
    WhileFailing,
}

/// Whoever made a copy that nobody asks about.
#[derive(Debug)]
struct Nobody;

impl Ledger for Nobody {
    fn take(&self, _: u64) {}

    fn expect_more(&self, _: u64, _: u32) {}
}

impl RiggedTransport {
    /// The transport as it is, unless there are faults for events.
    pub(super) fn where_wanted(
        transport: Arc<dyn Transport>,
        faults: &Faults,
        clock: &Clock,
    ) -> Arc<dyn Transport> {
        if !faults.concern(Point::Publish) {
            return transport;
        }
        let sites = EVENT_TYPES.iter().map(|(event_type, topic)| {
            let name = published_name(topic, event_type);
            (*event_type, faults.at(Point::Publish, &name))
        });
        let stop = CancellationToken::new();
        Arc::new(Self {
            shared: Arc::new(Shared {
                transport,
                sites: sites.collect(),
                clock: clock.clone(),
                stop: stop.clone(),
                held: Mutex::default(),
            }),
            _stop: stop.drop_guard(),
        })
    }
}

impl Transport for RiggedTransport {
    fn hand_over(&self, delivery: Delivery) {
        let shared = &self.shared;
        let mut held = shared.held.lock();
        if let Some(behind) = held.get_mut(key_of(&delivery.envelope)) {
            behind.events.push_back(delivery);
            return;
        }
        match shared.draw(&delivery.envelope) {
            Some(Kind::Duplicate) => shared.hand_over_twice(delivery),
            Some(Kind::Cut) => {
                shared.transport.hand_over(copy(&delivery));
                let again = Delivery {
                    redelivery: Redelivery::Possible,
                    ..delivery
                };
                return shared.hold(&mut held, again, Hold::For(AGAIN));
            }
            Some(Kind::Delay { least, most }) => {
                let time = shared.between(&delivery.envelope, least, most);
                return shared.hold(&mut held, delivery, Hold::For(time));
            }
            Some(Kind::Fail) => return shared.hold(&mut held, delivery, Hold::WhileFailing),
            Some(Kind::Reorder) => return shared.hold(&mut held, delivery, Hold::BehindOthers),
            None => shared.transport.hand_over(delivery),
        }
        for waiting in held.values_mut() {
            waiting.is_overtaken();
        }
    }
}

impl Shared {
    fn rigged(&self, envelope: &Envelope) -> Option<&Rigged> {
        self.sites.get(envelope.event_type.as_str())?.rigged()
    }

    fn draw(&self, envelope: &Envelope) -> Option<Kind> {
        self.rigged(envelope)?.first()
    }

    fn between(&self, envelope: &Envelope, least: Duration, most: Duration) -> Duration {
        self.rigged(envelope)
            .map_or(least, |rigged| rigged.between(least, most))
    }

    /// Keeps an event, and those of its key that come meanwhile.
    fn hold(self: &Arc<Self>, held: &mut HashMap<String, Held>, delivery: Delivery, hold: Hold) {
        let envelope = Arc::clone(&delivery.envelope);
        let overtaken = CancellationToken::new();
        let waiting = Held {
            events: VecDeque::from([delivery]),
            overtakers: 0,
            overtaken: overtaken.clone(),
        };
        held.insert(key_of(&envelope).to_owned(), waiting);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let stop = shared.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = shared.wait(&envelope, hold, overtaken) => shared.release(&envelope),
            }
        });
    }

    async fn wait(&self, envelope: &Envelope, hold: Hold, overtaken: CancellationToken) {
        match hold {
            Hold::For(time) => self.clock.sleep(time).await,
            Hold::BehindOthers => {
                // Either is an end.
                let _ = self
                    .clock
                    .timeout(LONGEST_HOLD, overtaken.cancelled())
                    .await;
            }
            Hold::WhileFailing => loop {
                self.clock.sleep(AGAIN).await;
                if self.draw(envelope) != Some(Kind::Fail) {
                    return;
                }
            },
        }
    }

    /// Hands over what was held back of a key. Under the lock, so that nothing of the key gets in between.
    fn release(&self, envelope: &Envelope) {
        let mut held = self.held.lock();
        let Some(waiting) = held.remove(key_of(envelope)) else {
            return;
        };
        for delivery in waiting.events {
            self.transport.hand_over(delivery);
        }
    }

    fn hand_over_twice(self: &Arc<Self>, delivery: Delivery) {
        let mut second = copy(&delivery);
        let mut receipts = delivery.receipt.split(2);
        let (Some(first_receipt), Some(second_receipt)) = (receipts.next(), receipts.next()) else {
            return;
        };
        self.transport.hand_over(Delivery {
            envelope: delivery.envelope,
            encoded: delivery.encoded,
            redelivery: delivery.redelivery,
            receipt: first_receipt,
        });
        second.receipt = second_receipt;
        let later = self.between(&second.envelope, Duration::ZERO, SECOND_COPY);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = shared.clock.sleep(later) => shared.transport.hand_over(second),
            }
        });
    }
}

impl Held {
    fn is_overtaken(&mut self) {
        self.overtakers += 1;
        if self.overtakers >= OVERTAKERS {
            self.overtaken.cancel();
        }
    }
}

/// The same event once more, on nobody's account.
fn copy(delivery: &Delivery) -> Delivery {
    Delivery {
        envelope: Arc::clone(&delivery.envelope),
        encoded: delivery.encoded.clone(),
        redelivery: Redelivery::Possible,
        receipt: Receipt::new(Arc::new(Nobody), 0),
    }
}
