//! Counters of active products by category, brand, attribute value, price bucket and rating.
//!
//! They change in the transaction that changes a product, so facets and totals are exact and cost what
//! their number of values costs, not what the catalog's size does.

use std::collections::BTreeMap;

use mesh::{
    args,
    store::{Sql, StoreError},
};

use super::{Query, list, up_to_date, writes::Writes};
use crate::domain::{bands, decimal, product::Product};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Every active product.
    All,
    /// By brand.
    Brand,
    /// By attribute value.
    Attribute,
    /// By lower bound of the price bucket.
    Price,
    /// By half star of the rating.
    Rating,
    /// Those in stock.
    InStock,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Brand => "brand",
            Self::Attribute => "attribute",
            Self::Price => "price",
            Self::Rating => "rating",
            Self::InStock => "in_stock",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [
            Self::All,
            Self::Brand,
            Self::Attribute,
            Self::Price,
            Self::Rating,
            Self::InStock,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

/// Half stars of a rating in thousandths.
pub fn half_stars(rating_milli: i64) -> i64 {
    rating_milli / 500
}

type Counter = (String, Kind, String, String);

/// Changes of counters, summed before they are written: a batch of an import touches few of them.
#[derive(Debug, Default)]
pub struct Deltas(BTreeMap<Counter, i64>);

impl Deltas {
    /// Notes that `before` gives way to `after`.
    pub fn replace(&mut self, before: Option<&Product>, after: Option<&Product>) {
        for (product, step) in [(before, -1), (after, 1)] {
            for counter in product.into_iter().flat_map(counters_of) {
                *self.0.entry(counter).or_insert(0) += step;
            }
        }
    }

    /// Notes that a product of `category` came into stock (1) or ran out (-1).
    pub fn stock(&mut self, category: &str, step: i64) {
        let counter = (
            category.to_owned(),
            Kind::InStock,
            String::new(),
            String::new(),
        );
        *self.0.entry(counter).or_insert(0) += step;
    }

    /// Adds the changes to what is to be written, in one order everywhere: whoever changes several counters
    /// takes them as everybody else does.
    pub fn write(self, writes: &mut Writes) {
        let changed = self.0.into_iter().filter(|(_, step)| *step != 0);
        for ((category, kind, name, value), step) in changed {
            let key = [category, kind.as_str().to_owned(), name, value];
            writes.count(key, step);
        }
    }
}

fn counters_of(product: &Product) -> Vec<Counter> {
    if !product.is_active() {
        return Vec::new();
    }
    let counter = |kind, name: &str, value: String| {
        (product.category_slug.clone(), kind, name.to_owned(), value)
    };
    let price = bands::bucket(decimal::price_key(product.pricing.price));
    let mut counters = vec![
        counter(Kind::All, "", String::new()),
        counter(Kind::Price, "", price.to_string()),
        counter(
            Kind::Rating,
            "",
            half_stars(product.rating_milli).to_string(),
        ),
    ];
    if product.in_stock() {
        counters.push(counter(Kind::InStock, "", String::new()));
    }
    counters.extend(product.terms().into_iter().map(|(name, value)| {
        let kind = if name.is_empty() {
            Kind::Brand
        } else {
            Kind::Attribute
        };
        counter(kind, &name, value)
    }));
    counters
}

/// A counter summed over categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What is counted.
    pub kind: Kind,
    /// Name of the attribute.
    pub name: String,
    /// The value.
    pub value: String,
    /// Products.
    pub products: i64,
}

