//! Which rows of an outbox are on their way when each row is marked for itself.
//!
//! On PostgreSQL rows become visible in the order of commits, which is not that of their numbers. So there is
//! no number below which everything was relayed: the relay reads rows without a mark, leaves out those that
//! it has in hand, and marks the ones that were taken, many in one statement.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::transport::{Ledger, Receipt};

/// The rows of one outbox that its relay has in hand.
#[derive(Debug)]
pub(super) struct Marks {
    state: Mutex<State>,
    /// Rows in hand at most.
    capacity: usize,
    /// Notified when there are taken rows to mark.
    pub(super) taken: Notify,
    /// Notified when full hands have room again.
    pub(super) room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each row is still to be taken.
    untaken: HashMap<i64, u32>,
    /// Taken, to be marked.
    taken: Vec<i64>,
    /// Being marked.
    marking: Vec<i64>,
}

impl State {
    fn len(&self) -> usize {
        self.untaken.len() + self.taken.len() + self.marking.len()
    }
}

impl Marks {
    /// Empty hands for `capacity` rows.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity: capacity.max(1),
            taken: Notify::new(),
            room: Notify::new(),
        }
    }

    /// How many more rows fit.
    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.state.lock().len())
    }

    /// How many rows are not taken.
    pub(super) fn in_flight(&self) -> usize {
        self.state.lock().untaken.len()
    }

    /// Lets a row in.
    pub(super) fn admit(self: &Arc<Self>, seq: i64) -> Receipt {
        self.state.lock().untaken.insert(seq, 1);
        Receipt::new(Arc::clone(self) as Arc<dyn Ledger>, seq.cast_unsigned())
    }

    /// The rows in hand, as an array of PostgreSQL.
    pub(super) fn in_hand(&self) -> String {
        let state = self.state.lock();
        array(
            state
                .untaken
                .keys()
                .chain(&state.taken)
                .chain(&state.marking),
        )
    }

    /// Takes up to `limit` taken rows to mark, as an array of PostgreSQL; nothing when there are none. Either
    /// [`Marks::marked`] or [`Marks::not_marked`] must follow.
    pub(super) fn begin_marking(&self, limit: usize) -> Option<String> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let rest = state.taken.len().saturating_sub(limit);
        state.marking.extend(state.taken.drain(rest..));
        (!state.marking.is_empty()).then(|| array(state.marking.iter()))
    }

    /// The marks are durable.
    pub(super) fn marked(&self) {
        let had_no_room = {
            let mut state = self.state.lock();
            let full = state.len() >= self.capacity;
            state.marking.clear();
            full
        };
        if had_no_room {
            self.room.notify_one();
        }
    }

    /// The marks were not written.
    pub(super) fn not_marked(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.taken.append(&mut state.marking);
    }
}

impl Ledger for Marks {
    fn take(&self, entry: u64) {
        let seq = entry.cast_signed();
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let Some(untaken) = state.untaken.get_mut(&seq) else {
                return;
            };
            *untaken -= 1;
            if *untaken > 0 {
                return;
            }
            state.untaken.remove(&seq);
            state.taken.push(seq);
        }
        self.taken.notify_one();
    }

    fn expect_more(&self, entry: u64, more: u32) {
        if let Some(untaken) = self.state.lock().untaken.get_mut(&entry.cast_signed()) {
            *untaken += more;
        }
    }
}

fn array<'a>(rows: impl Iterator<Item = &'a i64>) -> String {
    let mut text = String::from("{");
    for (index, row) in rows.enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{row}");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_row_stays_in_hand_until_its_mark_is_durable() {
        let marks = Arc::new(Marks::new(2));
        let first = marks.admit(7);
        let second = marks.admit(5);
        assert_eq!((marks.free(), marks.in_flight()), (0, 2));
        let mut shares = first.split(2);
        shares.next().unwrap().taken();
        assert_eq!(
            marks.begin_marking(10),
            None,
            "one of two takers is missing"
        );
        shares.next().unwrap().taken();
        assert_eq!(marks.begin_marking(10).unwrap(), "{7}");
        assert_eq!((marks.free(), marks.in_flight()), (0, 1));
        marks.not_marked();
        second.taken();
        assert_eq!(marks.begin_marking(1).unwrap(), "{5}");
        assert_eq!(marks.in_hand(), "{7,5}");
        marks.marked();
        assert_eq!((marks.free(), marks.in_hand().as_str()), (1, "{7}"));
        assert_eq!(marks.begin_marking(1).unwrap(), "{7}");
        marks.marked();
        assert_eq!((marks.free(), marks.in_hand().as_str()), (2, "{}"));
    }
}
