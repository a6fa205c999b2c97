//! Charging in the books.

use contracts::hub::events::v1 as events;
use mesh::{
    Money, args,
    events::{Data, Emission},
    store::{StoreError, Tx},
};

use super::{
    Moment,
    refund::{NewRefund, RefundSize, reserve_refund},
    rows::{Flow, Payment, PaymentStatus},
};
use crate::{
    domain::decline::Decline,
    provider::{Card, OpenIntent},
};

/// The type of every payment method so far.
const CARD: &str = "card";

/// What is known when a payment is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Id of the order.
    pub order_id: String,
    /// Who ordered.
    pub user_id: String,
    /// Who will bring about the charge.
    pub flow: Flow,
    /// What will be charged.
    pub amount: Money,
    /// The intent at the provider; `None` for an order that costs nothing.
    pub intent: Option<OpenIntent>,
    /// The flow of events that it belongs to.
    pub correlation_id: String,
}

/// Whether an attempt to charge may begin.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It may; the row says which attempt it is and which intent to charge.
    Go(Payment),
    /// It may not: the payment is over, or an attempt is under way.
    Stop(Option<Payment>),
}

async fn find(tx: &Tx, order_id: &str) -> Result<Option<Payment>, StoreError> {
    let sql = format!(
        "SELECT {} FROM payments WHERE order_id = $1",
        Payment::COLUMNS
    );
    let row = tx.one(&sql, args![order_id]).await?;
    row.as_ref().map(Payment::read).transpose()
}

/// Opens the payment of an order unless there is one, and gives the one there is. A tombstone counts.
pub async fn open(tx: &Tx, moment: &Moment, opening: &Opening) -> Result<Payment, StoreError> {
    insert(tx, moment, opening).await?;
    find(tx, &opening.order_id)
        .await?
        .ok_or_else(|| StoreError::Statement {
            message: "a payment that was just opened is gone".to_owned(),
        })
}

async fn insert(tx: &Tx, moment: &Moment, opening: &Opening) -> Result<(), StoreError> {
    let intent = opening.intent.as_ref();
    tx.execute(
        "INSERT INTO payments (order_id, payment_id, user_id, flow, status, intent_id, client_secret, \
         amount_minor, currency, correlation_id, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $10) \
         ON CONFLICT (order_id) DO NOTHING",
        args![
            &opening.order_id,
            moment.ids.uuid(),
            &opening.user_id,
            opening.flow.as_str(),
            intent.map(|intent| intent.intent_id.as_str()),
            intent.map_or("", |intent| intent.client_secret.as_str()),
            opening.amount.minor,
            opening.amount.currency.to_string(),
            &opening.correlation_id,
            moment.now,
        ],
    )
    .await?;
    Ok(())
}

/// Opens the payment if need be and begins an attempt of the saga to charge it. The attempt is on record
/// before the provider hears of it.
pub async fn begin_direct(
    tx: &Tx,
    moment: &Moment,
    opening: &Opening,
) -> Result<Begun, StoreError> {
    insert(tx, moment, opening).await?;
    let sql = format!(
        "UPDATE payments SET attempts = attempts + 1, attempt_at = $2, goods_held = TRUE, \
         version = version + 1, updated_at = $2 \
         WHERE order_id = $1 AND status = 'pending' AND flow = 'direct' AND closed = FALSE \
         RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx.one(&sql, args![&opening.order_id, moment.now]).await?;
    match row {
        Some(row) => Ok(Begun::Go(Payment::read(&row)?)),
        None => Ok(Begun::Stop(find(tx, &opening.order_id).await?)),
    }
}

/// Begins an attempt of the shopper to pay an intent, unless one is under way.
pub async fn begin_shopper_attempt(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
) -> Result<Begun, StoreError> {
    let sql = format!(
        "UPDATE payments SET attempts = attempts + 1, attempt_at = $2, version = version + 1, \
         updated_at = $2 WHERE order_id = $1 AND status = 'pending' AND flow = 'intent' \
         AND closed = FALSE AND attempt_at IS NULL RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx.one(&sql, args![order_id, moment.now]).await?;
    match row {
        Some(row) => Ok(Begun::Go(Payment::read(&row)?)),
        None => Ok(Begun::Stop(find(tx, order_id).await?)),
    }
}

/// Ends an attempt that moved no money and leaves the payment open for another.
pub async fn end_attempt(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    failure_code: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payments SET attempt_at = NULL, failure_code = $2, version = version + 1, \
         updated_at = $3 WHERE order_id = $1 AND status = 'pending'",
        args![order_id, failure_code, moment.now],
    )
    .await?;
    Ok(())
}

/// Notes that inventory holds the goods of an order whose shopper pays by intent.
pub async fn goods_held(tx: &Tx, moment: &Moment, order_id: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payments SET goods_held = TRUE, version = version + 1, updated_at = $2 \
         WHERE order_id = $1 AND goods_held = FALSE",
        args![order_id, moment.now],
    )
    .await?;
    Ok(())
}

/// Notes that the provider told of a decline. True when it was not the answer to an attempt of ours:
/// then the shopper paid elsewhere, in vain.
pub async fn tell_decline(tx: &Tx, moment: &Moment, order_id: &str) -> Result<bool, StoreError> {
    let row = tx
        .one(
            "UPDATE payments SET declines_told = declines_told + 1, version = version + 1, \
             updated_at = $2 WHERE order_id = $1 \
             RETURNING declines_told > attempts AS elsewhere",
            args![order_id, moment.now],
        )
        .await?;
    row.map_or(Ok(false), |row| row.get("elsewhere"))
}

