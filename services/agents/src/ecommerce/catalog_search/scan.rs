//! Goes once through what matches: filters, counts facets, keeps the best.
//!
//! Total and facets need every match anyway, so nothing is gained by skipping; one pass over columns
//! does all of it. The pass watches the clock: when the caller's time is nearly up it stops, and what
//! was found so far is the answer.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use contracts::hub::agents::v1::SearchFacet;
use tantivy::{
    DocAddress, DocId, DocSet, Score, Searcher, SegmentReader, TERMINATED, TantivyError,
    f64_to_u64, i64_to_u64,
    query::{EnableScoring, Query, Scorer, Weight},
};

use super::{
    columns::{Columns, SegmentConditions, Verdict},
    facets::{FacetCounts, SegmentFacets},
    filters::Filters,
    schema::Fields,
};

/// Most that popularity adds to a score, as a share of the words' score.
pub const POPULARITY_BOOST: f64 = 0.2;
/// Popularity at which half of that is reached.
const POPULARITY_HALF: f64 = 50.0;
/// What being in stock adds to a score, as a share of the words' score.
pub const STOCK_BOOST: f64 = 0.1;
/// How many documents pass between two looks at the clock.
const CLOCK_STRIDE: u32 = 2_048;

/// What hits are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// Score.
    Relevance,
    /// Popularity.
    Popularity,
    /// Price.
    Price,
    /// Name.
    Name,
    /// Rating.
    Rating,
    /// When it came into being.
    CreatedAt,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The most first.
    Descending,
}

/// Whether facets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facets {
    /// They are.
    Counted,
    /// They are not.
    Skipped,
}

/// What to look for.
pub struct Plan<'a> {
    /// Decides what matches the words.
    pub matching: Box<dyn Query>,
    /// Scores, by the name of the part.
    pub scoring: Vec<(&'static str, Box<dyn Query>)>,
    /// The conditions.
    pub filters: &'a Filters,
    /// The order.
    pub sort: (SortBy, Direction),
    /// How many of the best to keep.
    pub keep: usize,
    /// Whether facets are counted.
    pub facets: Facets,
}

/// What was found.
pub struct Found {
    /// How many match.
    pub total: u64,
    /// The best, in order.
    pub best: Vec<DocAddress>,
    /// Facets.
    pub facets: Vec<SearchFacet>,
    /// Whether time ran out before everything was seen.
    pub partial: bool,
}

/// A document's place in the order: larger is better.
type Place = (u64, u64, Reverse<DocId>);

/// Runs `plan` until done or `expired` says so.
///
/// # Errors
/// When the index cannot be read.
pub fn scan(
    searcher: &Searcher,
    fields: &Fields,
    plan: &Plan<'_>,
    expired: &dyn Fn() -> bool,
) -> Result<Found, TantivyError> {
    let matching = plan
        .matching
        .weight(EnableScoring::disabled_from_searcher(searcher))?;
    let scored = plan.sort.0 == SortBy::Relevance;
    let scoring = match scored {
        true => weights(searcher, &plan.scoring)?,
        false => Vec::new(),
    };
    let mut total = 0;
    let mut partial = false;
    let mut facets = FacetCounts::new(plan.filters);
    let mut best: Vec<(Sortable, DocAddress)> = Vec::new();
    for (segment_ord, segment) in (0_u32..).zip(searcher.segment_readers()) {
        let columns = Columns::open(segment, fields)?;
        let conditions = SegmentConditions::compile(plan.filters, &columns)?;
        let mut counts = SegmentFacets::new(&columns, plan.filters);
        let mut scorers = scorers(&scoring, segment)?;
        let mut matches = matching.scorer(segment, 1.0)?;
        let alive = segment.alive_bitset();
        let mut heap: BinaryHeap<Reverse<Place>> = BinaryHeap::new();
        let mut seen = 0_u32;
        let mut doc = matches.doc();
        while doc != TERMINATED {
            seen = seen.wrapping_add(1);
            if seen.is_multiple_of(CLOCK_STRIDE) && expired() {
                partial = true;
                break;
            }
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                let verdict = conditions.judge(&columns, doc);
                if plan.facets == Facets::Counted && verdict != Verdict::Fail {
                    counts.count(&columns, doc, verdict);
                }
                if verdict == Verdict::Match {
                    total += 1;
                    let words = scorers
                        .iter_mut()
                        .map(|scorer| score_at(scorer.as_mut(), doc))
                        .sum();
                    offer(&mut heap, plan.keep, place(plan.sort, &columns, doc, words));
                }
            }
            doc = matches.advance();
        }
        if plan.facets == Facets::Counted {
            facets.merge(&columns, &counts)?;
        }
        for Reverse(place) in heap {
            best.push((
                sortable(plan.sort, &columns, place)?,
                DocAddress::new(segment_ord, place.2.0),
            ));
        }
        if partial {
            break;
        }
    }
    best.sort_by(|(a, at_a), (b, at_b)| b.cmp(a).then_with(|| at_a.cmp(at_b)));
    best.truncate(plan.keep);
    Ok(Found {
        total,
        best: best.into_iter().map(|(_, address)| address).collect(),
        facets: match plan.facets {
            Facets::Counted => facets.finish(),
            Facets::Skipped => Vec::new(),
        },
        partial,
    })
}

/// Keeps the `keep` best in a heap whose top is the worst of them.
fn offer(heap: &mut BinaryHeap<Reverse<Place>>, keep: usize, place: Place) {
    if heap.len() < keep {
        heap.push(Reverse(place));
    } else if let Some(mut worst) = heap.peek_mut()
        && place > worst.0
    {
        *worst = Reverse(place);
    }
}

