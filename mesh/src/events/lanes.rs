//! Lanes: what keeps the order of a key while different keys are handled side by side.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{inbox::key_of, subscription::Subscription, transport::Delivery};

/// What a lane works on.
#[derive(Debug)]
pub(super) enum Errand {
    /// An event has arrived.
    Delivery(Delivery),
    /// The first parked delivery of the key is due.
    Retry(Arc<str>),
}

/// The entrance to a consumer's lanes. The channels have no bound of their own: what can be in them is
/// bounded by the windows of the relays, or what the broker sends ahead, and by the keys that are parked.
#[derive(Clone, Debug)]
pub(super) struct Inlet {
    lanes: Arc<[UnboundedSender<Errand>]>,
}

impl Inlet {
    /// Makes the lanes of a consumer; they do nothing until they are run.
    pub(super) fn new(lanes: usize) -> (Self, Vec<UnboundedReceiver<Errand>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..lanes.max(1)).map(|_| unbounded_channel()).unzip();
        let inlet = Self {
            lanes: senders.into(),
        };
        (inlet, receivers)
    }

    pub(super) fn deliver(&self, delivery: Delivery) {
        let lane = self.lane(key_of(&delivery.envelope));
        self.send(lane, Errand::Delivery(delivery));
    }

    pub(super) fn retry(&self, key: Arc<str>) {
        let lane = self.lane(&key);
        self.send(lane, Errand::Retry(key));
    }

    fn send(&self, lane: usize, errand: Errand) {
        // A lane that has ended leaves the event with its producer, to be delivered at the next start.
        let _ = self.lanes[lane].send(errand);
    }

    fn lane(&self, key: &str) -> usize {
        index(key, self.lanes.len())
    }
}

/// The lane of a key among `lanes`, which is not zero.
pub(super) fn index(key: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % lanes as u64) as usize
}

/// Starts a task per lane. They end when `stop` is cancelled, after the errand that they are at; then the token
/// that is returned is cancelled.
pub(super) fn run(
    subscription: &Arc<Subscription>,
    lanes: Vec<UnboundedReceiver<Errand>>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> CancellationToken {
    let mut running = JoinSet::new();
    for lane in lanes {
        running.spawn(run_lane(Arc::clone(subscription), lane, stop.clone()));
    }
    let ended = CancellationToken::new();
    let end = ended.clone();
    tasks.spawn(async move {
        while running.join_next().await.is_some() {}
        end.cancel();
    });
    ended
}

async fn run_lane(
    subscription: Arc<Subscription>,
    mut lane: UnboundedReceiver<Errand>,
    stop: CancellationToken,
) {
    loop {
        let errand = match lane.try_recv() {
            Ok(errand) if !stop.is_cancelled() => errand,
            Ok(_) => return,
            Err(_) => tokio::select! {
                biased;
                () = stop.cancelled() => return,
                errand = lane.recv() => match errand {
                    Some(errand) => errand,
                    None => return,
                },
            },
        };
        match errand {
            Errand::Delivery(delivery) => subscription.accept(delivery, &stop).await,
            Errand::Retry(key) => subscription.retry(&key, &stop).await,
        }
    }
}
