//! Carrying out what [`crate::domain::hold`] decides: each function is one transaction's worth of
//! statements and emits the events that tell of it.

use chrono::{DateTime, Utc};
use mesh::{
    args,
    store::{Row, Store, StoreError, Tx},
};

use super::{
    announce,
    terms::{Line, Moment, Outcome, Shortage},
    units::{free, hold_units, plan, ship},
    views::{Reservation, reservation},
};
use crate::domain::hold::{Demand, HoldStatus, Move, answer};

/// What is stored about an order's hold.
struct Hold {
    status: HoldStatus,
    round: i64,
    expires_at: Option<DateTime<Utc>>,
    failed: Option<String>,
}

impl Hold {
    fn shortages(&self) -> Result<Vec<Shortage>, StoreError> {
        match &self.failed {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str(text).map_err(|error| StoreError::Decode {
                column: "failed".to_owned(),
                message: error.to_string(),
            }),
        }
    }
}

/// Holds all lines of an order or none, and tells of it. Doing so again changes nothing and tells the
/// same again.
///
/// # Errors
/// A store's; [`StoreError::Unavailable`] when the stock moved between plan and update, which a repetition
/// overcomes.
pub async fn reserve(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    lines: &[Line],
) -> Result<Outcome, StoreError> {
    let hold = hold_of(tx, order_id).await?;
    let status = hold.as_ref().map(|hold| hold.status);
    let outcome = match answer(status, Demand::Reserve) {
        Move::Take(target) => {
            take_or_fail(tx, moment, order_id, hold.as_ref(), lines, target).await?
        }
        Move::Keep => Outcome::Held {
            reservations: held(tx, order_id, hold.as_ref()).await?,
        },
        Move::Note(next) => {
            note(tx, moment, order_id, next, "refused").await?;
            Outcome::Refused {
                shortages: Vec::new(),
            }
        }
        _ => Outcome::Refused {
            shortages: hold
                .as_ref()
                .map(Hold::shortages)
                .transpose()?
                .unwrap_or_default(),
        },
    };
    let expires_at = match (&hold, &outcome) {
        (Some(hold), Outcome::Held { .. }) if hold.status == HoldStatus::Held => hold.expires_at,
        (None, Outcome::Held { .. }) => Some(moment.now + moment.hold_for),
        _ => None,
    };
    announce::outcome(tx, moment, order_id, &outcome, expires_at).await?;
    Ok(outcome)
}

/// Carries out any demand but [`Demand::Reserve`] and [`Demand::Expire`]; returns what was given back.
/// `reason` is kept with the hold and told in the event.
///
/// # Errors
/// As [`reserve`].
pub async fn perform(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    demand: Demand,
    reason: &str,
) -> Result<Vec<Reservation>, StoreError> {
    let hold = hold_of(tx, order_id).await?;
    let status = hold.as_ref().map(|hold| hold.status);
    let mut freed = Vec::new();
    match answer(status, demand) {
        Move::Keep => {
            if demand == Demand::Consume && status != Some(HoldStatus::Consumed) {
                tracing::warn!(
                    order_id,
                    ?status,
                    "goods left the shelf without a reservation"
                );
            }
        }
        Move::Note(next) => note(tx, moment, order_id, next, reason).await?,
        Move::Free(next) => {
            freed = held(tx, order_id, hold.as_ref()).await?;
            free(tx, moment, order_id, &freed).await?;
            note(tx, moment, order_id, next, reason).await?;
            for reservation in &mut freed {
                reservation.status = next;
            }
        }
        Move::Ship => {
            let reservations = held(tx, order_id, hold.as_ref()).await?;
            ship(tx, moment, order_id, &reservations).await?;
            note(tx, moment, order_id, HoldStatus::Consumed, reason).await?;
        }
        Move::ShipUnheld => {
            if let Some(reservations) = retake(tx, moment, order_id, hold.as_ref()).await? {
                ship(tx, moment, order_id, &reservations).await?;
                note(tx, moment, order_id, HoldStatus::Consumed, reason).await?;
            } else {
                tracing::error!(
                    order_id,
                    "goods left the shelf that were promised to others"
                );
            }
        }
        Move::Take(target) => {
            let hold = hold.as_ref();
            let lines = lines_of(tx, order_id, hold.map_or(0, |hold| hold.round)).await?;
            let outcome = take_or_fail(tx, moment, order_id, hold, &lines, target).await?;
            announce::outcome(tx, moment, order_id, &outcome, None).await?;
        }
        Move::Refuse => {
            let shortages = hold
                .as_ref()
                .map(Hold::shortages)
                .transpose()?
                .unwrap_or_default();
            announce::outcome(tx, moment, order_id, &Outcome::Refused { shortages }, None).await?;
        }
    }
    if demand == Demand::Release {
        // Also when nothing was held: the saga waits to hear that nothing is held any more.
        announce::released(tx, moment, order_id, &freed, reason).await?;
    }
    Ok(freed)
}

