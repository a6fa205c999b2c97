//! Answers a search: understands the query, looks for all of it, and when nothing matches gives up
//! conditions in a fixed order until something does.
//!
//! The order: all words; most words; words one or two edits away; the filters, each one alone first
//! and then all of them one after another; any word at all. The answer says what was given up.

use contracts::hub::agents::v1::{Factor, SearchHit, SearchRequest};
use mesh::Failure;
use prost::Message;
use tantivy::{
    DocAddress, Searcher, TantivyDocument, TantivyError, Term,
    query::{BooleanQuery, Query, TermSetQuery},
    schema::Value,
};

use super::{
    filters::{Filters, is_within},
    scan::{Direction, Facets, Found, Plan, SortBy, explain, scan},
    schema::{Cutter, Fields},
    words::{Understood, understand},
};

/// What a search found and how.
pub struct Outcome {
    /// Total, facets and the addresses of the hits.
    pub found: Found,
    /// The hits of the page.
    pub hits: Vec<SearchHit>,
    /// How the query was understood.
    pub understood: Understood,
    /// What was given up, in order.
    pub relaxed: Vec<String>,
}

/// Hits of a page when the request does not say.
const DEFAULT_LIMIT: usize = 20;

/// Answers `request` until done or `expired` says so.
///
/// # Errors
/// A filter that cannot be read; an index that cannot be read.
pub fn search(
    searcher: &Searcher,
    fields: &Fields,
    request: &SearchRequest,
    expired: &dyn Fn() -> bool,
) -> Result<Outcome, Failure> {
    let mut filters = Filters::of(request)?;
    let mut cutter = Cutter::new();
    let understood = understand(searcher, fields, &mut cutter, request).map_err(broken)?;
    // What the request says in so many words wins over what was read out of the query.
    filters.min_price = filters.min_price.or(understood.reading.min_price);
    filters.max_price = filters.max_price.or(understood.reading.max_price);
    let offset = usize::try_from(request.offset).unwrap_or(0);
    let limit = match usize::try_from(request.limit) {
        Ok(limit) if limit > 0 => limit,
        _ => DEFAULT_LIMIT,
    };
    let search = Search {
        searcher,
        fields,
        sort: sort_of(request, understood.words.is_empty()),
        keep: offset + limit,
        facets: if request.with_facets {
            Facets::Counted
        } else {
            Facets::Skipped
        },
        expired,
    };
    let rung = search
        .climb(&mut cutter, understood, filters)
        .map_err(broken)?;
    let page: Vec<DocAddress> = rung
        .found
        .best
        .iter()
        .skip(offset)
        .take(limit)
        .copied()
        .collect();
    let hits = search.hits(&rung.understood, &page).map_err(broken)?;
    Ok(Outcome {
        found: rung.found,
        hits,
        understood: rung.understood,
        relaxed: rung.relaxed,
    })
}

fn broken(error: TantivyError) -> Failure {
    Failure::unavailable("the search index cannot be read").caused_by(error)
}

fn sort_of(request: &SearchRequest, no_words: bool) -> (SortBy, Direction) {
    let sort = match request.sort.as_str() {
        "popularity" => SortBy::Popularity,
        "price" => SortBy::Price,
        "name" => SortBy::Name,
        "rating" => SortBy::Rating,
        "created_at" => SortBy::CreatedAt,
        // Without words everything is equally relevant.
        _ if no_words => SortBy::Popularity,
        _ => SortBy::Relevance,
    };
    let usual = match sort {
        SortBy::Price | SortBy::Name => Direction::Ascending,
        _ => Direction::Descending,
    };
    let direction = match request.order.as_str() {
        _ if sort == SortBy::Relevance => Direction::Descending,
        "asc" => Direction::Ascending,
        "desc" => Direction::Descending,
        _ => usual,
    };
    (sort, direction)
}

struct Search<'a> {
    searcher: &'a Searcher,
    fields: &'a Fields,
    sort: (SortBy, Direction),
    keep: usize,
    facets: Facets,
    expired: &'a dyn Fn() -> bool,
}

struct Rung {
    found: Found,
    understood: Understood,
    relaxed: Vec<String>,
}

