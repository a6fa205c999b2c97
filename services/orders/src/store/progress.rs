//! Moving an order on: a new fact is folded into what is known, and status, saga, timeline and the events
//! that follow are written together.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::hub::{
    events::v1::{OrderCancelled, OrderCompleted, OrderUpdated},
    orders::v1::{OrderStatus, SagaStep},
};
use mesh::{
    Ids, args,
    events::{Data, Emission},
    store::{StoreError, Tx},
};

use super::{
    never, promos,
    rows::named,
    timeline::{self, Entry},
};
use crate::{
    cause::Cause,
    config::OrdersConfig,
    domain::{
        order::{
            PAY_BY_INTENT, PaymentFacts, ShipmentFacts, fulfillment_status_name,
            payment_status_name, status_name, status_of,
        },
        saga::{Fact, Facts, step_name, step_of},
    },
    watch::Watchers,
};

/// When and because of what something is done, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// The time.
    pub(crate) now: DateTime<Utc>,
    /// Source of ids.
    pub(crate) ids: Ids,
    /// What brought it about.
    pub(crate) cause: Cause,
    /// Deadlines.
    pub(crate) config: Arc<OrdersConfig>,
    /// Who follows orders live.
    pub(crate) watchers: Watchers,
}

/// Stock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldNews {
    /// The InventoryReserved message, encoded.
    pub(crate) message: Vec<u8>,
    /// When the hold ends by itself.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// Something that happened to an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// What became known, if anything did.
    pub(crate) fact: Option<Fact>,
    /// Type in the timeline.
    pub(crate) event_type: &'static str,
    /// Id of the event that told; None when it happened here.
    pub(crate) event_id: Option<String>,
    /// For people.
    pub(crate) message: String,
    /// Why, should the order fail because of it.
    pub(crate) reason: String,
    /// Who gave the order up, should it be given up: `customer`, `staff`, `system`.
    pub(crate) by: &'static str,
    /// How it was paid.
    pub(crate) payment: Option<PaymentFacts>,
    /// How it travels.
    pub(crate) shipment: Option<ShipmentFacts>,
    /// What is held.
    pub(crate) hold: Option<HoldNews>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no such order.
    NoSuchOrder,
    /// It was known already.
    Known,
    /// It was written.
    Moved,
}

/// What an order's row and saga hold that decides what follows.
struct Present {
    status: OrderStatus,
    status_reason: String,
    payment_method: String,
    promo_code: String,
    event_seq: i64,
    version: i64,
    facts: Facts,
    step: SagaStep,
    due_at: DateTime<Utc>,
    attempts: i64,
}

async fn present(tx: &Tx, order_id: &str) -> Result<Option<Present>, StoreError> {
    tx.one(
        "SELECT o.status, o.status_reason, o.payment_method, o.promo_code, o.event_seq, o.version, \
         s.facts, s.refunded, s.step, s.due_at, s.attempts \
         FROM orders o JOIN sagas s ON s.order_id = o.order_id WHERE o.order_id = $1",
        args![order_id],
    )
    .await?
    .map(|row| {
        Ok(Present {
            status: named(&row, "status", status_of)?,
            status_reason: row.get("status_reason")?,
            payment_method: row.get("payment_method")?,
            promo_code: row.get("promo_code")?,
            event_seq: row.get("event_seq")?,
            version: row.get("version")?,
            facts: Facts::from_bits(row.get("facts")?, row.get("refunded")?),
            step: named(&row, "step", step_of)?,
            due_at: row.get("due_at")?,
            attempts: row.get("attempts")?,
        })
    })
    .transpose()
}

