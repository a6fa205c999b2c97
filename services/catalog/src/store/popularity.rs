//! Views and purchases, added up elsewhere and written in batches.

use std::collections::BTreeMap;

use mesh::{
    args,
    store::{Row, Sql, StoreError, Tx},
};
use uuid::Uuid;

use super::{list, writes::Writes};
use crate::domain::product::popularity;

const SELECT: Sql = Sql {
    sqlite: "SELECT p.seq, p.product_id, p.popularity, p.views, p.purchases, p.review_count FROM json_each($1) wanted \
             CROSS JOIN products p ON p.product_id = wanted.value ORDER BY p.seq",
    postgres: "SELECT p.seq, p.product_id, p.popularity, p.views, p.purchases, p.review_count FROM products p \
               WHERE p.product_id = ANY($1::uuid[]) ORDER BY p.seq",
};

const UPDATE: &str =
    "UPDATE products SET views = $1, purchases = $2, popularity = $3 WHERE seq = $4";

/// What happened to a product since the last batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Times it was looked at.
    pub views: i64,
    /// Units that were ordered.
    pub purchases: i64,
}

/// Adds interest to products; those that there are not are left out. Returns the row numbers of those whose
/// popularity reached another power of two: often enough to tell those who rank by it, and rare enough
/// not to flood them.
///
/// # Errors
/// See [`StoreError`].
pub async fn add(tx: &Tx, counted: &BTreeMap<Uuid, Interest>) -> Result<Vec<i64>, StoreError> {
    let dialect = tx.dialect();
    let wanted: Vec<Uuid> = counted.keys().copied().collect();
    let mut writes = Writes::new(dialect);
    let mut reached = Vec::new();
    for row in tx
        .all(SELECT.of(dialect), vec![list(dialect, &wanted)])
        .await?
    {
        if let Some(seq) = add_one(&row, counted, &mut writes)? {
            reached.push(seq);
        }
    }
    writes.run(tx).await?;
    Ok(reached)
}

fn add_one(
    row: &Row,
    counted: &BTreeMap<Uuid, Interest>,
    writes: &mut Writes,
) -> Result<Option<i64>, StoreError> {
    let Some(interest) = counted.get(&row.get::<Uuid>(1_usize)?) else {
        return Ok(None);
    };
    let seq: i64 = row.get(0_usize)?;
    let before: i64 = row.get(2_usize)?;
    let views = row.get::<i64>(3_usize)?.saturating_add(interest.views);
    let purchases = row.get::<i64>(4_usize)?.saturating_add(interest.purchases);
    let after = popularity(views, purchases, row.get(5_usize)?);
    writes.push(UPDATE, args![views, purchases, after, seq]);
    let magnitude = |number: i64| number.max(1).ilog2();
    Ok((magnitude(before) != magnitude(after)).then_some(seq))
}