/// All counters of some categories, summed; of the whole shop when none are given.
///
/// # Errors
/// See [`StoreError`].
pub async fn all(
    store: &mesh::store::Store,
    categories: Option<&[String]>,
) -> Result<Vec<Counted>, StoreError> {
    const WITHIN: Sql = Sql {
        sqlite: "SELECT f.kind, f.name, f.value, CAST(SUM(f.products) AS BIGINT) FROM json_each($1) c \
                 CROSS JOIN facet_counts f ON f.category_slug = c.value GROUP BY f.kind, f.name, f.value",
        postgres: "SELECT f.kind, f.name, f.value, CAST(SUM(f.products) AS BIGINT) FROM facet_counts f \
                   WHERE f.category_slug = ANY($1::text[]) GROUP BY f.kind, f.name, f.value",
    };
    const EVERYWHERE: &str = "SELECT kind, name, value, CAST(SUM(products) AS BIGINT) FROM facet_counts \
                              GROUP BY kind, name, value";
    let dialect = store.dialect();
    let rows = match categories {
        Some(categories) => {
            let args = vec![list(dialect, categories)];
            up_to_date(store, WITHIN.of(dialect), args).await?
        }
        None => up_to_date(store, EVERYWHERE, args![]).await?,
    };
    let mut counted = Vec::with_capacity(rows.len());
    for row in &rows {
        // A kind that this version does not know belongs to a newer one that shares the database.
        if let Some(kind) = Kind::named(row.get(0_usize)?) {
            counted.push(Counted {
                kind,
                name: row.get(1_usize)?,
                value: row.get(2_usize)?,
                products: row.get(3_usize)?,
            });
        }
    }
    Ok(counted)
}

/// How many products have one of `values`; products that have several are counted as often.
///
/// # Errors
/// See [`StoreError`].
pub async fn having(
    query: &impl Query,
    categories: Option<&[String]>,
    kind: Kind,
    name: &str,
    values: &[String],
) -> Result<i64, StoreError> {
    const WITHIN: Sql = Sql {
        sqlite: "SELECT CAST(COALESCE(SUM(f.products), 0) AS BIGINT) FROM json_each($3) v CROSS JOIN json_each($4) c \
                 CROSS JOIN facet_counts f \
                 ON f.category_slug = c.value AND f.kind = $1 AND f.name = $2 AND f.value = v.value",
        postgres: "SELECT CAST(COALESCE(SUM(f.products), 0) AS BIGINT) FROM facet_counts f \
                   WHERE f.kind = $1 AND f.name = $2 AND f.value = ANY($3::text[]) AND f.category_slug = ANY($4::text[])",
    };
    const EVERYWHERE: Sql = Sql {
        sqlite: "SELECT CAST(COALESCE(SUM(f.products), 0) AS BIGINT) FROM json_each($3) v \
                 CROSS JOIN facet_counts f ON f.kind = $1 AND f.name = $2 AND f.value = v.value",
        postgres: "SELECT CAST(COALESCE(SUM(f.products), 0) AS BIGINT) FROM facet_counts f \
                   WHERE f.kind = $1 AND f.name = $2 AND f.value = ANY($3::text[])",
    };
    let dialect = query.dialect();
    let mut args = args![kind.as_str(), name, list(dialect, values)];
    let sql = match categories {
        Some(categories) => {
            args.push(list(dialect, categories));
            WITHIN.of(dialect)
        }
        None => EVERYWHERE.of(dialect),
    };
    sum(query.rows(sql, args).await?)
}

/// How many products of the shop are in buckets (of price or rating) from `least` to `most`, both included.
///
/// # Errors
/// See [`StoreError`].
pub async fn between(
    query: &impl Query,
    kind: Kind,
    least: i64,
    most: i64,
) -> Result<i64, StoreError> {
    sum(query
        .rows(
            "SELECT CAST(COALESCE(SUM(products), 0) AS BIGINT) FROM facet_counts \
             WHERE kind = $1 AND CASE WHEN kind = $1 THEN CAST(value AS BIGINT) END BETWEEN $2 AND $3",
            args![kind.as_str(), least, most],
        )
        .await?)
}

fn sum(rows: Vec<mesh::store::Row>) -> Result<i64, StoreError> {
    rows.first().map_or(Ok(0), |row| row.get(0_usize))
}