/// Makes the hold of a paid order last, as [`Demand::Commit`] does, and gives its state afterwards.
///
/// # Errors
/// As [`reserve`].
pub async fn commit(tx: &Tx, moment: &Moment, order_id: &str) -> Result<HoldStatus, StoreError> {
    perform(tx, moment, order_id, Demand::Commit, "paid").await?;
    let hold = hold_of(tx, order_id).await?;
    Ok(hold.map_or(HoldStatus::Awaiting, |hold| hold.status))
}

/// Ends a hold whose time is over. Returns whether there was one.
///
/// # Errors
/// As [`reserve`].
pub async fn expire(tx: &Tx, moment: &Moment, order_id: &str) -> Result<bool, StoreError> {
    let hold = hold_of(tx, order_id).await?;
    let due = hold
        .as_ref()
        .is_some_and(|hold| hold.expires_at.is_some_and(|at| at <= moment.now));
    let status = hold.as_ref().map(|hold| hold.status);
    let Move::Free(next) = answer(status, Demand::Expire) else {
        return Ok(false);
    };
    if !due {
        return Ok(false);
    }
    let freed = held(tx, order_id, hold.as_ref()).await?;
    free(tx, moment, order_id, &freed).await?;
    note(tx, moment, order_id, next, "expired").await?;
    announce::released(tx, moment, order_id, &freed, "expired").await?;
    Ok(true)
}

/// Orders whose hold is over, the longest overdue first.
///
/// # Errors
/// A store's.
pub async fn due_holds(
    store: &Store,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = store
        .all(
            "SELECT order_id FROM holds WHERE status = 'held' AND expires_at <= $1 \
             ORDER BY expires_at, order_id LIMIT $2",
            args![now, limit],
        )
        .await?;
    rows.iter().map(|row| row.get("order_id")).collect()
}

async fn hold_of(tx: &Tx, order_id: &str) -> Result<Option<Hold>, StoreError> {
    tx.one(
        "SELECT status, round, expires_at, failed FROM holds WHERE order_id = $1",
        args![order_id],
    )
    .await?
    .map(|row| {
        Ok(Hold {
            status: status(&row)?,
            round: row.get("round")?,
            expires_at: row.get("expires_at")?,
            failed: row.get("failed")?,
        })
    })
    .transpose()
}

pub(super) fn status(row: &Row) -> Result<HoldStatus, StoreError> {
    row.get::<&str>("status")?
        .parse()
        .map_err(
            |error: crate::domain::hold::UnknownStatus| StoreError::Decode {
                column: "status".to_owned(),
                message: error.to_string(),
            },
        )
}

/// The reservations of the present round.
async fn held(
    tx: &Tx,
    order_id: &str,
    hold: Option<&Hold>,
) -> Result<Vec<Reservation>, StoreError> {
    let round = hold.map_or(0, |hold| hold.round);
    let rows = tx
        .all(
            "SELECT r.reservation_id, r.order_id, r.variant_id, r.sku, r.location_id, r.quantity, \
             r.expires_at, r.created_at, h.status, r.round, h.round AS current_round \
             FROM reservations r JOIN holds h ON h.order_id = r.order_id \
             WHERE r.order_id = $1 AND r.round = $2 ORDER BY r.variant_id, r.location_id",
            args![order_id, round],
        )
        .await?;
    rows.iter().map(reservation).collect()
}

