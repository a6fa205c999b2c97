//! Refunds in the books: promised first, then given, then told.

use chrono::{DateTime, Utc};
use contracts::hub::events::v1 as events;
use mesh::{
    Currency, Money, args,
    events::Data,
    store::{StoreError, Tx},
};

use super::{
    Moment,
    charge::emit,
    due::DueRefund,
    rows::{Payment, Refund, RefundStatus, currency},
};
use crate::provider::Intent;

/// How much is to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundSize {
    /// All that is left.
    All,
    /// This many minor units, above zero.
    Exactly(i64),
}

/// A refund to be promised.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Key under which the provider does it once; the refund's id when `None`.
    pub key: Option<String>,
    /// Why, for people.
    pub reason: String,
}

impl NewRefund {
    /// The refund of a cancelled order: there is only ever one.
    pub fn of_cancellation(order_id: &str, reason: &str) -> Self {
        Self {
            key: Some(format!("cancel:{order_id}")),
            reason: reason.to_owned(),
        }
    }
}

/// Why a refund cannot be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRefused {
    /// Nothing was charged.
    NotPaid,
    /// Everything has gone back or is on its way.
    NothingLeft,
    /// More than is left, in minor units.
    TooMuch {
        /// What is left.
        left: i64,
    },
}

/// What became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refunded {
    /// This call finished it.
    Now(Refund),
    /// It was finished before.
    Before(Refund),
}

/// What a charge still has to give.
struct Balance {
    intent_id: Option<String>,
    charged: i64,
    left: i64,
    currency: Currency,
}

/// The balance of an order's payment, if it is paid.
async fn balance(tx: &Tx, order_id: &str) -> Result<Option<Balance>, StoreError> {
    let row = tx
        .one(
            "SELECT intent_id, amount_minor, refunding_minor, currency FROM payments \
             WHERE order_id = $1 AND status = 'succeeded'",
            args![order_id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let charged: i64 = row.get("amount_minor")?;
    Ok(Some(Balance {
        intent_id: row.get("intent_id")?,
        charged,
        left: charged - row.get::<i64>("refunding_minor")?,
        currency: currency(&row.get::<String>("currency")?, "currency")?,
    }))
}

/// What became of an earlier refund under this key.
async fn earlier(tx: &Tx, key: Option<&str>) -> Result<Option<RefundStatus>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    let sql = format!(
        "SELECT {} FROM refunds WHERE idempotency_key = $1",
        Refund::COLUMNS
    );
    let row = tx.one(&sql, args![key]).await?;
    Ok(row
        .as_ref()
        .map(Refund::read)
        .transpose()?
        .map(|refund| refund.status))
}

/// Promises a refund: sets money aside that no other refund can promise. The provider is asked after
/// this; `due` is when recovery takes over if nobody finishes it.
pub async fn reserve_refund(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    size: RefundSize,
    new: NewRefund,
    due: DateTime<Utc>,
) -> Result<Result<DueRefund, RefundRefused>, StoreError> {
    let Some(before) = balance(tx, order_id).await? else {
        return Ok(Err(RefundRefused::NotPaid));
    };
    let Some(intent_id) = before.intent_id else {
        return Ok(Err(RefundRefused::NothingLeft));
    };
    let key = match earlier(tx, new.key.as_deref()).await? {
        Some(RefundStatus::Pending | RefundStatus::Succeeded) => {
            return Ok(Err(RefundRefused::NothingLeft));
        }
        // The provider refused that one and always would under its key: this is another attempt.
        Some(RefundStatus::Failed) => None,
        None => new.key,
    };
    if before.left == 0 {
        return Ok(Err(RefundRefused::NothingLeft));
    }
    let minor = match size {
        RefundSize::All => before.left,
        RefundSize::Exactly(minor) => minor,
    };
    // The one statement that decides: what it takes is no longer there for the next.
    let taken = tx
        .execute(
            "UPDATE payments SET refunding_minor = refunding_minor + $2, version = version + 1, \
             updated_at = $3 WHERE order_id = $1 AND status = 'succeeded' AND $2 > 0 \
             AND refunding_minor + $2 <= amount_minor",
            args![order_id, minor, moment.now],
        )
        .await?;
    if taken == 0 {
        let left = balance(tx, order_id).await?.map_or(0, |now| now.left);
        return Ok(Err(if left == 0 {
            RefundRefused::NothingLeft
        } else {
            RefundRefused::TooMuch { left }
        }));
    }
    let (code, charged, currency) = (before.currency.to_string(), before.charged, before.currency);
    let refund_id = moment.ids.uuid().to_string();
    let key = key.unwrap_or_else(|| refund_id.clone());
    tx.execute(
        "INSERT INTO refunds (refund_id, order_id, intent_id, idempotency_key, amount_minor, currency, \
         status, reason, next_attempt_at, causation_id, traceparent, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11, $11)",
        args![
            &refund_id,
            order_id,
            &intent_id,
            &key,
            minor,
            &code,
            &new.reason,
            due,
            &moment.cause.causation,
            &moment.cause.traceparent,
            moment.now,
        ],
    )
    .await?;
    let row = tx
        .one(
            &format!(
                "SELECT {} FROM refunds WHERE refund_id = $1",
                Refund::COLUMNS
            ),
            args![&refund_id],
        )
        .await?;
    let refund = row.as_ref().map(Refund::read).transpose()?;
    Ok(refund
        .map(|refund| DueRefund {
            refund,
            order_id: order_id.to_owned(),
            intent: Intent {
                intent_id,
                amount: Money::new(charged, currency),
            },
            key,
            attempts: 0,
            cause: moment.cause.clone(),
        })
        .ok_or(RefundRefused::NothingLeft))
}

/// Records that the provider gave a refund, once, and tells of it.
pub async fn finish_refund(
    tx: &Tx,
    moment: &Moment,
    refund_id: &str,
) -> Result<Option<Refunded>, StoreError> {
    let sql = format!(
        "UPDATE refunds SET status = 'succeeded', next_attempt_at = NULL, updated_at = $2 \
         WHERE refund_id = $1 AND status = 'pending' RETURNING order_id, {}",
        Refund::COLUMNS
    );
    let Some(row) = tx.one(&sql, args![refund_id, moment.now]).await? else {
        let sql = format!(
            "SELECT {} FROM refunds WHERE refund_id = $1",
            Refund::COLUMNS
        );
        let row = tx.one(&sql, args![refund_id]).await?;
        return Ok(row
            .as_ref()
            .map(Refund::read)
            .transpose()?
            .map(Refunded::Before));
    };
    let refund = Refund::read(&row)?;
    let order_id: String = row.get("order_id")?;
    tell(tx, moment, &order_id, &refund).await?;
    Ok(Some(Refunded::Now(refund)))
}

/// Counts a refund that was given, and tells of it.
async fn tell(tx: &Tx, moment: &Moment, order_id: &str, refund: &Refund) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE payments SET refunded_minor = refunded_minor + $2, version = version + 1, \
         updated_at = $3 WHERE order_id = $1 RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx
        .one(&sql, args![order_id, refund.amount.minor, moment.now])
        .await?;
    let Some(row) = row else { return Ok(()) };
    let payment = Payment::read(&row)?;
    emit(tx, moment, &payment, processed(&payment, refund)).await
}

