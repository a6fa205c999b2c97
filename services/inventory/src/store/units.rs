//! Changing what lies on the shelves: planning, holding, giving back, shipping.
//!
//! Every change is a conditional update under a CHECK constraint, so units cannot be promised twice even
//! if the rows that a plan was made from have changed since they were read.

use std::collections::BTreeMap;

use contracts::hub::events::v1 as events;
use mesh::{
    args,
    events::{Data, Emission},
    store::{Row, StoreError, Tx},
};

use super::{
    terms::{Line, Moment, Shortage},
    views::Reservation,
};
use crate::{
    cause::Cause,
    domain::sourcing::{Need, Shelf, Take, source},
};

/// Lines with the shelves that their units come from.
pub(super) type Plan = Vec<(Line, Vec<Take>)>;

/// Where the units of every line would come from. Lines of one variant are taken together, and always in
/// the order of their ids, so that two transactions cannot wait for each other.
pub(super) async fn plan(
    tx: &Tx,
    lines: &[Line],
) -> Result<Result<Plan, Vec<Shortage>>, StoreError> {
    let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        let quantity = wanted.entry(&line.variant_id).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    let mut needs = Vec::with_capacity(wanted.len());
    let mut merged = Vec::with_capacity(wanted.len());
    for (variant_id, quantity) in wanted {
        let rows = tx
            .all(
                "SELECT location_id, on_hand - held AS free FROM stock WHERE variant_id = $1",
                args![variant_id],
            )
            .await?;
        let shelves = rows
            .iter()
            .map(|row| {
                Ok(Shelf {
                    location_id: row.get("location_id")?,
                    free: row.get("free")?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        needs.push(Need { quantity, shelves });
        merged.push(Line {
            variant_id: variant_id.to_owned(),
            quantity,
        });
    }
    let short = match source(&needs) {
        Ok(takes) => return Ok(Ok(merged.into_iter().zip(takes).collect())),
        Err(short) => short,
    };
    let mut shortages = Vec::with_capacity(short.lines.len());
    for line in short.lines {
        let row = tx
            .one(
                "SELECT sku FROM variants WHERE variant_id = $1",
                args![&merged[line].variant_id],
            )
            .await?;
        shortages.push(Shortage {
            variant_id: merged[line].variant_id.clone(),
            sku: row
                .map(|row| row.get("sku"))
                .transpose()?
                .unwrap_or_default(),
            requested: merged[line].quantity,
            available: needs[line].available(),
        });
    }
    Ok(Err(shortages))
}

/// What a variant has after a change.
pub(super) struct Totals {
    product_id: String,
    variant_id: String,
    pub(super) sku: String,
    available: i64,
    held: i64,
}

impl Totals {
    pub(super) fn read(variant_id: &str, row: Option<Row>) -> Result<Self, StoreError> {
        let row = row.ok_or_else(moved)?;
        Ok(Self {
            product_id: row.get("product_id")?,
            variant_id: variant_id.to_owned(),
            sku: row.get("sku")?,
            available: row.get::<i64>("on_hand")? - row.get::<i64>("held")?,
            held: row.get("held")?,
        })
    }

    pub(super) async fn announce(
        self,
        tx: &Tx,
        cause: &Cause,
        flow: &str,
    ) -> Result<(), StoreError> {
        let data = Data::StockLevelChanged(events::StockLevelChanged {
            product_id: self.product_id.clone(),
            variant_id: self.variant_id,
            sku: self.sku,
            available: self.available,
            reserved: self.held,
        });
        tx.emit(cause.mark(Emission::new(self.product_id, data), flow))
            .await
            .map(drop)
    }
}

/// The stock changed after a plan was made from it. Nothing is lost: the transaction is undone and the
/// caller comes again.
fn moved() -> StoreError {
    StoreError::Unavailable {
        message: "the stock moved under a reservation".to_owned(),
    }
}

pub(super) async fn hold_units(
    tx: &Tx,
    moment: &Moment,
    line: &Line,
    takes: &[Take],
) -> Result<Totals, StoreError> {
    for take in takes {
        let changed = tx
            .execute(
                "UPDATE stock SET held = held + $1, version = version + 1 \
                 WHERE variant_id = $2 AND location_id = $3 AND on_hand - held >= $1",
                args![take.quantity, &line.variant_id, &take.location_id],
            )
            .await?;
        if changed != 1 {
            return Err(moved());
        }
    }
    let row = tx
        .one(
            "UPDATE variants SET held = held + $1, version = version + 1, updated_at = $2 \
             WHERE variant_id = $3 AND on_hand - held >= $1 RETURNING product_id, sku, on_hand, held",
            args![line.quantity, moment.now, &line.variant_id],
        )
        .await?;
    Totals::read(&line.variant_id, row)
}

/// Units of reservations by variant.
fn by_variant(reservations: &[Reservation]) -> BTreeMap<&str, i64> {
    let mut units = BTreeMap::new();
    for reservation in reservations {
        *units.entry(reservation.variant_id.as_str()).or_default() += reservation.quantity;
    }
    units
}

/// Held units are free again.
pub(super) async fn free(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    reservations: &[Reservation],
) -> Result<(), StoreError> {
    for reservation in reservations {
        tx.execute(
            "UPDATE stock SET held = held - $1, version = version + 1 \
             WHERE variant_id = $2 AND location_id = $3",
            args![
                reservation.quantity,
                &reservation.variant_id,
                &reservation.location_id
            ],
        )
        .await?;
    }
    for (variant_id, quantity) in by_variant(reservations) {
        let row = tx
            .one(
                "UPDATE variants SET held = held - $1, version = version + 1, updated_at = $2 \
                 WHERE variant_id = $3 RETURNING product_id, sku, on_hand, held",
                args![quantity, moment.now, variant_id],
            )
            .await?;
        Totals::read(variant_id, row)?
            .announce(tx, &moment.cause, order_id)
            .await?;
    }
    Ok(())
}

/// Held units leave the stock, with a movement each.
pub(super) async fn ship(
    tx: &Tx,
    moment: &Moment,
    order_id: &str,
    reservations: &[Reservation],
) -> Result<(), StoreError> {
    for reservation in reservations {
        tx.execute(
            "UPDATE stock SET on_hand = on_hand - $1, held = held - $1, version = version + 1 \
             WHERE variant_id = $2 AND location_id = $3",
            args![
                reservation.quantity,
                &reservation.variant_id,
                &reservation.location_id
            ],
        )
        .await?;
        Movement {
            variant_id: &reservation.variant_id,
            location_id: &reservation.location_id,
            delta: -reservation.quantity,
            kind: "shipped",
            order_id: Some(order_id),
            ..Movement::default()
        }
        .record(tx, moment)
        .await?;
    }
    for (variant_id, quantity) in by_variant(reservations) {
        let row = tx
            .one(
                "UPDATE variants SET on_hand = on_hand - $1, held = held - $1, version = version + 1, \
                 updated_at = $2 WHERE variant_id = $3 RETURNING product_id, sku, on_hand, held",
                args![quantity, moment.now, variant_id],
            )
            .await?;
        Totals::read(variant_id, row)?
            .announce(tx, &moment.cause, order_id)
            .await?;
    }
    Ok(())
}

/// Why units on hand of a shelf change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Movement<'a> {
    pub(super) variant_id: &'a str,
    pub(super) location_id: &'a str,
    pub(super) delta: i64,
    /// `opening`, `count` or `shipped`.
    pub(super) kind: &'static str,
    pub(super) order_id: Option<&'a str>,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
}

impl Movement<'_> {
    pub(super) async fn record(self, tx: &Tx, moment: &Moment) -> Result<(), StoreError> {
        tx.execute(
            "INSERT INTO stock_movements (movement_id, variant_id, location_id, delta, kind, order_id, \
             actor, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                moment.ids.uuid(),
                self.variant_id,
                self.location_id,
                self.delta,
                self.kind,
                self.order_id,
                self.actor,
                self.reason,
                moment.now,
            ],
        )
        .await
        .map(drop)
    }
}
