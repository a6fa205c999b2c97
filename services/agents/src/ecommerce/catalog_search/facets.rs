//! Counts facets: how many matches have each brand, category, price, rating and attribute value.
//!
//! A value's count is what choosing it (besides the values of the same thing already chosen) would
//! find, so a facet ignores its own filter and obeys all others.

use std::collections::BTreeMap;

use contracts::hub::agents::v1::{SearchFacet, SearchFacetValue};
use tantivy::{DocId, TantivyError, columnar::StrColumn};

use super::{
    columns::{Columns, Dimension, Verdict},
    filters::Filters,
    price_bands::PriceCounts,
};

/// Most values of a facet that are answered.
const MOST_VALUES: usize = 100;
/// Most attributes that are answered, those that most matches have.
const MOST_ATTRIBUTES: usize = 20;

/// Counts over all segments.
pub struct FacetCounts {
    brand: BTreeMap<String, u64>,
    category: BTreeMap<String, u64>,
    attribute: BTreeMap<String, u64>,
    price: PriceCounts,
    rating: [u64; 6],
    in_stock: [u64; 2],
    filtered_attributes: Vec<String>,
}

/// Counts of one segment, by ordinal.
pub struct SegmentFacets {
    brand: Vec<u32>,
    category: Vec<u32>,
    attribute: Vec<u32>,
    /// Per attribute filter, what fails only that filter.
    sideways: Vec<BTreeMap<u64, u32>>,
    price: PriceCounts,
    rating: [u64; 6],
    in_stock: [u64; 2],
}

impl SegmentFacets {
    /// No counts yet.
    pub fn new(columns: &Columns, filters: &Filters) -> Self {
        let room = |column: &Option<StrColumn>| {
            vec![0; column.as_ref().map_or(0, |column| column.num_terms())]
        };
        Self {
            brand: room(&columns.brand),
            category: room(&columns.category),
            attribute: room(&columns.attribute),
            sideways: vec![BTreeMap::new(); filters.attributes.len()],
            price: PriceCounts::new(),
            rating: [0; 6],
            in_stock: [0; 2],
        }
    }

    /// Counts a document that was judged so.
    pub fn count(&mut self, columns: &Columns, doc: DocId, verdict: Verdict) {
        let all = verdict == Verdict::Match;
        let of = |dimension| all || verdict == Verdict::Except(dimension);
        if of(Dimension::Brand) {
            add(&mut self.brand, columns.brand.as_ref(), doc);
        }
        if of(Dimension::Category) {
            add(&mut self.category, columns.category.as_ref(), doc);
        }
        if of(Dimension::Price) {
            self.price.add(columns.price.first(doc).unwrap_or(0));
        }
        if of(Dimension::Rating) {
            self.rating[stars(columns.rating.first(doc).unwrap_or(0.0))] += 1;
        }
        if of(Dimension::InStock) {
            self.in_stock[usize::from(columns.in_stock.first(doc) == Some(1))] += 1;
        }
        match verdict {
            Verdict::Match => add(&mut self.attribute, columns.attribute.as_ref(), doc),
            Verdict::Except(Dimension::Attribute(place)) => {
                if let Some(column) = &columns.attribute {
                    for ord in column.ords().values_for_doc(doc) {
                        *self.sideways[place].entry(ord).or_default() += 1;
                    }
                }
            }
            Verdict::Except(_) | Verdict::Fail => {}
        }
    }
}

/// Full stars of a mean rating.
fn stars(rating: f64) -> usize {
    (0..=5)
        .rev()
        .find(|stars| rating >= *stars as f64)
        .unwrap_or(0)
}

fn add(counts: &mut [u32], column: Option<&StrColumn>, doc: DocId) {
    let Some(column) = column else { return };
    for ord in column.ords().values_for_doc(doc) {
        if let Some(count) = usize::try_from(ord)
            .ok()
            .and_then(|ord| counts.get_mut(ord))
        {
            *count += 1;
        }
    }
}

impl FacetCounts {
    /// No counts yet.
    pub fn new(filters: &Filters) -> Self {
        Self {
            brand: BTreeMap::new(),
            category: BTreeMap::new(),
            attribute: BTreeMap::new(),
            price: PriceCounts::new(),
            rating: [0; 6],
            in_stock: [0; 2],
            filtered_attributes: filters.attributes.keys().cloned().collect(),
        }
    }

