//! Facets of a category: what shoppers can narrow its list by, with counts.

use std::{collections::BTreeMap, sync::Arc};

use contracts::hub::catalog::v1::{AttributeFacet, FacetValue, PriceRange, ProductFilters};
use mesh::{Currency, Failure, Money, store::StoreError};

use crate::{
    catalog::{Catalog, Scope},
    domain::{
        bands, decimal,
        filters::Filters,
        sort::{Sort, SortValue},
    },
    store::{
        counters::{self, Counted, Kind},
        list::{self, Driver, Selection, Window},
        rows,
    },
};

/// Brands, attributes, and values of an attribute at most.
const MAX_BRANDS: usize = 100;
const MAX_ATTRIBUTES: usize = 50;
const MAX_VALUES: usize = 100;

/// The facets of a category, or of the shop when it is empty.
///
/// # Errors
/// NOT_FOUND when there is no such category.
pub async fn of_category(
    catalog: &Catalog,
    category: &str,
) -> Result<Arc<ProductFilters>, Failure> {
    let generation = catalog.generation();
    let scope = catalog.scope(category).await?;
    if let Some(facets) = catalog.facets().get(category, generation) {
        return Ok(facets);
    }
    let counted = counters::all(catalog.store(), scope.categories.as_deref()).await?;
    let cheapest = extreme(catalog, &scope, "asc").await?;
    let dearest = extreme(catalog, &scope, "desc").await?;
    let facets = Arc::new(assemble(counted, cheapest, dearest));
    catalog
        .facets()
        .put(category, generation, Arc::clone(&facets));
    Ok(facets)
}

/// The lowest or highest price.
async fn extreme(
    catalog: &Catalog,
    scope: &Scope,
    order: &str,
) -> Result<Option<Money>, StoreError> {
    let selection = Selection {
        categories: scope.categories.clone(),
        filters: Filters::default(),
        driver: Driver::Walk,
    };
    let window = Window {
        sort: Sort::named("price", order),
        after: None,
        offset: 0,
        fetch: 1,
    };
    let found = list::page(catalog.store(), &selection, &window).await?;
    let Some((seq, SortValue::Number(_))) = found.into_iter().next() else {
        return Ok(None);
    };
    let product = rows::load_one(catalog.store(), seq).await?;
    Ok(product.map(|product| product.pricing.price))
}

fn assemble(
    counted: Vec<Counted>,
    cheapest: Option<Money>,
    dearest: Option<Money>,
) -> ProductFilters {
    let mut total = 0;
    let mut brands = Vec::new();
    let mut prices = Vec::new();
    let mut attributes: BTreeMap<String, Vec<FacetValue>> = BTreeMap::new();
    for Counted {
        kind,
        name,
        value,
        products,
    } in counted
    {
        let facet = |value| FacetValue {
            value,
            count: products,
        };
        match kind {
            Kind::All => total += products,
            Kind::Brand => brands.push(facet(value)),
            Kind::Attribute => attributes.entry(name).or_default().push(facet(value)),
            Kind::Price => prices.extend(value.parse::<i64>().ok().map(|bound| (bound, products))),
            Kind::Rating | Kind::InStock => {}
        }
    }
    prices.sort_unstable();
    let currency = cheapest.map_or(Currency::USD, |price| price.currency);
    // The attributes that say something about the most products come first, and survive the limit.
    let mut attributes: Vec<(i64, AttributeFacet)> = attributes
        .into_iter()
        .map(|(name, values)| {
            let products = values.iter().map(|value| value.count).sum();
            let values = most_frequent(values, MAX_VALUES);
            (products, AttributeFacet { name, values })
        })
        .collect();
    attributes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    attributes.truncate(MAX_ATTRIBUTES);
    ProductFilters {
        brands: most_frequent(brands, MAX_BRANDS),
        price_ranges: price_ranges(&prices, currency),
        attributes: attributes.into_iter().map(|(_, facet)| facet).collect(),
        min_price: cheapest.map(Money::to_wire),
        max_price: dearest.map(Money::to_wire),
        total,
    }
}

fn most_frequent(mut values: Vec<FacetValue>, at_most: usize) -> Vec<FacetValue> {
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    values.truncate(at_most);
    values
}

fn price_ranges(buckets: &[(i64, i64)], currency: Currency) -> Vec<PriceRange> {
    let money = |key| decimal::from_price_key(key, currency).map(Money::to_wire);
    bands::bands(buckets, bands::WANTED, |key| money(key).is_some())
        .into_iter()
        .map(|band| PriceRange {
            min: money(band.min),
            max: band.max.and_then(money),
            count: band.count,
        })
        .collect()
}
