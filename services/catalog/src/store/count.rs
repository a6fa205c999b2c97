//! Plans and totals of lists.

use mesh::store::{Store, StoreError};

use super::{
    counters::{self, Kind},
    list::{Driver, Selection, count_statement},
};
use crate::domain::{
    bands,
    filters::Filters,
    sort::{Sort, SortKey},
};

/// A filter drives the list when it lets at most this many of `products` through; otherwise the order is
/// walked. Walking until `PAGE` of m matches are found looks at about `PAGE * products / m` rows and
/// driving looks at m, so they cost the same at the square root of `PAGE * products`. The page counts
/// double, because other filters make matches rarer for the walk.
fn selective(products: i64) -> i64 {
    const PAGE: i64 = 20;
    const LEAST: i64 = 500;
    products.max(0).saturating_mul(2 * PAGE).isqrt().max(LEAST)
}

/// How a list is found, and how many products it has when the counters know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it is found.
    pub selection: Selection,
    /// Its exact total, if it is known already.
    pub total: Option<i64>,
}

/// Plans a list. `category_products` is the number of active products in `categories` (or in the shop).
///
/// # Errors
/// See [`StoreError`].
pub async fn plan(
    store: &Store,
    categories: Option<Vec<String>>,
    filters: Filters,
    sort: Sort,
    category_products: i64,
) -> Result<Plan, StoreError> {
    let within = categories.as_deref();
    if filters.is_empty() {
        return Ok(Plan {
            selection: Selection {
                categories,
                filters,
                driver: Driver::Walk,
            },
            total: Some(category_products),
        });
    }
    let mut estimates: Vec<(i64, Driver)> = Vec::new();
    if within.is_some() {
        estimates.push((category_products, Driver::Category));
    }
    if !filters.brands.is_empty() {
        // The driver reads the brand's products of all categories, so that is what counts.
        let products = counters::having(store, None, Kind::Brand, "", &filters.brands).await?;
        estimates.push((
            products,
            Driver::Term {
                name: String::new(),
                values: filters.brands.clone(),
            },
        ));
    }
    for (name, values) in &filters.attributes {
        let products = counters::having(store, None, Kind::Attribute, name, values).await?;
        estimates.push((
            products,
            Driver::Term {
                name: name.clone(),
                values: values.clone(),
            },
        ));
    }
    if (filters.min_price, filters.max_price) != (None, None) && sort.key != SortKey::Price {
        let least = bands::bucket(filters.min_price.unwrap_or(0));
        let most = filters.max_price.unwrap_or(i64::MAX);
        let products = counters::between(store, Kind::Price, least, most).await?;
        estimates.push((products, Driver::Price));
    }
    if let Some(least) = filters.min_rating
        && sort.key != SortKey::Rating
    {
        let least = counters::half_stars(least);
        let products = counters::between(store, Kind::Rating, least, i64::MAX).await?;
        estimates.push((products, Driver::Rating));
    }
    let limit = selective(category_products);
    let driver = estimates
        .into_iter()
        .filter(|(products, _)| *products <= limit)
        .min_by_key(|(products, _)| *products)
        .map_or(Driver::Walk, |(_, driver)| driver);
    let total = counted(store, within, &filters).await?;
    Ok(Plan {
        selection: Selection {
            categories,
            filters,
            driver,
        },
        total,
    })
}

/// Counts a selection; what is above `bound` is not looked at.
///
/// # Errors
/// See [`StoreError`].
pub async fn count(store: &Store, selection: &Selection, bound: i64) -> Result<i64, StoreError> {
    let statement = count_statement(store.dialect(), selection, bound);
    let rows = store.scan(statement.sql, statement.args).await?;
    rows.first().map_or(Ok(0), |row| row.get(0_usize))
}

/// The total of a list with one condition that has counters of its own.
async fn counted(
    store: &Store,
    categories: Option<&[String]>,
    filters: &Filters,
) -> Result<Option<i64>, StoreError> {
    let none = Filters::default();
    let only_brand = Filters {
        brands: filters.brands.clone(),
        ..Filters::default()
    };
    let only_stock = Filters {
        in_stock: filters.in_stock,
        ..Filters::default()
    };
    if *filters == only_brand {
        // A product has one brand, so the counts of brands add up.
        return counters::having(store, categories, Kind::Brand, "", &filters.brands)
            .await
            .map(Some);
    }
    if *filters == only_stock {
        return counters::having(store, categories, Kind::InStock, "", &[String::new()])
            .await
            .map(Some);
    }
    let mut attributes = filters.attributes.iter();
    if let (Some((name, values)), None) = (attributes.next(), attributes.next())
        && values.len() == 1
        && (Filters {
            attributes: Default::default(),
            ..filters.clone()
        }) == none
    {
        return counters::having(store, categories, Kind::Attribute, name, values)
            .await
            .map(Some);
    }
    Ok(None)
}
