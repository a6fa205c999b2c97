//! The products as events told of them: what the index is built from.

use chrono::{DateTime, Utc};
use contracts::hub::events::v1::ProductSnapshot;
use mesh::{
    args,
    store::{Dialect, Sql, Store, StoreError, Tx},
};
use prost::Message;

use super::document::Product;

/// A change that the index has not read.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub number: i64,
    /// The product.
    pub product_id: String,
    /// The product as it is now; `None` when it is not for sale any more.
    pub product: Option<Product>,
}

/// The number of the change that `tx` makes. On SQLite it is the next of a counter, whose row is held until
/// the commit; on PostgreSQL that of the transaction, which nobody has to wait for.
async fn next_change(tx: &Tx) -> Result<i64, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "UPDATE search_changes SET last = last + 1 WHERE only_row = 1 RETURNING last",
        postgres: "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) AS last",
    };
    let row = tx.one(SQL.of(tx.dialect()), args![]).await?;
    row.map_or(Ok(0), |row| row.get("last"))
}

/// Notes what a product event says. An older version than the known one changes nothing.
///
/// # Errors
/// When the store cannot be written.
pub async fn put_product(
    tx: &Tx,
    snapshot: &ProductSnapshot,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = next_change(tx).await?;
    let initially = snapshot
        .variants
        .iter()
        .any(|variant| variant.initial_stock > 0);
    tx.execute(
        "INSERT INTO search_products
             (product_id, change, version, gone, in_stock, created_at, changed_at, snapshot)
         VALUES ($1, $2, $3, $4,
             COALESCE((SELECT MAX(in_stock) FROM search_variant_stock WHERE product_id = $1), $5), $6, $6, $7)
         ON CONFLICT (product_id) DO UPDATE SET
             change = excluded.change, version = excluded.version, gone = excluded.gone,
             changed_at = excluded.changed_at, snapshot = excluded.snapshot
         WHERE search_products.version <= excluded.version",
        args![
            &snapshot.product_id,
            change,
            snapshot.version,
            snapshot.status != "active",
            i64::from(initially),
            at,
            snapshot.encode_to_vec()
        ],
    )
    .await?;
    Ok(())
}

/// Notes that a product is not for sale any more.
///
/// # Errors
/// When the store cannot be written.
pub async fn remove_product(
    tx: &Tx,
    product_id: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = next_change(tx).await?;
    tx.execute(
        "UPDATE search_products SET gone = $3, change = $2, changed_at = $4 WHERE product_id = $1",
        args![product_id, change, true, at],
    )
    .await?;
    Ok(())
}

/// Whether a variant is known to be in stock; `None` when nothing is known.
///
/// # Errors
/// When the store cannot be read.
pub async fn variant_in_stock(store: &Store, variant_id: &str) -> Result<Option<bool>, StoreError> {
    let row = store
        .one(
            "SELECT in_stock FROM search_variant_stock WHERE variant_id = $1",
            args![variant_id],
        )
        .await?;
    row.map(|row| row.get("in_stock")).transpose()
}

/// Notes whether a variant is in stock; the product changes only if that changes whether any is.
///
/// # Errors
/// When the store cannot be written.
pub async fn put_stock(
    tx: &Tx,
    product_id: &str,
    variant_id: &str,
    in_stock: bool,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO search_variant_stock (variant_id, product_id, in_stock) VALUES ($1, $2, $3)
         ON CONFLICT (variant_id) DO UPDATE SET in_stock = excluded.in_stock",
        args![variant_id, product_id, i64::from(in_stock)],
    )
    .await?;
    let row = tx
        .one(
            "SELECT p.in_stock AS known,
                 (SELECT MAX(v.in_stock) FROM search_variant_stock v WHERE v.product_id = p.product_id) AS actual
             FROM search_products p WHERE p.product_id = $1",
            args![product_id],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let actual = row.get::<i64>("actual")?;
    if row.get::<i64>("known")? != actual {
        let change = next_change(tx).await?;
        tx.execute(
            "UPDATE search_products SET in_stock = $2, change = $3, changed_at = $4 WHERE product_id = $1",
            args![product_id, actual, change, at],
        )
        .await?;
    }
    Ok(())
}

/// The number of the last change.
///
/// # Errors
/// When the store cannot be read.
pub async fn last_change(store: &Store) -> Result<i64, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT last FROM search_changes WHERE only_row = 1",
        postgres: "SELECT COALESCE(MAX(change), 0) AS last FROM search_products",
    };
    let row = store.one(SQL.of(store.dialect()), args![]).await?;
    row.map_or(Ok(0), |row| row.get("last"))
}

/// What tells the table from those of other stores; empty where the index lies beside its store.
///
/// # Errors
/// When the store cannot be read.
pub async fn identity(store: &Store) -> Result<String, StoreError> {
    if store.dialect() == Dialect::Sqlite {
        return Ok(String::new());
    }
    let row = store
        .one("SELECT id FROM search_identity WHERE only_row = 1", args![])
        .await?;
    row.map_or(Ok(String::new()), |row| row.get("id"))
}

/// The changes after number `after`, in order, about `limit`: rows that one transaction changed stay together.
///
/// # Errors
/// When the store cannot be read.
pub async fn changes_after(
    store: &Store,
    after: i64,
    limit: i64,
) -> Result<Vec<Change>, StoreError> {
    const SQL: Sql = Sql {
        sqlite: "SELECT product_id, change, gone, in_stock, created_at, snapshot FROM search_products
                 WHERE change > $1 ORDER BY change LIMIT $2",
        postgres: "SELECT product_id, change, gone, in_stock, created_at, snapshot FROM search_products
                   WHERE change > $1
                   AND change < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)
                   ORDER BY change FETCH FIRST $2 ROWS WITH TIES",
    };
    let rows = store
        .scan(SQL.of(store.dialect()), args![after, limit])
        .await?;
    rows.iter()
        .map(|row| {
            let snapshot = ProductSnapshot::decode(row.get::<&[u8]>("snapshot")?);
            let product = match (row.get::<bool>("gone")?, snapshot) {
                (false, Ok(snapshot)) => Some(Product {
                    snapshot,
                    in_stock: row.get("in_stock")?,
                    created_at: row.get("created_at")?,
                }),
                // Bytes that are no snapshot can only come from a damaged file; the product is left out.
                _ => None,
            };
            Ok(Change {
                number: row.get("change")?,
                product_id: row.get("product_id")?,
                product,
            })
        })
        .collect()
}
