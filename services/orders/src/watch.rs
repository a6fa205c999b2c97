//! Who follows which order live.
//!
//! A change is noted while its transaction runs, but a follower that read then would not see it yet. So
//! notes are collected, and followers are woken once a later, empty transaction has gone through the same
//! writer: by then the change is durable or undone. Orders that nobody follows cost one look into a map.

use std::{collections::HashMap, sync::Arc};

use mesh::store::{Store, StoreError, Tx};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// The followed orders. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    followed: Mutex<HashMap<String, watch::Sender<u64>>>,
    touched: Mutex<Vec<String>>,
    wake: Notify,
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
            .inner
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
    pub(crate) fn touch(&self, order_id: &str) {
        if self.inner.followed.lock().contains_key(order_id) {
            self.inner.touched.lock().push(order_id.to_owned());
            self.inner.wake.notify_one();
        }
    }

    /// Waits for changes to followed orders and wakes their followers once they are durable.
    pub(crate) async fn wake_after_commit(&self, store: &Store) -> Result<(), StoreError> {
        self.inner.wake.notified().await;
        let touched = std::mem::take(&mut *self.inner.touched.lock());
        let barrier = store
            .write(|_: Tx| async { Ok::<(), StoreError>(()) })
            .await;
        let followed = self.inner.followed.lock();
        for order_id in touched {
            if let Some(sender) = followed.get(&order_id) {
                sender.send_modify(|changes| *changes = changes.wrapping_add(1));
            }
        }
        barrier
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
        let mut followed = self.watchers.inner.followed.lock();
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
        watchers.touch("o-1");
        watchers.touch("o-2");
        assert_eq!(*watchers.inner.touched.lock(), ["o-1"]);
        drop(second);
        assert!(watchers.inner.followed.lock().is_empty());
    }
}