/// Folds news into an order and tells what follows.
///
/// # Errors
/// A store's; [`StoreError::Unavailable`] when the order moved in between, which a repetition overcomes.
pub(crate) async fn advance(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    news: News,
) -> Result<Progress, StoreError> {
    let Some(present) = present(tx, order_id).await? else {
        return Ok(Progress::NoSuchOrder);
    };
    let before = present.facts;
    let after = match news.fact {
        Some(fact) => before.learn(fact),
        None => before,
    };
    if news.fact.is_some() && after == before {
        return Ok(Progress::Known);
    }
    let (was, status) = (present.status, after.status());
    let decision = after.decide(&before);
    let reason = if after.has_failed() && (!before.has_failed() || was != status) {
        &news.reason
    } else {
        &present.status_reason
    };
    let seq = present.event_seq + 1;
    let change = Change {
        order_id,
        present: &present,
        after: &after,
        news: &news,
        reason,
        seq,
    };
    write_order(tx, moment, &change).await?;
    write_saga(tx, moment, &change).await?;

    let mark = |data| moment.cause.mark(Emission::new(order_id, data), order_id);
    let mut own_event = None;
    if decision.tell_cancelled {
        let data = Data::OrderCancelled(OrderCancelled {
            order_id: order_id.to_owned(),
            reason: if reason.is_empty() {
                news.message.clone()
            } else {
                reason.clone()
            },
            cancelled_by: if news.by.is_empty() {
                "system"
            } else {
                news.by
            }
            .to_owned(),
        });
        own_event = Some(tx.emit(mark(data)).await?);
    }
    if decision.tell_completed {
        let data = Data::OrderCompleted(OrderCompleted {
            order_id: order_id.to_owned(),
        });
        own_event = Some(tx.emit(mark(data)).await?);
    }
    if status != was {
        let data = Data::OrderUpdated(OrderUpdated {
            order_id: order_id.to_owned(),
            previous_status: status_name(was).to_owned(),
            status: status_name(status).to_owned(),
            message: news.message.clone(),
        });
        let id = tx.emit(mark(data)).await?;
        own_event = own_event.or(Some(id));
    }
    let entry = Entry {
        seq,
        event_id: news
            .event_id
            .unwrap_or_else(|| own_event.unwrap_or_else(|| moment.ids.uuid()).to_string()),
        event_type: news.event_type.to_owned(),
        at: moment.now,
        status,
        message: news.message,
    };
    timeline::append(tx, order_id, &entry).await?;
    if after.has_failed() && !before.has_failed() && !present.promo_code.is_empty() {
        promos::give_back(tx, order_id).await?;
    }
    moment.watchers.touch(tx, order_id);
    Ok(Progress::Moved)
}

/// An order before and after the news.
struct Change<'a> {
    order_id: &'a str,
    present: &'a Present,
    after: &'a Facts,
    news: &'a News,
    reason: &'a str,
    seq: i64,
}

async fn write_order(tx: &Tx, moment: &Moment, change: &Change<'_>) -> Result<(), StoreError> {
    let Change {
        order_id,
        present,
        after,
        news,
        reason,
        seq,
    } = *change;
    let payment = news.payment.as_ref();
    let shipment = news.shipment.as_ref();
    let changed = tx
        .execute(
            "UPDATE orders SET status = $1, payment_status = $2, fulfillment_status = $3, \
             status_reason = $4, event_seq = $5, updated_at = $6, version = version + 1, \
             payment_id = COALESCE($7, payment_id), \
             payment_intent_id = COALESCE($8, payment_intent_id), paid_by = COALESCE($9, paid_by), \
             card_brand = COALESCE($10, card_brand), card_last4 = COALESCE($11, card_last4), \
             paid_at = COALESCE(paid_at, $12), shipment_id = COALESCE($13, shipment_id), \
             carrier = COALESCE($14, carrier), service_level = COALESCE($15, service_level), \
             tracking_number = COALESCE($16, tracking_number), \
             estimated_delivery = COALESCE($17, estimated_delivery) \
             WHERE order_id = $18 AND version = $19",
            args![
                status_name(after.status()),
                payment_status_name(after.payment_status()),
                fulfillment_status_name(after.fulfillment_status()),
                reason,
                seq,
                moment.now,
                payment.map(|payment| payment.payment_id.as_str()),
                payment.map(|payment| payment.payment_intent_id.as_str()),
                payment.map(|payment| payment.method.as_str()),
                payment.map(|payment| payment.brand.as_str()),
                payment.map(|payment| payment.last4.as_str()),
                payment.map(|_| moment.now),
                shipment.map(|shipment| shipment.shipment_id.as_str()),
                shipment.map(|shipment| shipment.carrier.as_str()),
                shipment.map(|shipment| shipment.service_level.as_str()),
                shipment.map(|shipment| shipment.tracking_number.as_str()),
                shipment.and_then(|shipment| shipment.estimated_delivery),
                order_id,
                present.version,
            ],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Unavailable {
            message: "the order moved at the same time".to_owned(),
        })
    }
}

