//! Views and purchases, added up elsewhere and written in batches.

use mesh::{
    args,
    store::{StoreError, Tx},
};

use crate::domain::product::popularity;

/// What happened to a product since the last batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Times it was looked at.
    pub views: i64,
    /// Units that were ordered.
    pub purchases: i64,
}

/// Adds interest to a product. Returns its row number when its popularity reached another power of two:
/// often enough to tell those who rank by it, and rare enough not to flood them.
///
/// # Errors
/// See [`StoreError`].
pub async fn add(tx: &Tx, product_id: &str, interest: Interest) -> Result<Option<i64>, StoreError> {
    let Some(row) = tx
        .one(
            "UPDATE products SET views = views + $1, purchases = purchases + $2 WHERE product_id = $3 \
             RETURNING seq, popularity, views, purchases, review_count",
            args![interest.views, interest.purchases, product_id],
        )
        .await?
    else {
        return Ok(None);
    };
    let seq: i64 = row.get(0_usize)?;
    let before: i64 = row.get(1_usize)?;
    let after = popularity(row.get(2_usize)?, row.get(3_usize)?, row.get(4_usize)?);
    if after == before {
        return Ok(None);
    }
    tx.execute(
        "UPDATE products SET popularity = $1 WHERE seq = $2",
        args![after, seq],
    )
    .await?;
    let magnitude = |number: i64| number.max(1).ilog2();
    Ok((magnitude(before) != magnitude(after)).then_some(seq))
}
