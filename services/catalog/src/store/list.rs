//! Pages of active products, at a cost that does not grow with the catalog.
//!
//! There are two ways to find the first twenty of a filtered, sorted list. *Walk* the index of the order
//! and test each product until the page is full: quick when many products pass. Or *drive* from the
//! most selective filter's index, test the rest and sort what is left: quick when few pass. The maintained
//! counters say beforehand how many products each filter lets through, so the choice is made here and is
//! not left to the database's planner: conditions that must only be tested are written so that no index
//! fits them, and on PostgreSQL what must come first stands behind a fence.
//!
//! A category with subcategories is a handful of index ranges. Each gives its first rows in order, and
//! these few are merged.

use chrono::DateTime;
use mesh::store::{Dialect, Store, StoreError};

use super::Statement;
use crate::domain::{
    filters::Filters,
    sort::{Direction, Sort, SortKey, SortValue},
};

/// The filter whose index is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// None: the index of the order is walked.
    Walk,
    /// Products that have one of these values of an attribute (the brand is the one without a name).
    Term {
        /// Name of the attribute.
        name: String,
        /// Its values.
        values: Vec<String>,
    },
    /// Products in the range of prices.
    Price,
    /// Products with the least rating.
    Rating,
    /// Products of the categories.
    Category,
}

/// Which products a list has.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Slugs of the category and its subcategories; none for the whole shop.
    pub categories: Option<Vec<String>>,
    /// Conditions.
    pub filters: Filters,
    /// How they are found.
    pub driver: Driver,
}

/// A part of an ordered list.
#[derive(Clone, Debug)]
pub struct Window {
    /// The order.
    pub sort: Sort,
    /// Continue after this row.
    pub after: Option<(SortValue, i64)>,
    /// Rows to skip.
    pub offset: i64,
    /// Rows to return.
    pub fetch: i64,
}

/// A row of a list: its number and where it is in the order.
pub type Listed = (i64, SortValue);

/// PostgreSQL plans a subquery with an offset by itself: nothing is moved out of it or into it.
const FENCE: &str = "OFFSET 0";

fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Popularity => "popularity",
        SortKey::Price => "price_key",
        SortKey::Name => "name_key",
        SortKey::Rating => "rating_milli",
        SortKey::CreatedAt => "created_at",
    }
}

/// The order as SQL, on the products that `alias` stands for.
pub(super) fn order_by(alias: &str, sort: Sort) -> String {
    let key = column(sort.key);
    match sort.direction {
        Direction::Ascending => format!("{alias}.{key}, {alias}.seq"),
        Direction::Descending => format!("{alias}.{key} DESC, {alias}.seq DESC"),
    }
}

/// The rows of a window, in order.
///
/// # Errors
/// See [`StoreError`].
pub async fn page(
    store: &Store,
    selection: &Selection,
    window: &Window,
) -> Result<Vec<Listed>, StoreError> {
    let statement = statement(store.dialect(), selection, window);
    // Unfiltered pages are read off an index; others may test some thousand products.
    let rows = if selection.filters.is_empty() && window.offset < 1_000 {
        store.all(&statement.sql, statement.args).await?
    } else {
        store.scan(statement.sql, statement.args).await?
    };
    rows.iter()
        .map(|row| {
            let value = match window.sort.key {
                SortKey::Name => SortValue::Text(row.get(1_usize)?),
                _ => SortValue::Number(row.get(1_usize)?),
            };
            Ok((row.get(0_usize)?, value))
        })
        .collect()
}

