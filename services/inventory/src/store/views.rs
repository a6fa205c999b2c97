//! Reading stock and reservations.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use mesh::{
    Paging, args,
    store::{Row, Store, StoreError},
};

use super::holds::status;
use crate::domain::hold::HoldStatus;

/// A row of the reservation ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Id of the reservation.
    pub reservation_id: String,
    /// Id of the order.
    pub order_id: String,
    /// Id of the variant.
    pub variant_id: String,
    /// Stock keeping unit.
    pub sku: String,
    /// Location that holds the units.
    pub location_id: String,
    /// Units.
    pub quantity: i64,
    /// Where it is in its life.
    pub status: HoldStatus,
    /// When it ended or ends by itself; None for one that was paid from the start.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Units of a variant at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShelfStock {
    /// Id of the location.
    pub location_id: String,
    /// Units that are there, held ones included.
    pub on_hand: i64,
    /// Units held for orders.
    pub held: i64,
}

/// Stock of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantStock {
    /// Id of the variant.
    pub variant_id: String,
    /// Id of its product.
    pub product_id: String,
    /// Stock keeping unit.
    pub sku: String,
    /// Units that are there over all locations, held ones included.
    pub on_hand: i64,
    /// Units held for orders over all locations.
    pub held: i64,
    /// The same per location.
    pub shelves: Vec<ShelfStock>,
}

/// A page of variants, the scarcest first.
#[derive(Clone, Debug)]
pub struct StockPage {
    /// The variants.
    pub items: Vec<VariantStock>,
    /// How many there are in all pages.
    pub total: i64,
    /// Token of the next page; empty on the last.
    pub next_page_token: String,
}

pub(super) fn reservation(row: &Row) -> Result<Reservation, StoreError> {
    let past = row.get::<i64>("round")? < row.get::<i64>("current_round")?;
    Ok(Reservation {
        reservation_id: row.get("reservation_id")?,
        order_id: row.get("order_id")?,
        variant_id: row.get("variant_id")?,
        sku: row.get("sku")?,
        location_id: row.get("location_id")?,
        quantity: row.get("quantity")?,
        status: if past {
            HoldStatus::Expired
        } else {
            status(row)?
        },
        expires_at: row.get("expires_at")?,
        created_at: row.get("created_at")?,
    })
}

/// All reservations that were ever made for an order.
///
/// # Errors
/// A store's.
pub async fn reservations_of(
    store: &Store,
    order_id: &str,
) -> Result<Vec<Reservation>, StoreError> {
    let rows = store
        .all(
            "SELECT r.reservation_id, r.order_id, r.variant_id, r.sku, r.location_id, r.quantity, \
             r.expires_at, r.created_at, h.status, r.round, h.round AS current_round \
             FROM reservations r JOIN holds h ON h.order_id = r.order_id \
             WHERE r.order_id = $1 ORDER BY r.round, r.variant_id, r.location_id",
            args![order_id],
        )
        .await?;
    rows.iter().map(reservation).collect()
}

/// Stock of a product's variants by SKU; empty when the product is not known.
///
/// # Errors
/// A store's.
pub async fn product_stock(
    store: &Store,
    product_id: &str,
) -> Result<Vec<VariantStock>, StoreError> {
    let rows = store
        .all(
            "SELECT v.variant_id, v.product_id, v.sku, v.on_hand AS total, v.held AS total_held, \
             s.location_id, s.on_hand, s.held FROM variants v \
             LEFT JOIN stock s ON s.variant_id = v.variant_id \
             WHERE v.product_id = $1 ORDER BY v.sku, v.variant_id, s.location_id",
            args![product_id],
        )
        .await?;
    collect(&rows)
}

/// Stock of one variant.
///
/// # Errors
/// A store's.
pub async fn variant_stock(
    store: &Store,
    variant_id: &str,
) -> Result<Option<VariantStock>, StoreError> {
    let rows = store
        .all(
            "SELECT v.variant_id, v.product_id, v.sku, v.on_hand AS total, v.held AS total_held, \
             s.location_id, s.on_hand, s.held FROM variants v \
             LEFT JOIN stock s ON s.variant_id = v.variant_id \
             WHERE v.variant_id = $1 ORDER BY s.location_id",
            args![variant_id],
        )
        .await?;
    Ok(collect(&rows)?.pop())
}

/// Variants with at most so many available units, the scarcest first. Pages walk by availability and id.
///
/// # Errors
/// A store's.
pub async fn scarce(
    store: &Store,
    at_most: i64,
    paging: &Paging<(i64, String)>,
) -> Result<StockPage, StoreError> {
    let total = store
        .scan(
            "SELECT COUNT(*) AS total FROM variants WHERE available <= $1",
            args![at_most],
        )
        .await?
        .first()
        .map_or(Ok(0), |row| row.get("total"))?;
    // Availability is never below zero, so this key comes before every row.
    let (available, variant_id) = paging.after.clone().unwrap_or((-1, String::new()));
    let mut rows = store
        .all(
            "SELECT variant_id, product_id, sku, on_hand, held, available FROM variants \
             WHERE (available, variant_id) > ($1, $2) AND available <= $3 \
             ORDER BY available, variant_id LIMIT $4 OFFSET $5",
            args![
                available,
                variant_id,
                at_most,
                paging.fetch(),
                paging.offset()
            ],
        )
        .await?
        .iter()
        .map(|row| {
            Ok((
                row.get::<i64>("available")?,
                VariantStock {
                    variant_id: row.get("variant_id")?,
                    product_id: row.get("product_id")?,
                    sku: row.get("sku")?,
                    on_hand: row.get("on_hand")?,
                    held: row.get("held")?,
                    shelves: Vec::new(),
                },
            ))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let next_page_token = paging.finish(&mut rows, |(available, row)| {
        (*available, row.variant_id.clone())
    });
    let mut items: Vec<VariantStock> = rows.into_iter().map(|(_, row)| row).collect();
    // At most a hundred look-ups by key, each a few microseconds.
    for item in &mut items {
        let rows = store
            .all(
                "SELECT location_id, on_hand, held FROM stock WHERE variant_id = $1 ORDER BY location_id",
                args![&item.variant_id],
            )
            .await?;
        item.shelves = rows.iter().map(shelf).collect::<Result<_, _>>()?;
    }
    Ok(StockPage {
        items,
        total,
        next_page_token,
    })
}

fn shelf(row: &Row) -> Result<ShelfStock, StoreError> {
    Ok(ShelfStock {
        location_id: row.get("location_id")?,
        on_hand: row.get("on_hand")?,
        held: row.get("held")?,
    })
}

/// Rows of variant and shelf, sorted by variant, to variants with their shelves.
fn collect(rows: &[Row]) -> Result<Vec<VariantStock>, StoreError> {
    let mut variants: Vec<VariantStock> = Vec::new();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let variant_id: String = row.get("variant_id")?;
        let position = match positions.get(&variant_id) {
            Some(position) => *position,
            None => {
                positions.insert(variant_id.clone(), variants.len());
                variants.push(VariantStock {
                    variant_id,
                    product_id: row.get("product_id")?,
                    sku: row.get("sku")?,
                    on_hand: row.get("total")?,
                    held: row.get("total_held")?,
                    shelves: Vec::new(),
                });
                variants.len() - 1
            }
        };
        if row.get::<Option<&str>>("location_id")?.is_some() {
            variants[position].shelves.push(shelf(row)?);
        }
    }
    Ok(variants)
}
