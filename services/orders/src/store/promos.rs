//! Promo codes and their uses.
//!
//! A use is counted by a conditional update in the transaction that stores the order, and given back in
//! the one that learns of its failure, so concurrent orders cannot use a code more often than it allows.

use chrono::{DateTime, Utc};
use mesh::{
    Currency, Money, args,
    store::{Row, Store, StoreError, Tx},
};

use super::{create::PlaceError, rows::undecodable};
use crate::domain::promo::{Discount, Promo, PromoRefusal};

/// A code.
///
/// # Errors
/// A store's.
pub(crate) async fn find(store: &Store, code: &str) -> Result<Option<Promo>, StoreError> {
    store
        .one(
            "SELECT code, kind, percent, amount_minor, min_subtotal_minor, currency, starts_at, ends_at, \
             max_uses, max_uses_per_user, uses, description FROM promo_codes WHERE code = $1",
            args![code],
        )
        .await?
        .map(|row| promo(&row))
        .transpose()
}

fn promo(row: &Row) -> Result<Promo, StoreError> {
    let currency: Currency = row
        .get::<&str>("currency")?
        .parse()
        .map_err(|error| undecodable("currency", error))?;
    let discount = match row.get::<&str>("kind")? {
        "percent" => Discount::Percent(
            row.get::<&str>("percent")?
                .parse()
                .map_err(|error| undecodable("percent", error))?,
        ),
        "fixed" => Discount::Fixed(Money::new(row.get("amount_minor")?, currency)),
        "free_shipping" => Discount::FreeShipping,
        other => return Err(undecodable("kind", format_args!("{other:?} is not known"))),
    };
    Ok(Promo {
        code: row.get("code")?,
        discount,
        min_subtotal: Money::new(row.get("min_subtotal_minor")?, currency),
        starts_at: row.get("starts_at")?,
        ends_at: row.get("ends_at")?,
        max_uses: row.get("max_uses")?,
        max_uses_per_user: row.get("max_uses_per_user")?,
        uses: row.get("uses")?,
        description: row.get("description")?,
    })
}

/// How often a user has used a code.
///
/// # Errors
/// A store's.
pub(crate) async fn used_by(store: &Store, code: &str, user_id: &str) -> Result<i64, StoreError> {
    store
        .one(
            "SELECT COUNT(*) AS uses FROM promo_redemptions WHERE code = $1 AND user_id = $2",
            args![code, user_id],
        )
        .await?
        .map_or(Ok(0), |row| row.get("uses"))
}

/// Counts a use for an order.
pub(super) async fn redeem(
    tx: &Tx,
    code: &str,
    user_id: &str,
    order_id: &str,
    now: DateTime<Utc>,
) -> Result<(), PlaceError> {
    // The update comes first: it locks the code, so that the count below sees every other use.
    let row = tx
        .one(
            "UPDATE promo_codes SET uses = uses + 1, version = version + 1 \
             WHERE code = $1 AND (max_uses = 0 OR uses < max_uses) RETURNING max_uses_per_user",
            args![code],
        )
        .await?
        .ok_or_else(|| PromoRefusal::UsedUp(code.to_owned()))?;
    let per_user: i64 = row.get("max_uses_per_user")?;
    tx.execute(
        "INSERT INTO promo_redemptions (order_id, code, user_id, redeemed_at) VALUES ($1, $2, $3, $4)",
        args![order_id, code, user_id, now],
    )
    .await?;
    if per_user > 0 {
        let uses: i64 = tx
            .one(
                "SELECT COUNT(*) AS uses FROM promo_redemptions WHERE code = $1 AND user_id = $2",
                args![code, user_id],
            )
            .await?
            .map_or(Ok(0), |row| row.get("uses"))?;
        if uses > per_user {
            return Err(PromoRefusal::UsedUpByUser(code.to_owned()).into());
        }
    }
    Ok(())
}

/// Gives back the use of an order that failed. Doing so twice gives back one.
pub(super) async fn give_back(tx: &Tx, order_id: &str) -> Result<(), StoreError> {
    let row = tx
        .one(
            "DELETE FROM promo_redemptions WHERE order_id = $1 RETURNING code",
            args![order_id],
        )
        .await?;
    if let Some(row) = row {
        tx.execute(
            "UPDATE promo_codes SET uses = uses - 1, version = version + 1 WHERE code = $1 AND uses > 0",
            args![row.get::<&str>("code")?],
        )
        .await?;
    }
    Ok(())
}

/// Creates or replaces a code; how often it was used stays.
///
/// # Errors
/// A store's.
pub(crate) async fn store(tx: &Tx, promo: &Promo) -> Result<(), StoreError> {
    let (kind, percent, amount) = match promo.discount {
        Discount::Percent(percent) => ("percent", percent.to_string(), 0),
        Discount::Fixed(amount) => ("fixed", String::new(), amount.minor),
        Discount::FreeShipping => ("free_shipping", String::new(), 0),
    };
    tx.execute(
        "INSERT INTO promo_codes (code, kind, percent, amount_minor, min_subtotal_minor, currency, \
         starts_at, ends_at, max_uses, max_uses_per_user, description) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (code) DO UPDATE SET \
         kind = excluded.kind, percent = excluded.percent, amount_minor = excluded.amount_minor, \
         min_subtotal_minor = excluded.min_subtotal_minor, currency = excluded.currency, \
         starts_at = excluded.starts_at, ends_at = excluded.ends_at, max_uses = excluded.max_uses, \
         max_uses_per_user = excluded.max_uses_per_user, description = excluded.description, \
         version = promo_codes.version + 1",
        args![
            &promo.code,
            kind,
            percent,
            amount,
            promo.min_subtotal.minor,
            promo.min_subtotal.currency.to_string(),
            promo.starts_at,
            promo.ends_at,
            promo.max_uses,
            promo.max_uses_per_user,
            &promo.description,
        ],
    )
    .await
    .map(drop)
}