    /// Adds the counts of a segment.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn merge(
        &mut self,
        columns: &Columns,
        segment: &SegmentFacets,
    ) -> Result<(), TantivyError> {
        let of = |counts: &[u32]| -> Vec<(u64, u64)> {
            let some = counts.iter().zip(0_u64..).filter(|(count, _)| **count > 0);
            some.map(|(count, ord)| (ord, u64::from(*count))).collect()
        };
        resolve(
            &mut self.brand,
            columns.brand.as_ref(),
            &of(&segment.brand),
            |_| true,
        )?;
        resolve(
            &mut self.category,
            columns.category.as_ref(),
            &of(&segment.category),
            |_| true,
        )?;
        resolve(
            &mut self.attribute,
            columns.attribute.as_ref(),
            &of(&segment.attribute),
            |_| true,
        )?;
        for (name, counts) in self.filtered_attributes.iter().zip(&segment.sideways) {
            let counts: Vec<(u64, u64)> = counts
                .iter()
                .map(|(ord, count)| (*ord, u64::from(*count)))
                .collect();
            let own = |pair: &str| pair.split_once('=').is_some_and(|(of, _)| of == name);
            resolve(
                &mut self.attribute,
                columns.attribute.as_ref(),
                &counts,
                own,
            )?;
        }
        self.price.merge(&segment.price);
        for (mine, theirs) in self.rating.iter_mut().zip(&segment.rating) {
            *mine += theirs;
        }
        for (mine, theirs) in self.in_stock.iter_mut().zip(&segment.in_stock) {
            *mine += theirs;
        }
        Ok(())
    }

    /// The facets as they are answered: values by count, price bands from cheap to dear.
    pub fn finish(self) -> Vec<SearchFacet> {
        let mut facets = vec![
            by_count("brand", self.brand),
            by_count("category", self.category),
            facet("price", self.price.bands()),
        ];
        let rating = (0..=5)
            .rev()
            .map(|stars: usize| (stars.to_string(), self.rating[stars]));
        facets.push(facet("rating", rating));
        let [out, some] = self.in_stock;
        facets.push(facet(
            "in_stock",
            [("true".to_owned(), some), ("false".to_owned(), out)],
        ));
        let mut attributes: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (pair, count) in self.attribute {
            if let Some((name, value)) = pair.split_once('=') {
                attributes
                    .entry(name.to_owned())
                    .or_default()
                    .insert(value.to_owned(), count);
            }
        }
        let mut attributes: Vec<_> = attributes.into_iter().collect();
        attributes.sort_by_cached_key(|(name, values)| {
            (
                !self.filtered_attributes.contains(name),
                std::cmp::Reverse(values.values().sum::<u64>()),
                name.clone(),
            )
        });
        attributes.truncate(MOST_ATTRIBUTES.max(self.filtered_attributes.len()));
        facets.extend(
            attributes
                .into_iter()
                .map(|(name, values)| by_count(&name, values)),
        );
        facets.retain(|facet| !facet.values.is_empty());
        facets
    }
}

/// Adds counts by ordinal, in ascending order, to counts by text.
fn resolve(
    totals: &mut BTreeMap<String, u64>,
    column: Option<&StrColumn>,
    counts: &[(u64, u64)],
    wanted: impl Fn(&str) -> bool,
) -> Result<(), TantivyError> {
    let Some(column) = column else { return Ok(()) };
    // The dictionary is compressed in blocks: read once from front to back it costs a tenth of looking
    // up one ordinal after another.
    let ordinals: Vec<u64> = counts.iter().map(|(ord, _)| *ord).collect();
    let mut counts = counts.iter();
    column
        .dictionary()
        .sorted_ords_to_term_cb(&ordinals, |term| {
            let (Some((_, count)), Ok(text)) = (counts.next(), std::str::from_utf8(term)) else {
                return;
            };
            if !wanted(text) {
                return;
            }
            match totals.get_mut(text) {
                Some(total) => *total += count,
                None => {
                    totals.insert(text.to_owned(), *count);
                }
            }
        })?;
    Ok(())
}

fn by_count(name: &str, values: BTreeMap<String, u64>) -> SearchFacet {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    values.truncate(MOST_VALUES);
    facet(name, values)
}

fn facet(name: &str, values: impl IntoIterator<Item = (String, u64)>) -> SearchFacet {
    let values = values
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(value, count)| SearchFacetValue {
            value,
            count: i64::try_from(count).unwrap_or(i64::MAX),
        });
    SearchFacet {
        name: name.to_owned(),
        values: values.collect(),
    }
}