/// What segments are merged by: names compare as text, because ordinals are a segment's own.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sortable {
    Number(u64, u64),
    NameDown(String),
    NameUp(Reverse<String>),
}

fn sortable(
    sort: (SortBy, Direction),
    columns: &Columns,
    place: Place,
) -> Result<Sortable, TantivyError> {
    if sort.0 != SortBy::Name {
        return Ok(Sortable::Number(place.0, place.1));
    }
    let mut name = String::new();
    if let Some(column) = &columns.name {
        let ord = match sort.1 {
            Direction::Ascending => !place.0,
            Direction::Descending => place.0,
        };
        column.ord_to_str(ord, &mut name)?;
    }
    Ok(match sort.1 {
        Direction::Ascending => Sortable::NameUp(Reverse(name)),
        Direction::Descending => Sortable::NameDown(name),
    })
}

fn place(sort: (SortBy, Direction), columns: &Columns, doc: DocId, words: f64) -> Place {
    let popularity = columns.popularity.first(doc).unwrap_or(0.0);
    let key = match sort.0 {
        SortBy::Relevance => f64_to_u64(with_boosts(
            words,
            popularity,
            columns.in_stock.first(doc) == Some(1),
        )),
        SortBy::Popularity => f64_to_u64(popularity),
        SortBy::Price => i64_to_u64(columns.price.first(doc).unwrap_or(0)),
        SortBy::Name => columns
            .name
            .as_ref()
            .and_then(|name| name.ords().first(doc))
            .unwrap_or(0),
        SortBy::Rating => f64_to_u64(columns.rating.first(doc).unwrap_or(0.0)),
        SortBy::CreatedAt => i64_to_u64(columns.created_at.first(doc).unwrap_or(0)),
    };
    let key = match sort.1 {
        Direction::Ascending => !key,
        Direction::Descending => key,
    };
    // Among equals: what more people want, then what came first.
    (key, f64_to_u64(popularity), Reverse(doc))
}

/// The share of the words' score that popularity adds.
fn popularity_share(popularity: f64) -> f64 {
    POPULARITY_BOOST * popularity / (popularity + POPULARITY_HALF)
}

fn with_boosts(words: f64, popularity: f64, in_stock: bool) -> f64 {
    let stock = if in_stock { STOCK_BOOST } else { 0.0 };
    words * (1.0 + popularity_share(popularity) + stock)
}

fn weights(
    searcher: &Searcher,
    scoring: &[(&'static str, Box<dyn Query>)],
) -> Result<Vec<Box<dyn Weight>>, TantivyError> {
    scoring
        .iter()
        .map(|(_, query)| query.weight(EnableScoring::enabled_from_searcher(searcher)))
        .collect()
}

fn scorers(
    weights: &[Box<dyn Weight>],
    segment: &SegmentReader,
) -> Result<Vec<Box<dyn Scorer>>, TantivyError> {
    weights
        .iter()
        .map(|weight| weight.scorer(segment, 1.0))
        .collect()
}

/// The score of `doc`, 0 when it is not matched. Documents must be asked for in ascending order.
fn score_at(scorer: &mut dyn Scorer, doc: DocId) -> f64 {
    if scorer.doc() < doc {
        scorer.seek(doc);
    }
    if scorer.doc() == doc {
        f64::from(scorer.score() as Score)
    } else {
        0.0
    }
}

/// A hit's score in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// What each part contributes.
    pub parts: Vec<(&'static str, f64)>,
    /// Their sum.
    pub score: f64,
}

/// Scores `hits` in parts.
///
/// # Errors
/// When the index cannot be read.
pub fn explain(
    searcher: &Searcher,
    fields: &Fields,
    scoring: &[(&'static str, Box<dyn Query>)],
    hits: &[DocAddress],
) -> Result<Vec<Parts>, TantivyError> {
    let weights = weights(searcher, scoring)?;
    let mut by_segment: BTreeMap<u32, Vec<(DocId, usize)>> = BTreeMap::new();
    for (place, hit) in hits.iter().enumerate() {
        by_segment
            .entry(hit.segment_ord)
            .or_default()
            .push((hit.doc_id, place));
    }
    let mut explained = vec![Parts::default(); hits.len()];
    for (segment_ord, mut docs) in by_segment {
        docs.sort_unstable();
        let segment = searcher.segment_reader(segment_ord);
        let columns = Columns::open(segment, fields)?;
        let mut scorers = scorers(&weights, segment)?;
        for (doc, place) in docs {
            let parts = scorers
                .iter_mut()
                .map(|scorer| score_at(scorer.as_mut(), doc));
            let mut parts: Vec<(&'static str, f64)> = scoring
                .iter()
                .map(|(name, _)| *name)
                .zip(parts)
                .filter(|(_, score)| *score > 0.0)
                .collect();
            let words: f64 = parts.iter().map(|(_, score)| score).sum();
            let popularity = words * popularity_share(columns.popularity.first(doc).unwrap_or(0.0));
            let stock = if columns.in_stock.first(doc) == Some(1) {
                words * STOCK_BOOST
            } else {
                0.0
            };
            parts.extend(
                [("popularity", popularity), ("in_stock", stock)]
                    .into_iter()
                    .filter(|(_, s)| *s > 0.0),
            );
            explained[place] = Parts {
                score: parts.iter().map(|(_, score)| score).sum(),
                parts,
            };
        }
    }
    Ok(explained)
}
