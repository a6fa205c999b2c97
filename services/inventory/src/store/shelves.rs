//! Variants that are new, and counts that staff made.

use mesh::{
    Failure, Reason, args,
    store::{StoreError, Tx},
};

use super::{
    terms::Moment,
    units::{Movement, Totals},
};
use crate::domain::opening::split;

/// A variant as the catalog announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVariant {
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit.
    pub sku: String,
    /// Units to put on stock when the variant is new.
    pub initial_stock: i64,
}

/// Gives shelves and their opening stock to the variants of a product that have none. What is known keeps
/// its stock; only a changed SKU is followed. Returns how many were new.
///
/// # Errors
/// A store's.
pub async fn add_variants(
    tx: &Tx,
    moment: &Moment,
    locations: &[String],
    product_id: &str,
    variants: &[NewVariant],
) -> Result<usize, StoreError> {
    let mut new = 0;
    for variant in variants {
        let known = tx
            .one(
                "SELECT sku FROM variants WHERE variant_id = $1",
                args![&variant.variant_id],
            )
            .await?;
        if let Some(row) = known {
            if row.get::<&str>("sku")? != variant.sku {
                tx.execute(
                    "UPDATE variants SET sku = $1, version = version + 1, updated_at = $2 \
                     WHERE variant_id = $3",
                    args![&variant.sku, moment.now, &variant.variant_id],
                )
                .await?;
            }
            continue;
        }
        let shares = split(variant.initial_stock, &variant.variant_id, locations);
        let row = tx
            .one(
                "INSERT INTO variants (variant_id, product_id, sku, on_hand, held, updated_at) \
                 VALUES ($1, $2, $3, $4, 0, $5) RETURNING product_id, sku, on_hand, held",
                args![
                    &variant.variant_id,
                    product_id,
                    &variant.sku,
                    shares.iter().sum::<i64>(),
                    moment.now
                ],
            )
            .await?;
        for (location, share) in locations.iter().zip(shares) {
            if share == 0 {
                continue;
            }
            tx.execute(
                "INSERT INTO stock (variant_id, location_id, on_hand, held) VALUES ($1, $2, $3, 0)",
                args![&variant.variant_id, location, share],
            )
            .await?;
            Movement {
                variant_id: &variant.variant_id,
                location_id: location,
                delta: share,
                kind: "opening",
                actor: "catalog",
                ..Movement::default()
            }
            .record(tx, moment)
            .await?;
        }
        Totals::read(&variant.variant_id, row)?
            .announce(tx, &moment.cause, product_id)
            .await?;
        new += 1;
    }
    Ok(new)
}

/// A count of the units on a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStock {
    /// Id of the variant.
    pub variant_id: String,
    /// Id of the location.
    pub location_id: String,
    /// Units that are there, held ones included.
    pub on_hand: i64,
    /// Who counted.
    pub actor: String,
    /// Why, for the ledger.
    pub reason: String,
}

/// Sets the units on hand of a shelf and notes the difference as a movement.
///
/// # Errors
/// NotFound for a variant that is not known, Conflict when more units are held than would be there, a
/// store's.
pub async fn set_stock(tx: &Tx, moment: &Moment, count: &SetStock) -> Result<(), Failure> {
    let variant = tx
        .one(
            "SELECT product_id FROM variants WHERE variant_id = $1",
            args![&count.variant_id],
        )
        .await?
        .ok_or_else(|| Failure::not_found("variant", &count.variant_id))?;
    let product_id: String = variant.get("product_id")?;
    let shelf = tx
        .one(
            "SELECT on_hand, held FROM stock WHERE variant_id = $1 AND location_id = $2",
            args![&count.variant_id, &count.location_id],
        )
        .await?;
    let (on_hand, held) = match shelf {
        Some(row) => (row.get::<i64>("on_hand")?, row.get::<i64>("held")?),
        None => (0, 0),
    };
    if count.on_hand < held {
        return Err(Failure::conflict(
            Reason::Conflict,
            format!(
                "{held} units are held for orders at {}; there cannot be fewer on hand",
                count.location_id
            ),
        )
        .with_metadata("held", held.to_string()));
    }
    let delta = count.on_hand - on_hand;
    tx.execute(
        "INSERT INTO stock (variant_id, location_id, on_hand, held) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (variant_id, location_id) DO UPDATE SET on_hand = excluded.on_hand, \
         version = stock.version + 1",
        args![&count.variant_id, &count.location_id, count.on_hand],
    )
    .await?;
    if delta == 0 {
        return Ok(());
    }
    Movement {
        variant_id: &count.variant_id,
        location_id: &count.location_id,
        delta,
        kind: "count",
        actor: &count.actor,
        reason: &count.reason,
        ..Movement::default()
    }
    .record(tx, moment)
    .await?;
    let row = tx
        .one(
            "UPDATE variants SET on_hand = on_hand + $1, version = version + 1, updated_at = $2 \
             WHERE variant_id = $3 RETURNING product_id, sku, on_hand, held",
            args![delta, moment.now, &count.variant_id],
        )
        .await?;
    Totals::read(&count.variant_id, row)?
        .announce(tx, &moment.cause, &product_id)
        .await?;
    Ok(())
}