/// Tells again of the last refund of a payment that has gone back in full, for the saga that missed it.
pub async fn retell_refund(tx: &Tx, moment: &Moment, order_id: &str) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {} FROM payments WHERE order_id = $1 AND refunded_minor = amount_minor \
         AND amount_minor > 0",
        Payment::COLUMNS
    );
    let payment = tx.one(&sql, args![order_id]).await?;
    let sql = format!(
        "SELECT {} FROM refunds WHERE order_id = $1 AND status = 'succeeded' \
         ORDER BY refund_id DESC LIMIT 1",
        Refund::COLUMNS
    );
    let refund = tx.one(&sql, args![order_id]).await?;
    if let (Some(payment), Some(refund)) = (payment, refund) {
        let (payment, refund) = (Payment::read(&payment)?, Refund::read(&refund)?);
        emit(tx, moment, &payment, processed(&payment, &refund)).await?;
    }
    Ok(())
}

fn processed(payment: &Payment, refund: &Refund) -> Data {
    let charged = payment.amount.map_or(0, |amount| amount.minor);
    Data::RefundProcessed(events::RefundProcessed {
        order_id: payment.order_id.clone(),
        refund_id: refund.refund_id.clone(),
        payment_intent_id: refund.intent_id.clone(),
        amount: Some(refund.amount.to_wire()),
        total_refunded: Some(Money::new(payment.refunded, refund.amount.currency).to_wire()),
        fully_refunded: payment.refunded == charged,
    })
}

/// Gives up a refund that the provider will never do: what it had promised is there for others again.
pub async fn drop_refund(tx: &Tx, moment: &Moment, refund_id: &str) -> Result<(), StoreError> {
    let row = tx
        .one(
            "UPDATE refunds SET status = 'failed', next_attempt_at = NULL, updated_at = $2 \
             WHERE refund_id = $1 AND status = 'pending' RETURNING order_id, amount_minor",
            args![refund_id, moment.now],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    tx.execute(
        "UPDATE payments SET refunding_minor = refunding_minor - $2, version = version + 1, \
         updated_at = $3 WHERE order_id = $1",
        args![
            row.get::<String>("order_id")?,
            row.get::<i64>("amount_minor")?,
            moment.now
        ],
    )
    .await?;
    Ok(())
}

/// Records money that went back without us (through the provider's own pages): the provider says that
/// `total` minor units have, and what we neither gave nor promised of it is new. True when there was some.
pub async fn reconcile(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    total: i64,
) -> Result<bool, StoreError> {
    let row = tx
        .one(
            "SELECT refunding_minor FROM payments WHERE order_id = $1 AND status = 'succeeded' \
             AND $2 <= amount_minor",
            args![order_id, total],
        )
        .await?;
    let Some(row) = row else { return Ok(false) };
    let missing = total - row.get::<i64>("refunding_minor")?;
    if missing <= 0 {
        return Ok(false);
    }
    let new = NewRefund {
        key: None,
        reason: "given back at the payment provider".to_owned(),
    };
    let size = RefundSize::Exactly(missing);
    match reserve_refund(tx, moment, order_id, size, new, moment.now).await? {
        Ok(due) => Ok(finish_refund(tx, moment, &due.refund.refund_id)
            .await?
            .is_some()),
        Err(_) => Ok(false),
    }
}
