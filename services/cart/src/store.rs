//! The cart's tables.

use std::future::Future;

use chrono::{DateTime, TimeDelta, Utc};
use mesh::{
    Ids, args,
    store::{Migration, Row, Store, StoreError, Tx, Value},
};

use crate::domain::{Cart, Line};

/// The schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "init",
        include_str!("../migrations/sqlite/0001_init.sql"),
        include_str!("../migrations/postgres/0001_init.sql"),
    ),
    Migration::new(
        2,
        "additions",
        include_str!("../migrations/sqlite/0002_additions.sql"),
        include_str!("../migrations/postgres/0002_additions.sql"),
    ),
];

/// How long the key of an addition is remembered; as long as the edge remembers keys.
const KEY_LIFE: TimeDelta = TimeDelta::hours(24);

/// What can run a query: the store's readers, or a transaction that must see its own writes.
pub trait Query: Sync {
    /// All rows of a query.
    fn rows(
        &self,
        sql: &str,
        args: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

impl Query for Store {
    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

impl Query for Tx {
    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

/// Who owns a cart, and how long it is kept after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Id of the user or guest session.
    pub id: String,
    /// Life of the cart after its last change.
    pub life: TimeDelta,
}

/// The owner's cart with its lines, unless it has expired.
///
/// # Errors
/// See [`StoreError`].
pub async fn load(
    query: &impl Query,
    owner_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Cart>, StoreError> {
    let rows = query
        .rows(
            "SELECT c.cart_id, c.version, c.promo_code, c.updated_at, c.expires_at, i.cart_item_id, i.product_id, \
             i.variant_id, i.sku, i.name, i.quantity, i.added_at \
             FROM carts c LEFT JOIN cart_items i ON i.cart_id = c.cart_id \
             WHERE c.owner_id = $1 AND c.expires_at > $2 ORDER BY i.added_at, i.cart_item_id",
            args![owner_id, now],
        )
        .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut cart = Cart {
        cart_id: first.get(0_usize)?,
        version: first.get(1_usize)?,
        promo_code: first.get(2_usize)?,
        updated_at: first.get(3_usize)?,
        expires_at: first.get(4_usize)?,
        lines: Vec::with_capacity(rows.len()),
    };
    for row in &rows {
        // A cart without lines has one row without a line.
        let Some(cart_item_id) = row.get::<Option<String>>(5_usize)? else {
            continue;
        };
        cart.lines.push(Line {
            cart_item_id,
            product_id: row.get(6_usize)?,
            variant_id: row.get(7_usize)?,
            sku: row.get(8_usize)?,
            name: row.get(9_usize)?,
            quantity: row.get(10_usize)?,
            added_at: row.get(11_usize)?,
        });
    }
    Ok(Some(cart))
}

/// Opens the owner's cart for a change: makes one when there is none (an expired one is none), gives it its
/// next version and postpones its expiry. Returns its id. On PostgreSQL this also locks it.
///
/// # Errors
/// See [`StoreError`].
pub async fn open(
    tx: &Tx,
    owner: &Owner,
    ids: &Ids,
    now: DateTime<Utc>,
) -> Result<String, StoreError> {
    tx.execute(
        "DELETE FROM carts WHERE owner_id = $1 AND expires_at <= $2",
        args![&owner.id, now],
    )
    .await?;
    let row = tx
        .one(
            "INSERT INTO carts (cart_id, owner_id, version, promo_code, created_at, updated_at, expires_at) \
             VALUES ($1, $2, 1, '', $3, $3, $4) ON CONFLICT (owner_id) DO UPDATE \
             SET version = carts.version + 1, updated_at = excluded.updated_at, expires_at = excluded.expires_at \
             RETURNING cart_id",
            args![ids.uuid(), &owner.id, now, now + owner.life],
        )
        .await?
        .ok_or_else(|| StoreError::Statement {
            message: "an upsert returned no row".to_owned(),
        })?;
    row.get(0_usize)
}

/// Notes that the call with this key adds to a cart. False when it has done so before.
///
/// # Errors
/// See [`StoreError`].
pub async fn note_addition(
    tx: &Tx,
    cart_id: &str,
    idempotency_key: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    tx.execute(
        "DELETE FROM additions WHERE cart_id = $1 AND added_at <= $2",
        args![cart_id, now - KEY_LIFE],
    )
    .await?;
    let noted = tx
        .execute(
            "INSERT INTO additions (cart_id, idempotency_key, added_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
            args![cart_id, idempotency_key, now],
        )
        .await?;
    Ok(noted == 1)
}

/// Adds units of a variant to a cart. Returns how many the line has now.
///
/// # Errors
/// See [`StoreError`]; `Check` when a line would hold too many.
pub async fn add(tx: &Tx, cart_id: &str, line: &Line) -> Result<i64, StoreError> {
    let row = tx
        .one(
            "INSERT INTO cart_items (cart_item_id, cart_id, product_id, variant_id, sku, name, quantity, added_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (cart_id, variant_id) DO UPDATE \
             SET quantity = cart_items.quantity + excluded.quantity, sku = excluded.sku, name = excluded.name \
             RETURNING quantity",
            args![
                &line.cart_item_id,
                cart_id,
                &line.product_id,
                &line.variant_id,
                &line.sku,
                &line.name,
                line.quantity,
                line.added_at
            ],
        )
        .await?;
    row.map_or(Ok(0), |row| row.get(0_usize))
}

/// How many lines a cart has.
///
/// # Errors
/// See [`StoreError`].
pub async fn count_lines(tx: &Tx, cart_id: &str) -> Result<i64, StoreError> {
    let row = tx
        .one(
            "SELECT COUNT(*) FROM cart_items WHERE cart_id = $1",
            args![cart_id],
        )
        .await?;
    row.map_or(Ok(0), |row| row.get(0_usize))
}

/// Sets the units of a line. Returns whether the cart has it.
///
/// # Errors
/// See [`StoreError`].
pub async fn set_quantity(
    tx: &Tx,
    cart_id: &str,
    cart_item_id: &str,
    quantity: i64,
) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "UPDATE cart_items SET quantity = $1 WHERE cart_item_id = $2 AND cart_id = $3",
            args![quantity, cart_item_id, cart_id],
        )
        .await?;
    Ok(changed > 0)
}

/// Sets the units of the line of a variant.
///
/// # Errors
/// See [`StoreError`].
pub async fn set_quantity_of_variant(
    tx: &Tx,
    cart_id: &str,
    variant_id: &str,
    quantity: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE cart_items SET quantity = $1 WHERE cart_id = $2 AND variant_id = $3",
        args![quantity, cart_id, variant_id],
    )
    .await?;
    Ok(())
}

/// Moves a line to another cart.
///
/// # Errors
/// See [`StoreError`].
pub async fn move_line(tx: &Tx, cart_item_id: &str, to_cart: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE cart_items SET cart_id = $1 WHERE cart_item_id = $2",
        args![to_cart, cart_item_id],
    )
    .await?;
    Ok(())
}

