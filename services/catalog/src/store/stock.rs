//! The read model of stock: what inventory last said about a variant.

use mesh::{
    args,
    store::{StoreError, Tx},
};

use super::{counters::Deltas, id, writes::Writes};

/// Notes the units of a variant that can be promised. A variant that the catalog does not know is
/// somebody else's business.
///
/// # Errors
/// See [`StoreError`].
pub async fn note(tx: &Tx, variant_id: &str, available: i64) -> Result<(), StoreError> {
    let Some(variant_id) = id(variant_id) else {
        return Ok(());
    };
    let Some(row) = tx
        .one(
            "UPDATE variants SET stock = $1 WHERE variant_id = $2 RETURNING product_seq",
            args![available.max(0), variant_id],
        )
        .await?
    else {
        return Ok(());
    };
    let seq: i64 = row.get(0_usize)?;
    let Some(row) = tx
        .one(
            "SELECT p.in_stock, p.status, p.category_slug, EXISTS (SELECT 1 FROM variants v \
             WHERE v.product_seq = p.seq AND v.is_sold AND v.stock > 0) FROM products p WHERE p.seq = $1",
            args![seq],
        )
        .await?
    else {
        return Ok(());
    };
    let (was, is): (bool, bool) = (row.get(0_usize)?, row.get(3_usize)?);
    if was == is {
        return Ok(());
    }
    let mut writes = Writes::new(tx.dialect());
    writes.push(
        "UPDATE products SET in_stock = $1 WHERE seq = $2",
        args![is, seq],
    );
    if row.get::<&str>(1_usize)? == "active" {
        let mut deltas = Deltas::default();
        deltas.stock(row.get(2_usize)?, if is { 1 } else { -1 });
        deltas.write(&mut writes);
    }
    writes.run(tx).await
}
