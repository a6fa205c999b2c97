//! The books: what was charged for which order, and what went back.
//!
//! Each function here is one transaction's worth of statements. They decide by conditional updates, so
//! that a charge, a cancellation and eight refunds of the same order may arrive in any order and at the
//! same time: each sees the row as the one before left it.

mod charge;
mod due;
mod refund;
mod rows;

pub use charge::{
    Begun, Closed, Opening, begin_direct, begin_shopper_attempt, cancel, close, end_attempt, fail,
    goods_held, open, retell, settle, tell_decline, watch,
};
pub use due::{DueRefund, due_refunds, postpone_refund};
pub use refund::{
    NewRefund, RefundRefused, RefundSize, Refunded, drop_refund, finish_refund, reconcile,
    reserve_refund, retell_refund,
};
pub use rows::{
    Flow, Payment, PaymentStatus, Refund, RefundStatus, by_intent, by_order, refunds_of,
    under_way_since,
};

use chrono::{DateTime, Utc};
use mesh::Ids;

use crate::cause::Cause;

/// When and why something is written.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub now: DateTime<Utc>,
    /// Source of the ids of new rows.
    pub ids: Ids,
    /// What brought it about.
    pub cause: Cause,
}