/// Takes a line out. Returns whether the cart had it.
///
/// # Errors
/// See [`StoreError`].
pub async fn remove(tx: &Tx, cart_id: &str, cart_item_id: &str) -> Result<bool, StoreError> {
    let removed = tx
        .execute(
            "DELETE FROM cart_items WHERE cart_item_id = $1 AND cart_id = $2",
            args![cart_item_id, cart_id],
        )
        .await?;
    Ok(removed > 0)
}

/// Takes all lines and the promo code out.
///
/// # Errors
/// See [`StoreError`].
pub async fn empty(tx: &Tx, cart_id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM cart_items WHERE cart_id = $1", args![cart_id])
        .await?;
    set_promo_code(tx, cart_id, "").await
}

/// Notes a promo code; the empty one removes it.
///
/// # Errors
/// See [`StoreError`].
pub async fn set_promo_code(tx: &Tx, cart_id: &str, code: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE carts SET promo_code = $1 WHERE cart_id = $2",
        args![code, cart_id],
    )
    .await?;
    Ok(())
}

/// What was ordered from a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The cart.
    pub cart_id: String,
    /// Its version that was ordered.
    pub version: i64,
    /// Variants and units.
    pub lines: Vec<(String, i64)>,
    /// Promo code that was used; empty when none.
    pub promo_code: String,
}

/// Takes what was ordered out of its cart. If the cart has changed since, the shopper has added or taken
/// out something, and only the ordered units go.
///
/// # Errors
/// See [`StoreError`].
pub async fn take_ordered(
    tx: &Tx,
    ordered: &Ordered,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = tx
        .one(
            "UPDATE carts SET version = version + 1, updated_at = $1 WHERE cart_id = $2 \
             RETURNING version - 1, promo_code",
            args![now, &ordered.cart_id],
        )
        .await?;
    let Some(row) = row else {
        return Ok(());
    };
    if row.get::<i64>(0_usize)? == ordered.version {
        return empty(tx, &ordered.cart_id).await;
    }
    for (variant_id, quantity) in &ordered.lines {
        tx.execute(
            "DELETE FROM cart_items WHERE cart_id = $1 AND variant_id = $2 AND quantity <= $3",
            args![&ordered.cart_id, variant_id, quantity],
        )
        .await?;
        tx.execute(
            "UPDATE cart_items SET quantity = quantity - $3 WHERE cart_id = $1 AND variant_id = $2 AND quantity > $3",
            args![&ordered.cart_id, variant_id, quantity],
        )
        .await?;
    }
    if !ordered.promo_code.is_empty() && row.get::<&str>(1_usize)? == ordered.promo_code {
        set_promo_code(tx, &ordered.cart_id, "").await?;
    }
    Ok(())
}

/// Forgets the cart of an owner.
///
/// # Errors
/// See [`StoreError`].
pub async fn forget_owner(tx: &Tx, owner_id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM carts WHERE owner_id = $1", args![owner_id])
        .await?;
    Ok(())
}

/// Forgets expired carts, at most `limit`. Returns how many.
///
/// # Errors
/// See [`StoreError`].
pub async fn forget_expired(tx: &Tx, now: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM carts WHERE cart_id IN \
         (SELECT cart_id FROM carts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        args![now, limit],
    )
    .await
}