fn statement(dialect: Dialect, selection: &Selection, window: &Window) -> Statement {
    let key = column(window.sort.key);
    let after = match window.sort.direction {
        Direction::Ascending => ">",
        Direction::Descending => "<",
    };
    let mut statement = Statement::new(dialect);
    let mut conditions = tests(&mut statement, selection, window.sort.key);
    if let Some((value, seq)) = &window.after {
        let value = match (value, window.sort.key) {
            (SortValue::Number(micros), SortKey::CreatedAt) => {
                statement.bind(DateTime::from_timestamp_micros(*micros).unwrap_or_default())
            }
            (SortValue::Number(number), _) => statement.bind(*number),
            (SortValue::Text(text), _) => statement.bind(text.as_str()),
        };
        let seq = statement.bind(*seq);
        conditions.push_str(&format!(" AND (q.{key}, q.seq) {after} ({value}, {seq})"));
    }
    let order_by = |alias: &str| format!("ORDER BY {}", order_by(alias, window.sort));
    match (&selection.driver, selection.categories.as_deref()) {
        (Driver::Walk, None) => {
            statement.push(&format!(
                "SELECT q.seq, q.{key} FROM products q WHERE q.status = 'active'{conditions} {}",
                order_by("q")
            ));
        }
        (Driver::Walk, Some([only])) => {
            let only = statement.bind(only.as_str());
            statement.push(&format!(
                "SELECT q.seq, q.{key} FROM products q WHERE q.status = 'active' \
                 AND q.category_slug = {only}{conditions} {}",
                order_by("q")
            ));
        }
        (Driver::Walk, Some(categories)) => {
            let categories = statement.bind(super::list(dialect, categories));
            let enough = statement.bind(window.offset.saturating_add(window.fetch));
            let order_within = order_by("q");
            let order = order_by("p");
            statement.push(&match dialect {
                Dialect::Sqlite => format!(
                    "SELECT p.seq, p.{key} FROM json_each({categories}) c CROSS JOIN products p ON p.seq IN (\
                     SELECT q.seq FROM products q WHERE q.status = 'active' AND q.category_slug = c.value{conditions} \
                     {order_within} LIMIT {enough}) {order}"
                ),
                Dialect::Postgres => format!(
                    "SELECT p.seq, p.{key} FROM unnest({categories}::text[]) AS c (value) CROSS JOIN LATERAL (\
                     SELECT q.seq, q.{key} FROM products q WHERE q.status = 'active' \
                     AND q.category_slug = c.value{conditions} {order_within} LIMIT {enough}) p {order}"
                ),
            });
        }
        _ => {
            let source = driven(&mut statement, selection);
            statement.push(&format!(
                "SELECT q.seq, q.{key} {source}{conditions} {}",
                order_by("q")
            ));
        }
    }
    let fetch = statement.bind(window.fetch);
    let offset = statement.bind(window.offset);
    statement.push(&format!(" LIMIT {fetch} OFFSET {offset}"));
    statement
}

/// A statement that counts a selection, at most `bound`. An index by price has all columns that filters test,
/// so the range of prices is open to it.
pub(super) fn count_statement(dialect: Dialect, selection: &Selection, bound: i64) -> Statement {
    let mut statement = Statement::new(dialect);
    let conditions = tests(&mut statement, selection, SortKey::Price);
    let source = match (&selection.driver, &selection.categories) {
        (Driver::Walk, None) => "FROM products q WHERE q.status = 'active'".to_owned(),
        _ => driven(&mut statement, selection),
    };
    let bound = statement.bind(bound);
    statement.push(&format!(
        "SELECT COUNT(*) FROM (SELECT 1 {source}{conditions} LIMIT {bound}) matching"
    ));
    statement
}

