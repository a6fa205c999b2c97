//! Promised refunds that wait for the provider.

use chrono::{DateTime, Utc};
use mesh::{
    Money, args,
    store::{Row, Store, StoreError, Tx},
};

use super::{Moment, rows::Refund};
use crate::{cause::Cause, provider::Intent};

/// Refunds that recovery looks at in one go.
const RECOVERY_BATCH: i64 = 50;

/// A refund that the provider has yet to do.
#[derive(Clone, Debug)]
pub struct DueRefund {
    /// The refund.
    pub refund: Refund,
    /// Id of the order.
    pub order_id: String,
    /// What was charged and is to go back in part or in full.
    pub intent: Intent,
    /// Key under which the provider does it once.
    pub key: String,
    /// Attempts so far.
    pub attempts: i64,
    /// What brought it about.
    pub cause: Cause,
}

/// Puts off a refund that the provider did not do yet.
pub async fn postpone_refund(
    tx: &Tx,
    moment: &Moment,
    refund_id: &str,
    due: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE refunds SET attempts = attempts + 1, next_attempt_at = $2, updated_at = $3 \
         WHERE refund_id = $1 AND status = 'pending'",
        args![refund_id, due, moment.now],
    )
    .await?;
    Ok(())
}

/// Promised refunds that nobody is busy with.
pub async fn due_refunds(store: &Store, now: DateTime<Utc>) -> Result<Vec<DueRefund>, StoreError> {
    let rows = store
        .all(
            "SELECT r.refund_id, r.intent_id, r.amount_minor, r.currency, r.status, r.reason, \
             r.created_at, r.order_id, r.idempotency_key, r.attempts, r.causation_id, r.traceparent, \
             p.amount_minor AS charged FROM refunds r JOIN payments p ON p.order_id = r.order_id \
             WHERE r.status = 'pending' AND r.next_attempt_at <= $1 \
             ORDER BY r.next_attempt_at, r.refund_id LIMIT $2",
            args![now, RECOVERY_BATCH],
        )
        .await?;
    rows.iter().map(read_due).collect()
}

fn read_due(row: &Row) -> Result<DueRefund, StoreError> {
    let refund = Refund::read(row)?;
    Ok(DueRefund {
        order_id: row.get("order_id")?,
        intent: Intent {
            intent_id: refund.intent_id.clone(),
            amount: Money::new(row.get("charged")?, refund.amount.currency),
        },
        key: row.get("idempotency_key")?,
        attempts: row.get("attempts")?,
        cause: Cause {
            causation: row.get("causation_id")?,
            traceparent: row.get("traceparent")?,
        },
        refund,
    })
}