/// The lines that a round of reservations was made for.
async fn lines_of(tx: &Tx, order_id: &str, round: i64) -> Result<Vec<Line>, StoreError> {
    let rows = tx
        .all(
            "SELECT variant_id, SUM(quantity) AS quantity FROM reservations \
             WHERE order_id = $1 AND round = $2 GROUP BY variant_id ORDER BY variant_id",
            args![order_id, round],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Line {
                variant_id: row.get("variant_id")?,
                quantity: row.get("quantity")?,
            })
        })
        .collect()
}

/// Takes units for all lines and stores the hold as `target`; or stores that it failed.
async fn take_or_fail(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    hold: Option<&Hold>,
    lines: &[Line],
    target: HoldStatus,
) -> Result<Outcome, StoreError> {
    let planned = plan(tx, lines).await?;
    let plan = match planned {
        Ok(plan) => plan,
        Err(shortages) => {
            let failed = serde_json::to_string(&shortages).map_err(|error| StoreError::Decode {
                column: "failed".to_owned(),
                message: error.to_string(),
            })?;
            tx.execute(
                "INSERT INTO holds (order_id, status, round, failed, created_at, updated_at) \
                 VALUES ($1, 'failed', 0, $2, $3, $3) ON CONFLICT (order_id) DO UPDATE SET \
                 status = 'failed', failed = excluded.failed, expires_at = NULL, \
                 version = holds.version + 1, updated_at = excluded.updated_at",
                args![order_id, failed, moment.now],
            )
            .await?;
            return Ok(Outcome::Refused { shortages });
        }
    };
    let round = hold.map_or(0, |hold| hold.round) + 1;
    let expires_at = (target == HoldStatus::Held).then_some(moment.now + moment.hold_for);
    tx.execute(
        "INSERT INTO holds (order_id, status, round, expires_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (order_id) DO UPDATE SET \
         status = excluded.status, round = excluded.round, expires_at = excluded.expires_at, \
         version = holds.version + 1, updated_at = excluded.updated_at",
        args![order_id, target.as_str(), round, expires_at, moment.now],
    )
    .await?;
    let mut reservations = Vec::with_capacity(plan.len());
    for (line, takes) in plan {
        let totals = hold_units(tx, moment, &line, &takes).await?;
        for take in takes {
            let reservation = Reservation {
                reservation_id: moment.ids.uuid().to_string(),
                order_id: order_id.to_owned(),
                variant_id: line.variant_id.clone(),
                sku: totals.sku.clone(),
                location_id: take.location_id,
                quantity: take.quantity,
                status: target,
                expires_at,
                created_at: moment.now,
            };
            tx.execute(
                "INSERT INTO reservations (order_id, round, variant_id, location_id, reservation_id, \
                 sku, quantity, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                args![
                    order_id,
                    round,
                    &reservation.variant_id,
                    &reservation.location_id,
                    &reservation.reservation_id,
                    &reservation.sku,
                    reservation.quantity,
                    expires_at,
                    moment.now,
                ],
            )
            .await?;
            reservations.push(reservation);
        }
        totals.announce(tx, &moment.cause, order_id).await?;
    }
    // As the ledger lists them, so that a repetition answers the same.
    reservations
        .sort_by(|a, b| (&a.variant_id, &a.location_id).cmp(&(&b.variant_id, &b.location_id)));
    Ok(Outcome::Held { reservations })
}

/// Takes the units of a line that was given back before, so that they can leave the stock.
async fn retake(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    hold: Option<&Hold>,
) -> Result<Option<Vec<Reservation>>, StoreError> {
    let lines = lines_of(tx, order_id, hold.map_or(0, |hold| hold.round)).await?;
    if lines.is_empty() || plan(tx, &lines).await?.is_err() {
        return Ok(None);
    }
    match take_or_fail(tx, moment, order_id, hold, &lines, HoldStatus::Committed).await? {
        Outcome::Held { reservations } => Ok(Some(reservations)),
        Outcome::Refused { .. } => Ok(None),
    }
}

/// Stores a state of a hold, known or not.
async fn note(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    status: HoldStatus,
    reason: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO holds (order_id, status, round, reason, created_at, updated_at) \
         VALUES ($1, $2, 0, $3, $4, $4) ON CONFLICT (order_id) DO UPDATE SET \
         status = excluded.status, expires_at = NULL, reason = excluded.reason, \
         version = holds.version + 1, updated_at = excluded.updated_at",
        args![order_id, status.as_str(), reason, moment.now],
    )
    .await
    .map(drop)
}