impl Search<'_> {
    fn climb(
        &self,
        cutter: &mut Cutter,
        understood: Understood,
        filters: Filters,
    ) -> Result<Rung, TantivyError> {
        let words = understood.words.len();
        let all = self.run(&understood, words, &filters)?;
        if self.is_enough(&all) {
            return Ok(Rung {
                found: all,
                understood,
                relaxed: Vec::new(),
            });
        }
        let most = (words * 2).div_ceil(3);
        let fewer = |least: usize| format!("words={least} of {words}");
        if most < words {
            let found = self.run(&understood, most, &filters)?;
            if self.is_enough(&found) {
                return Ok(Rung {
                    found,
                    understood,
                    relaxed: vec![fewer(most)],
                });
            }
        }
        let wide = understood.widened(self.searcher, self.fields, cutter)?;
        let widened = wide.stems() > understood.stems();
        // Without neighbours the words find what they found above.
        let tries: &[usize] = match (widened, most < words) {
            (false, _) => &[],
            (true, false) => &[words],
            (true, true) => &[words, most],
        };
        for &least in tries {
            let found = self.run(&wide, least, &filters)?;
            if self.is_enough(&found) {
                let mut relaxed = vec!["spelling".to_owned()];
                relaxed.extend((least < words).then(|| fewer(least)));
                return Ok(Rung {
                    found,
                    understood: wide,
                    relaxed,
                });
            }
        }
        let conditions = filters.conditions();
        for condition in &conditions {
            let found = self.run(&understood, words, &filters.without(condition))?;
            if self.is_enough(&found) {
                return Ok(Rung {
                    found,
                    understood,
                    relaxed: vec![filters.describe(condition)],
                });
            }
        }
        let mut rest = filters.clone();
        let mut relaxed = Vec::new();
        for condition in &conditions {
            rest = rest.without(condition);
            relaxed.push(filters.describe(condition));
            if relaxed.len() < 2 {
                continue;
            }
            let found = self.run(&understood, words, &rest)?;
            if self.is_enough(&found) {
                return Ok(Rung {
                    found,
                    understood,
                    relaxed,
                });
            }
        }
        if words > 0 {
            for (filters, relaxed) in [(&filters, Vec::new()), (&rest, relaxed)] {
                for (reading, spelling) in
                    [(&understood, None), (&wide, Some("spelling".to_owned()))]
                {
                    let found = self.run(reading, 1, filters)?;
                    if self.is_enough(&found) {
                        let any_word = (words > 1).then(|| fewer(1));
                        return Ok(Rung {
                            found,
                            understood: reading.clone(),
                            relaxed: spelling
                                .into_iter()
                                .chain(any_word)
                                .chain(relaxed)
                                .collect(),
                        });
                    }
                }
            }
        }
        Ok(Rung {
            found: all,
            understood,
            relaxed: Vec::new(),
        })
    }

    fn is_enough(&self, found: &Found) -> bool {
        found.total > 0 || found.partial || (self.expired)()
    }

    fn run(
        &self,
        understood: &Understood,
        least: usize,
        filters: &Filters,
    ) -> Result<Found, TantivyError> {
        let mut matching = understood.matching(self.fields, least);
        if self.facets == Facets::Skipped {
            matching = self.narrowed(matching, filters)?;
        }
        let plan = Plan {
            matching,
            scoring: understood.scoring(self.fields),
            filters,
            sort: self.sort,
            keep: self.keep,
            facets: self.facets,
        };
        scan(self.searcher, self.fields, &plan, self.expired)
    }

    /// Without facets nothing outside of the chosen brands and categories is of interest, so the
    /// inverted index may leave it out at once.
    fn narrowed(
        &self,
        matching: Box<dyn Query>,
        filters: &Filters,
    ) -> Result<Box<dyn Query>, TantivyError> {
        let mut all = vec![matching];
        if !filters.brands.is_empty() {
            let terms = filters
                .brands
                .iter()
                .map(|brand| Term::from_field_text(self.fields.brand_exact, brand));
            all.push(Box::new(TermSetQuery::new(terms)));
        }
        if let Some(category) = &filters.category {
            all.push(Box::new(TermSetQuery::new(
                self.categories_within(category)?,
            )));
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Box::new(BooleanQuery::intersection(all)),
        })
    }

    fn categories_within(&self, category: &str) -> Result<Vec<Term>, TantivyError> {
        let field = self.fields.category_slug;
        let mut terms = Vec::new();
        for segment in self.searcher.segment_readers() {
            let inverted = segment.inverted_index(field)?;
            let mut stream = inverted.terms().range().ge(category).into_stream()?;
            while stream.advance() {
                let Ok(slug) = std::str::from_utf8(stream.key()) else {
                    continue;
                };
                if !slug.starts_with(category) {
                    break;
                }
                if is_within(slug, category) {
                    terms.push(Term::from_field_text(field, slug));
                }
            }
        }
        Ok(terms)
    }

    fn hits(
        &self,
        understood: &Understood,
        page: &[DocAddress],
    ) -> Result<Vec<SearchHit>, TantivyError> {
        let explained = explain(
            self.searcher,
            self.fields,
            &understood.scoring(self.fields),
            page,
        )?;
        let mut hits = Vec::with_capacity(page.len());
        for (address, parts) in page.iter().zip(explained) {
            let mut hit = stored_hit(self.searcher, self.fields, *address)?;
            hit.score = parts.score;
            hit.score_parts = parts
                .parts
                .into_iter()
                .map(|(name, score)| part(self.fields, name, score))
                .collect();
            hits.push(hit);
        }
        Ok(hits)
    }
}

/// A hit as it was stored.
///
/// # Errors
/// When the index cannot be read.
pub fn stored_hit(
    searcher: &Searcher,
    fields: &Fields,
    address: DocAddress,
) -> Result<SearchHit, TantivyError> {
    let document: TantivyDocument = searcher.doc(address)?;
    let bytes = document
        .get_first(fields.hit)
        .and_then(|value| value.as_bytes());
    SearchHit::decode(bytes.unwrap_or_default()).map_err(|error| {
        TantivyError::InternalError(format!("a stored hit cannot be read: {error}"))
    })
}

fn part(fields: &Fields, name: &str, contribution: f64) -> Factor {
    let field = fields.ranked.iter().find(|ranked| ranked.name == name);
    let (weight, sentence) = match (field, name) {
        (Some(field), _) => (
            f64::from(field.weight),
            format!("The words are in its {name}."),
        ),
        (None, "named") => (1.0, "It carries what the query names.".to_owned()),
        (None, "sku") => (1.0, "The query is its SKU.".to_owned()),
        (None, "popularity") => (
            super::scan::POPULARITY_BOOST,
            "People like it; this adds a fifth at most.".to_owned(),
        ),
        (None, _) => (
            super::scan::STOCK_BOOST,
            "It is in stock; this adds a tenth.".to_owned(),
        ),
    };
    Factor {
        name: name.to_owned(),
        value: format!("{contribution:.2}"),
        weight,
        contribution,
        sentence,
    }
}
