//! A bulkhead: how many calls a service works on at the same time, and who is turned away first.
//!
//! There is no queue in front of it. A saturated service answers at once that it is, which costs
//! little and tells callers to slow down; waiting would only use up their deadlines. As it fills,
//! background work is refused first and checkout last.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::policy::Priority;

/// The calls in flight of one service.
#[derive(Debug)]
pub(super) struct Bulkhead {
    limit: usize,
    in_flight: AtomicUsize,
}

/// A call in flight; it leaves when dropped.
#[derive(Debug)]
pub(super) struct Admission(Arc<Bulkhead>);

impl Bulkhead {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Lets a call of the given priority in, unless its share of the limit is used up.
    pub(super) fn admit(self: &Arc<Self>, priority: Priority) -> Option<Admission> {
        let share = self.share(priority);
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |in_flight| {
                (in_flight < share).then_some(in_flight + 1)
            })
            .ok()
            .map(|_| Admission(Arc::clone(self)))
    }

    fn share(&self, priority: Priority) -> usize {
        let share = match priority {
            Priority::Batch => self.limit / 2,
            Priority::Browse | Priority::Unspecified => self.limit * 4 / 5,
            Priority::Checkout => self.limit,
        };
        share.max(1)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_is_refused_first() {
        let bulkhead = Arc::new(Bulkhead::new(10));
        let mut inside: Vec<_> = (0..5)
            .filter_map(|_| bulkhead.admit(Priority::Batch))
            .collect();
        assert_eq!(inside.len(), 5);
        assert!(bulkhead.admit(Priority::Batch).is_none());
        inside.extend((0..3).filter_map(|_| bulkhead.admit(Priority::Browse)));
        assert_eq!(inside.len(), 8);
        assert!(bulkhead.admit(Priority::Browse).is_none());
        inside.extend((0..3).filter_map(|_| bulkhead.admit(Priority::Checkout)));
        assert_eq!(inside.len(), 10);
        inside.clear();
        assert!(bulkhead.admit(Priority::Batch).is_some());
    }
}
