//! Which events of a store are on their way.
//!
//! Consumers take events in any order; the watermark may only move over a run of events without a gap. The
//! window holds what lies between the two. How many events in it are not yet taken is bounded, which makes
//! a fast producer wait for its consumers. The taken ones behind a gap cost a few bytes each, so many more of
//! them fit: one delivery that takes long (a provider that hangs) holds back the watermark, but not
//! everybody else's events.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::transport::{Ledger, Receipt};

/// Slots of taken events behind a gap, per event that may be untaken. After a crash all of them are delivered
/// again, and found in the inbox.
const SPAN: usize = 64;

/// Events from the first one that is not yet taken by all consumers.
#[derive(Debug)]
pub(super) struct Window {
    state: Mutex<State>,
    /// Untaken events at most.
    capacity: usize,
    /// Notified when the low mark has moved.
    pub(super) advanced: Notify,
    /// Notified when a full window has room again.
    pub(super) room: Notify,
}

#[derive(Debug)]
struct State {
    slots: VecDeque<Slot>,
    /// Ordinal of the first slot; ordinals count up without gaps, unlike outbox sequence numbers.
    first: u64,
    low_mark: i64,
    /// Slots that are not taken.
    in_flight: usize,
}

#[derive(Debug)]
struct Slot {
    seq: i64,
    untaken: u32,
}

impl Window {
    /// An empty window after the event with sequence number `low_mark`.
    pub(super) fn new(capacity: usize, low_mark: i64) -> Self {
        Self {
            state: Mutex::new(State {
                slots: VecDeque::new(),
                first: 0,
                low_mark,
                in_flight: 0,
            }),
            capacity: capacity.max(1),
            advanced: Notify::new(),
            room: Notify::new(),
        }
    }

    /// How many more events fit.
    pub(super) fn free(&self) -> usize {
        self.free_in(&self.state.lock())
    }

    fn free_in(&self, state: &State) -> usize {
        let span = self.capacity.saturating_mul(SPAN);
        self.capacity
            .saturating_sub(state.in_flight)
            .min(span.saturating_sub(state.slots.len()))
    }

    /// How many events are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    /// All events up to this sequence number were taken.
    pub(super) fn low_mark(&self) -> i64 {
        self.state.lock().low_mark
    }

    /// Lets an event in. Sequence numbers must grow from call to call.
    pub(super) fn admit(self: &Arc<Self>, seq: i64) -> Receipt {
        let mut state = self.state.lock();
        state.slots.push_back(Slot { seq, untaken: 1 });
        state.in_flight += 1;
        let ordinal = state.first + state.slots.len() as u64 - 1;
        Receipt::new(Arc::clone(self) as Arc<dyn Ledger>, ordinal)
    }
}

impl Ledger for Window {
    fn expect_more(&self, ordinal: u64, more: u32) {
        let mut state = self.state.lock();
        let index = (ordinal - state.first) as usize;
        if let Some(slot) = state.slots.get_mut(index) {
            slot.untaken += more;
        }
    }

    fn take(&self, ordinal: u64) {
        let (advanced, has_room) = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let was_full = self.free_in(state) == 0;
            let index = (ordinal - state.first) as usize;
            if let Some(slot) = state.slots.get_mut(index)
                && slot.untaken > 0
            {
                slot.untaken -= 1;
                if slot.untaken == 0 {
                    state.in_flight -= 1;
                }
            }
            let mut advanced = false;
            while let Some(slot) = state.slots.front()
                && slot.untaken == 0
            {
                state.low_mark = slot.seq;
                state.slots.pop_front();
                state.first += 1;
                advanced = true;
            }
            (advanced, was_full && self.free_in(state) > 0)
        };
        if advanced {
            self.advanced.notify_one();
        }
        if has_room {
            self.room.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In whatever order events are taken, the low mark is the last one before the first gap.
        #[test]
        fn the_low_mark_never_jumps_a_gap(
            shares in prop::collection::vec(0_usize..4, 1..40),
            shuffle in any::<prop::sample::Selector>(),
        ) {
            let window = Arc::new(Window::new(64, 0));
            let mut receipts = Vec::new();
            let mut untaken: Vec<usize> = shares.clone();
            for (index, share) in shares.iter().enumerate() {
                let receipt = window.admit((index as i64 + 1) * 10);
                receipts.extend(receipt.split(*share).map(|receipt| (index, receipt)));
            }
            while !receipts.is_empty() {
                let pick = shuffle.select(0..receipts.len());
                let (index, receipt) = receipts.swap_remove(pick);
                receipt.taken();
                untaken[index] -= 1;
                let complete = untaken.iter().take_while(|left| **left == 0).count();
                prop_assert_eq!(window.low_mark(), complete as i64 * 10);
            }
            prop_assert_eq!(window.in_flight(), 0);
            prop_assert_eq!(window.low_mark(), shares.len() as i64 * 10);
        }
    }

    #[test]
    fn taken_events_behind_a_gap_leave_room_up_to_the_span() {
        let window = Arc::new(Window::new(2, 0));
        let slow = window.admit(1);
        for seq in 2..=(2 * SPAN as i64) {
            assert_eq!(window.free(), 1, "before {seq}");
            window.admit(seq).taken();
        }
        assert_eq!((window.free(), window.low_mark()), (0, 0));
        slow.taken();
        assert_eq!((window.free(), window.low_mark()), (2, 2 * SPAN as i64));
    }
}
