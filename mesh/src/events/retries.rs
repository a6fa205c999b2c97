//! Wakes parked keys when they are due, and finds those that another process has parked.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{lanes::Inlet, subscription::Subscription};
use crate::store::Dialect;

/// The wall clock is looked at this often even when nothing is due, because it may be set forward.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often deliveries that another process has parked are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Sends due keys to their lanes until `stop` is cancelled.
pub(super) async fn run(subscription: Arc<Subscription>, inlet: Inlet, stop: CancellationToken) {
    let clock = subscription.clock().clone();
    let parking = subscription.parking();
    while !stop.is_cancelled() {
        for key in parking.take_due(clock.now()) {
            inlet.retry(key);
        }
        let wait = parking.next_due().map(|due| {
            // Rounded up to what clocks can show, so that a wake-up finds its key due.
            let left = (due - clock.now()).to_std().unwrap_or_default();
            left.min(LONGEST_WAIT) + Duration::from_micros(1)
        });
        let sleep = async {
            match wait {
                Some(wait) => clock.sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = parking.changed.notified() => {}
            () = sleep => {}
        }
    }
}

/// Looks from time to time for deliveries that another process has parked for this leader: a dead letter that
/// was replayed there, or one that the last leader parked while it was losing its lease.
pub(super) async fn look_for_parked(subscription: Arc<Subscription>, stop: CancellationToken) {
    if subscription.store().dialect() == Dialect::Sqlite {
        return;
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = subscription.clock().sleep(LOOK_INTERVAL) => {}
        }
        if let Err(error) = subscription.find_parked().await {
            tracing::warn!(consumer = subscription.name(), %error, "parked events were not looked for");
        }
    }
}
