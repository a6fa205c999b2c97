//! Which process does the work when several could.
//!
//! An outbox has one relay at a time and a consumer one leader, whichever processes run: order per key and
//! the memory of what is parked depend on it. The right to work is a set of leases, one in each store that is
//! concerned. They are taken in the order of their names, so that two processes that want the same ones
//! cannot each hold a part for ever.

use tokio_util::sync::CancellationToken;

use super::{relay::RELAY, subscription::Subscription};
use crate::{
    clock::Clock,
    store::{Dialect, Lease, Store},
};

/// How long to wait before leases are asked for again after a store failed.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// The leases that some work needs.
#[derive(Debug)]
pub(super) struct Leadership {
    wanted: Vec<(Store, String)>,
    clock: Clock,
}

/// The right to work, until it is lost or dropped.
#[derive(Debug)]
pub(super) struct Term {
    leases: Vec<Lease>,
}

impl Leadership {
    /// For the relays of `relayed` and the consumers of `subscriptions`.
    pub(super) fn over<'a>(
        relayed: impl IntoIterator<Item = &'a Store>,
        subscriptions: impl IntoIterator<Item = &'a Subscription>,
        clock: Clock,
    ) -> Self {
        let relays = relayed
            .into_iter()
            .map(|store| (store.clone(), RELAY.to_owned()));
        let consumers = subscriptions.into_iter().map(|subscription| {
            let name = format!("consumer:{}", subscription.name());
            (subscription.store().clone(), name)
        });
        // A SQLite file belongs to one process as a whole.
        let mut wanted: Vec<_> = relays
            .chain(consumers)
            .filter(|(store, _)| store.dialect() == Dialect::Postgres)
            .collect();
        wanted.sort_by(|(a, a_name), (b, b_name)| (a.name(), a_name).cmp(&(b.name(), b_name)));
        Self { wanted, clock }
    }

    /// Whether the right to work is beyond dispute.
    pub(super) fn is_undisputed(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Waits until all leases are held at the same time. Nothing when `stop` is cancelled first.
    pub(super) async fn gain(&self, stop: &CancellationToken) -> Option<Term> {
        loop {
            let mut leases = Vec::with_capacity(self.wanted.len());
            for (store, name) in &self.wanted {
                let lease = store.lease(name);
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = lease.held() => leases.push(lease),
                }
            }
            if leases.iter().all(Lease::is_held) {
                return Some(Term { leases });
            }
            // The first was lost while the last was waited for.
            drop(leases);
            tokio::select! {
                () = stop.cancelled() => return None,
                () = self.clock.sleep(PAUSE) => {},
            }
        }
    }
}

impl Term {
    /// A right that nobody disputes.
    pub(super) fn undisputed() -> Self {
        Self { leases: Vec::new() }
    }

    /// Completes when the right to work is lost.
    pub(super) async fn lost(&self) {
        if self.leases.is_empty() {
            return std::future::pending().await;
        }
        let losses = self.leases.iter().map(|lease| Box::pin(lease.lost()));
        futures::future::select_all(losses).await;
    }
}
