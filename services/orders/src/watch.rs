//! Who follows which order live.
//!
//! Followers are woken once the transaction that changed their order is durable, so what they read then
//! has the change. Orders that nobody follows cost one look into a map. A change that another process
//! made is found by reading again now and then, see [`crate::service`].

use std::{collections::HashMap, sync::Arc};

use mesh::store::Tx;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The followed orders. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers {
    followed: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

/// A follower of one order. Dropping it ends the following.
#[derive(Debug)]
pub(crate) struct Watch {
    order_id: String,
    changes: watch::Receiver<u64>,
    watchers: Watchers,
}

impl Watchers {
    /// Begins to follow an order.
    pub(crate) fn follow(&self, order_id: &str) -> Watch {
        let changes = self
            .followed
            .lock()
            .entry(order_id.to_owned())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        Watch {
            order_id: order_id.to_owned(),
            changes,
            watchers: self.clone(),
        }
    }

    /// Notes that a running transaction changes an order.
    pub(crate) fn touch(&self, tx: &Tx, order_id: &str) {
        let (watchers, order_id) = (self.clone(), order_id.to_owned());
        tx.after_commit(move || watchers.wake(&order_id));
    }

    fn wake(&self, order_id: &str) {
        if let Some(sender) = self.followed.lock().get(order_id) {
            sender.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
    }
}

impl Watch {
    /// Completes when the order has changed since the last time.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as this follower is counted.
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut followed = self.watchers.followed.lock();
        if let Some(sender) = followed.get(&self.order_id)
            && sender.receiver_count() <= 1
        {
            followed.remove(&self.order_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_forgotten_with_their_last_follower() {
        let watchers = Watchers::default();
        let first = watchers.follow("o-1");
        let second = watchers.follow("o-1");
        drop(first);
        watchers.wake("o-1");
        watchers.wake("o-2");
        assert!(second.changes.has_changed().unwrap());
        drop(second);
        assert!(watchers.followed.lock().is_empty());
    }
}