/// Records that a payment is paid, once, and tells of it. Money that arrives for an order that wants none
/// any more is promised back in the same transaction. True when this call was the one.
pub async fn settle(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    card: &Card,
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE payments SET status = 'succeeded', brand = $2, last4 = $3, failure_code = '', \
         attempt_at = NULL, version = version + 1, updated_at = $4 \
         WHERE order_id = $1 AND status <> 'succeeded' AND currency <> '' RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx
        .one(&sql, args![order_id, &card.brand, &card.last4, moment.now])
        .await?;
    let Some(row) = row else { return Ok(false) };
    let payment = Payment::read(&row)?;
    emit(tx, moment, &payment, processed(&payment)).await?;
    if payment.closed {
        let refund =
            NewRefund::of_cancellation(order_id, "the order was cancelled before it was paid");
        // Nothing to give back (a free order) is no error here.
        let _ = reserve_refund(tx, moment, order_id, RefundSize::All, refund, moment.now).await?;
    }
    Ok(true)
}

/// Records that a payment failed for good, once, and tells of it. An order that wants no money any more
/// hears of no failure: it ended for another reason.
pub async fn fail(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    decline: &Decline,
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE payments SET status = 'failed', closed = TRUE, failure_code = $2, attempt_at = NULL, \
         version = version + 1, updated_at = $3 \
         WHERE order_id = $1 AND status = 'pending' AND closed = FALSE RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx
        .one(&sql, args![order_id, &decline.code, moment.now])
        .await?;
    let Some(row) = row else {
        cancel(tx, moment, order_id).await?;
        return Ok(false);
    };
    let payment = Payment::read(&row)?;
    emit(tx, moment, &payment, failed(&payment, decline)).await?;
    Ok(true)
}

/// An order that was closed to money.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Its payment as it is now.
    pub payment: Payment,
    /// Whether it was closed before.
    pub again: bool,
}

/// Closes an order to money, with a tombstone if nothing is known of it.
pub async fn close(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    correlation_id: &str,
) -> Result<Closed, StoreError> {
    let again = find(tx, order_id)
        .await?
        .is_some_and(|before| before.closed);
    let sql = format!(
        "INSERT INTO payments (order_id, payment_id, user_id, flow, status, amount_minor, currency, \
         closed, correlation_id, created_at, updated_at) \
         VALUES ($1, $2, '', 'none', 'canceled', 0, '', TRUE, $3, $4, $4) \
         ON CONFLICT (order_id) DO UPDATE SET closed = TRUE, version = payments.version + 1, \
         updated_at = excluded.updated_at RETURNING {}",
        Payment::COLUMNS
    );
    let row = tx
        .one(
            &sql,
            args![order_id, moment.ids.uuid(), correlation_id, moment.now],
        )
        .await?
        .ok_or_else(|| StoreError::Statement {
            message: "an upsert returned no row".to_owned(),
        })?;
    Ok(Closed {
        payment: Payment::read(&row)?,
        again,
    })
}

/// Looks at an attempt again later: the provider does not know yet.
pub async fn watch(tx: &Tx, moment: &Moment, order_id: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payments SET attempt_at = $2, version = version + 1, updated_at = $2 \
         WHERE order_id = $1 AND status = 'pending'",
        args![order_id, moment.now],
    )
    .await?;
    Ok(())
}

/// Records that a payment can never be charged.
pub async fn cancel(tx: &Tx, moment: &Moment, order_id: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payments SET status = 'canceled', closed = TRUE, attempt_at = NULL, \
         version = version + 1, updated_at = $2 WHERE order_id = $1 AND status = 'pending'",
        args![order_id, moment.now],
    )
    .await?;
    Ok(())
}

/// Tells again how a payment ended, for the saga that missed it. One that has not ended tells nothing.
pub async fn retell(tx: &Tx, moment: &Moment, order_id: &str) -> Result<(), StoreError> {
    let Some(payment) = find(tx, order_id).await? else {
        return Ok(());
    };
    match payment.status {
        PaymentStatus::Succeeded => emit(tx, moment, &payment, processed(&payment)).await,
        PaymentStatus::Failed => {
            let decline = Decline::of(&payment.failure_code);
            emit(tx, moment, &payment, failed(&payment, &decline)).await
        }
        PaymentStatus::Pending | PaymentStatus::Canceled => Ok(()),
    }
}

fn processed(payment: &Payment) -> Data {
    Data::PaymentProcessed(events::PaymentProcessed {
        order_id: payment.order_id.clone(),
        payment_id: payment.payment_id.clone(),
        payment_intent_id: payment.intent_id.clone().unwrap_or_default(),
        amount: payment.amount.map(Money::to_wire),
        brand: payment.card.brand.clone(),
        last4: payment.card.last4.clone(),
        method: CARD.to_owned(),
    })
}

fn failed(payment: &Payment, decline: &Decline) -> Data {
    Data::PaymentFailed(events::PaymentFailed {
        order_id: payment.order_id.clone(),
        payment_id: payment.payment_id.clone(),
        amount: payment.amount.map(Money::to_wire),
        code: decline.code.clone(),
        reason: decline.reason.clone(),
    })
}

pub(super) async fn emit(
    tx: &Tx,
    moment: &Moment,
    payment: &Payment,
    data: Data,
) -> Result<(), StoreError> {
    let emission = Emission::new(&payment.order_id, data);
    tx.emit(moment.cause.mark(emission, &payment.correlation_id))
        .await?;
    Ok(())
}