/// FROM and WHERE that start from the driver's index.
fn driven(statement: &mut Statement, selection: &Selection) -> String {
    let filters = &selection.filters;
    let candidates = match &selection.driver {
        Driver::Walk | Driver::Category => {
            let categories = selection.categories.as_deref().unwrap_or_default();
            return match statement.dialect {
                Dialect::Sqlite => {
                    let within = statement.one_of("q.category_slug", categories);
                    format!("FROM products q WHERE q.status = 'active' AND {within}")
                }
                Dialect::Postgres => {
                    let within = statement.one_of("p.category_slug", categories);
                    format!(
                        "FROM (SELECT * FROM products p WHERE p.status = 'active' AND {within} {FENCE}) q WHERE true"
                    )
                }
            };
        }
        Driver::Term { name, values } => {
            let name = statement.bind(name.as_str());
            let value = statement.one_of("a.value", values);
            format!("SELECT DISTINCT a.seq FROM product_terms a WHERE a.name = {name} AND {value}")
        }
        Driver::Price => {
            let least = statement.bind(filters.min_price.unwrap_or(0));
            let most = statement.bind(filters.max_price.unwrap_or(i64::MAX));
            format!(
                "SELECT a.seq FROM products a WHERE a.status = 'active' AND a.price_key BETWEEN {least} AND {most}"
            )
        }
        Driver::Rating => {
            let least = statement.bind(filters.min_rating.unwrap_or(0));
            format!(
                "SELECT a.seq FROM products a WHERE a.status = 'active' AND a.rating_milli >= {least}"
            )
        }
    };
    let within = match &selection.categories {
        // Joined to text, so that no index of the category competes with the row number.
        Some(categories) => {
            let within = statement.one_of("q.category_slug || ''", categories);
            format!(" AND {within}")
        }
        None => String::new(),
    };
    let products = by_seq(statement.dialect, "c.seq");
    format!("FROM ({candidates}) c CROSS JOIN {products} WHERE q.status = 'active'{within}")
}

/// The product `q` with a row number, looked up for each row to the left: no planner may turn this around.
pub(super) fn by_seq(dialect: Dialect, seq: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("products q ON q.seq = {seq}"),
        Dialect::Postgres => {
            format!("LATERAL (SELECT * FROM products p WHERE p.seq = {seq} {FENCE}) q")
        }
    }
}

/// The filters as conditions on `q` that no index fits, except the price when it is the order too.
pub(super) fn tests(statement: &mut Statement, selection: &Selection, sort: SortKey) -> String {
    let filters = &selection.filters;
    let mut conditions = String::new();
    let driven_by_brand = matches!(&selection.driver, Driver::Term { name, .. } if name.is_empty());
    if !filters.brands.is_empty() && !driven_by_brand {
        let branded = statement.one_of("q.brand", &filters.brands);
        conditions.push_str(&format!(" AND {branded}"));
    }
    let price = match sort {
        SortKey::Price => "q.price_key",
        _ => "q.price_key + 0",
    };
    if let Some(least) = filters.min_price {
        let least = statement.bind(least);
        conditions.push_str(&format!(" AND {price} >= {least}"));
    }
    if let Some(most) = filters.max_price {
        let most = statement.bind(most);
        conditions.push_str(&format!(" AND {price} <= {most}"));
    }
    if let Some(least) = filters.min_rating {
        let rating = match sort {
            SortKey::Rating => "q.rating_milli",
            _ => "q.rating_milli + 0",
        };
        let least = statement.bind(least);
        conditions.push_str(&format!(" AND {rating} >= {least}"));
    }
    if filters.in_stock.is_some() {
        conditions.push_str(" AND q.in_stock");
    }
    for (name, values) in &filters.attributes {
        if matches!(&selection.driver, Driver::Term { name: driver, .. } if driver == name) {
            continue;
        }
        let name = statement.bind(name.as_str());
        let value = statement.one_of("a.value", values);
        conditions.push_str(&match statement.dialect {
            Dialect::Sqlite => format!(
                " AND EXISTS (SELECT 1 FROM product_terms a WHERE a.name = {name} AND {value} \
                 AND a.seq = q.seq + 0)"
            ),
            Dialect::Postgres => format!(
                " AND EXISTS (SELECT 1 FROM product_terms a WHERE a.name = {name} AND {value} \
                 AND a.seq = q.seq {FENCE})"
            ),
        });
    }
    conditions
}
