//! Acknowledges deliveries of one channel, many at once.
//!
//! Lanes finish deliveries in any order. To a quorum queue every acknowledgement is an entry of its log, so
//! one for a whole run of deliveries is worth much. But a delivery that takes long must not hold back the
//! acknowledgements of all behind it, or the prefetch window would run empty: once enough have piled up behind
//! a gap they are acknowledged one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::events::transport::Ledger;

/// The deliveries of a channel that were taken and are to be acknowledged.
#[derive(Debug)]
pub(super) struct Acks {
    state: Mutex<State>,
    /// Taken deliveries behind a gap that are acknowledged one by one.
    pile: usize,
    /// Notified when a delivery was taken.
    pub(super) taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// All deliveries with a lower tag are taken.
    next: u64,
    /// Taken ones from `next` on, and whether they are acknowledged.
    ahead: BTreeMap<u64, Acknowledged>,
    /// The highest taken tag below `next` that is not acknowledged.
    due: Option<u64>,
    /// Deliveries that must be taken more than once, and how often in addition.
    extra: HashMap<u64, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledged {
    Yes,
    No,
}

/// What to tell the broker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Acknowledge everything up to this tag.
    pub(super) up_to: Option<u64>,
    /// Acknowledge these.
    pub(super) single: BTreeSet<u64>,
}

impl Acks {
    /// For a channel that holds at most `prefetch` deliveries; its first tag is 1.
    pub(super) fn new(prefetch: u16) -> Self {
        Self {
            state: Mutex::new(State {
                next: 1,
                ..State::default()
            }),
            pile: usize::from(prefetch / 4).max(1),
            taken: Notify::new(),
        }
    }

    /// What is due now. Asking counts as acknowledging.
    pub(super) fn due(&self) -> Due {
        let mut state = self.state.lock();
        let single: BTreeSet<u64> = state
            .ahead
            .iter()
            .filter(|(_, acknowledged)| **acknowledged == Acknowledged::No)
            .map(|(tag, _)| *tag)
            .collect();
        let single = if single.len() < self.pile {
            BTreeSet::new()
        } else {
            single
        };
        for tag in &single {
            state.ahead.insert(*tag, Acknowledged::Yes);
        }
        Due {
            up_to: state.due.take(),
            single,
        }
    }
}

impl Ledger for Acks {
    fn take(&self, tag: u64) {
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if let Some(extra) = state.extra.get_mut(&tag) {
                *extra -= 1;
                if *extra == 0 {
                    state.extra.remove(&tag);
                }
                return;
            }
            state.ahead.insert(tag, Acknowledged::No);
            while let Some(entry) = state.ahead.first_entry()
                && *entry.key() == state.next
            {
                if entry.remove() == Acknowledged::No {
                    state.due = Some(state.next);
                }
                state.next += 1;
            }
        }
        self.taken.notify_one();
    }

    fn expect_more(&self, tag: u64, more: u32) {
        *self.state.lock().extra.entry(tag).or_default() += more;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the order, every taken delivery is acknowledged once, and no other is.
        #[test]
        fn what_was_taken_is_acknowledged(
            count in 1_u64..200,
            prefetch in 1_u16..64,
            shuffle in any::<prop::sample::Selector>(),
            ask in prop::collection::vec(any::<bool>(), 200),
        ) {
            let acks = Acks::new(prefetch);
            let mut open: Vec<u64> = (1..=count).collect();
            let mut unacknowledged: BTreeSet<u64> = open.iter().copied().collect();
            let mut taken = BTreeSet::new();
            while !open.is_empty() {
                let pick = shuffle.select(0..open.len());
                let tag = open.swap_remove(pick);
                acks.take(tag);
                taken.insert(tag);
                if ask[open.len()] || open.is_empty() {
                    let due = acks.due();
                    if let Some(up_to) = due.up_to {
                        // The broker refuses a tag that is not open.
                        prop_assert!(unacknowledged.contains(&up_to));
                        let run: Vec<u64> = unacknowledged.range(..=up_to).copied().collect();
                        for tag in run {
                            prop_assert!(taken.contains(&tag));
                            unacknowledged.remove(&tag);
                        }
                    }
                    for tag in due.single {
                        prop_assert!(taken.contains(&tag));
                        prop_assert!(unacknowledged.remove(&tag));
                    }
                }
            }
            prop_assert!(unacknowledged.is_empty());
        }
    }

    #[test]
    fn a_gap_does_not_hold_back_the_rest_for_ever() {
        let acks = Acks::new(8);
        acks.take(2);
        assert_eq!(acks.due(), Due::default());
        acks.take(3);
        let due = acks.due();
        assert_eq!((due.up_to, due.single), (None, BTreeSet::from([2, 3])));
        acks.take(1);
        assert_eq!(acks.due().up_to, Some(1));
    }
}