async fn write_saga(tx: &Tx, moment: &Moment, change: &Change<'_>) -> Result<(), StoreError> {
    let Change {
        order_id,
        present,
        after,
        news,
        ..
    } = *change;
    let step = after.step();
    let moved = step != present.step;
    // A finished saga waits for nothing but, once delivered, for its closing.
    let fulfilled = step == SagaStep::Completed && after.status() != present.status;
    let due_at = if news.fact == Some(Fact::HoldExpired) && step == SagaStep::Payment {
        // The stock is gone. A payment that is on its way may still arrive; nothing else is worth
        // waiting for.
        present.due_at.min(moment.now + moment.config.reservation())
    } else if moved || fulfilled {
        let expires_at = news.hold.as_ref().and_then(|hold| hold.expires_at);
        due_of(moment, &present.payment_method, after, expires_at).unwrap_or_else(never)
    } else {
        present.due_at
    };
    tx.execute(
        "UPDATE sagas SET step = $1, due_at = $2, facts = $3, refunded = $4, attempts = $5, \
         reserved = COALESCE($6, reserved), updated_at = $7 WHERE order_id = $8",
        args![
            step_name(step),
            due_at,
            after.bits(),
            after.refunded(),
            if moved { 0 } else { present.attempts },
            news.hold.as_ref().map(|hold| hold.message.as_slice()),
            moment.now,
            order_id,
        ],
    )
    .await
    .map(drop)
}

/// Until when the step is waited for; None when nothing is.
pub(super) fn due_of(
    moment: &Moment,
    payment_method: &str,
    facts: &Facts,
    hold_expires_at: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let config = &moment.config;
    let from_now = |duration: TimeDelta| Some(moment.now + duration);
    match facts.step() {
        SagaStep::Reservation => from_now(config.reservation()),
        SagaStep::Payment => {
            let patience = if payment_method == PAY_BY_INTENT {
                config.intent()
            } else {
                config.payment()
            };
            // Nobody should pay for what is no longer held.
            from_now(patience).map(|due| hold_expires_at.map_or(due, |end| due.min(end)))
        }
        SagaStep::Shipment => from_now(config.shipment()),
        SagaStep::Compensation => from_now(config.compensation()),
        SagaStep::Completed if facts.status() == OrderStatus::Delivered => {
            from_now(config.completion())
        }
        SagaStep::Completed | SagaStep::Compensated | SagaStep::Unspecified => None,
    }
}

/// Notes that a waiting step was asked for again, and gives it a new deadline: twice as long for every
/// attempt, up to an hour.
///
/// # Errors
/// A store's.
pub(crate) async fn repeat(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    problem: &str,
) -> Result<(), StoreError> {
    let Some(present) = present(tx, order_id).await? else {
        return Ok(());
    };
    let base = due_of(moment, &present.payment_method, &present.facts, None)
        .map_or(TimeDelta::zero(), |due| due - moment.now);
    let doubled = 1_i32 << present.attempts.clamp(0, 12);
    let wait = (base * doubled).min(base.max(TimeDelta::hours(1)));
    let due_at = if wait > TimeDelta::zero() {
        moment.now + wait
    } else {
        never()
    };
    tx.execute(
        "UPDATE sagas SET attempts = attempts + 1, due_at = $1, last_error = $2, updated_at = $3 \
         WHERE order_id = $4",
        args![due_at, problem, moment.now, order_id],
    )
    .await
    .map(drop)
}
