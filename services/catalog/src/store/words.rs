//! A plain text search over names, brands and attribute values.
//!
//! Search belongs to the search agent, which knows typos, synonyms and ranking signals. This is what
//! answers while the agent does not: all words must occur, the last one may be unfinished. The work is
//! bounded: of a word that half the catalog has, only so many products are ranked.

use mesh::{
    args,
    store::{Store, StoreError, Tx},
};

use super::{
    Statement,
    list::{self, Driver, Selection},
};
use crate::domain::{
    product::Product,
    sort::{Sort, SortKey},
};

/// Matches that are ranked at most; the total of an answer is bounded by it too.
const RANKED: i64 = 5_000;
/// Words of a query that are looked at.
const MAX_WORDS: usize = 12;

/// Replaces the words of a product.
///
/// # Errors
/// See [`StoreError`].
pub async fn replace(tx: &Tx, before: Option<&Product>, after: &Product) -> Result<(), StoreError> {
    let words = |product: &Product| {
        product
            .is_active()
            .then(|| (product.name.clone(), product.brand.clone(), product.facts()))
    };
    let old = before.and_then(words);
    let new = words(after);
    if old == new {
        return Ok(());
    }
    match new {
        Some((name, brand, facts)) => {
            tx.execute(
                "INSERT OR REPLACE INTO product_words (rowid, name, brand, facts) VALUES ($1, $2, $3, $4)",
                args![after.seq, name, brand, facts],
            )
            .await?;
        }
        None => {
            tx.execute(
                "DELETE FROM product_words WHERE rowid = $1",
                args![after.seq],
            )
            .await?;
        }
    }
    Ok(())
}

/// What a plain search found: rows of a page, best first, and how many there are (bounded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows of the page.
    pub seqs: Vec<i64>,
    /// Matches in all pages.
    pub total: i64,
}

/// How matches are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Best match first.
    Relevance,
    /// As a list.
    Of(Sort),
}

/// Searches active products for all words of `text`. Nothing to look for finds nothing.
///
/// # Errors
/// See [`StoreError`].
pub async fn search(
    store: &Store,
    text: &str,
    selection: &Selection,
    order: Order,
    offset: i64,
    limit: i64,
) -> Result<Found, StoreError> {
    let Some(expression) = expression(text) else {
        return Ok(Found::default());
    };
    let selection = Selection {
        driver: Driver::Walk,
        ..selection.clone()
    };
    let mut statement = Statement::default();
    let expression = statement.bind(expression);
    let ranked = statement.bind(RANKED);
    let mut conditions = list::tests(&mut statement, &selection, SortKey::Popularity);
    if let Some(categories) = &selection.categories {
        let categories = statement.bind_list(categories);
        conditions.push_str(&format!(" AND q.category_slug || '' IN {categories}"));
    }
    let limit = statement.bind(limit);
    let offset = statement.bind(offset);
    let order = match order {
        // A smaller bm25 is a better match.
        Order::Relevance => "m.score, q.popularity DESC, q.seq".to_owned(),
        Order::Of(sort) => list::order_by("q", sort),
    };
    statement.push(&format!(
        "SELECT q.seq, COUNT(*) OVER () FROM (\
         SELECT rowid AS seq, bm25(product_words, 8.0, 3.0, 1.0) AS score FROM product_words \
         WHERE product_words MATCH {expression} LIMIT {ranked}) m \
         CROSS JOIN products q ON q.seq = m.seq WHERE q.status = 'active'{conditions} \
         ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    ));
    let rows = store.scan(statement.sql, statement.args).await?;
    Ok(Found {
        total: rows.first().map_or(Ok(0), |row| row.get(1_usize))?,
        seqs: rows
            .iter()
            .map(|row| row.get(0_usize))
            .collect::<Result<_, _>>()?,
    })
}

/// The query in the index's language: quoted words that must all occur, the last as a prefix.
fn expression(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect();
    (!words.is_empty()).then(|| {
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("{}*", quoted.join(" "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_query_cannot_reach_the_index_language() {
        assert_eq!(
            expression("ice* OR \"x\" -y").unwrap(),
            "\"ice\" \"OR\" \"x\" \"y\"*"
        );
        assert_eq!(expression("  -- "), None);
    }
}
