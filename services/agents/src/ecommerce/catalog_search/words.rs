//! The words of a query as the index is asked for them.

use contracts::hub::agents::v1::SearchRequest;
use tantivy::{
    Searcher, TantivyError, Term,
    query::{AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::{
    interpret::{Reading, is_color, read, without_stop_words},
    schema::{Cutter, Fields},
    spelling,
};

/// Most words of a query that are looked at.
const MOST_WORDS: usize = 16;
/// Most neighbours that a word is widened to.
const MOST_NEIGHBOURS: usize = 20;
/// A neighbour's weight, per edit.
const EDIT_DISCOUNT: f32 = 0.5;
/// Longest phrase that is looked up as a brand or a category, in words.
const LONGEST_PHRASE: usize = 4;

/// A stem to look for, with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Stem {
    /// The stem.
    pub text: String,
    /// Its weight, 1 for what was typed.
    pub weight: f32,
}

/// A word of the query.
#[derive(Clone, Debug)]
pub struct Word {
    /// As it is searched for, unstemmed.
    pub text: String,
    /// Its stem, and once widened those of its neighbours.
    pub stems: Vec<Stem>,
    /// Whether no product has it.
    pub unknown: bool,
}

/// What a run of words names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// `brand`, `category` or `color`.
    pub kind: &'static str,
    /// Field and term that carry it.
    pub term: (Field, String),
    /// The first word.
    pub from: usize,
    /// One past the last word.
    pub to: usize,
}

/// A query as understood.
#[derive(Clone, Debug)]
pub struct Understood {
    /// The query without what became filters; for SKUs.
    pub whole: String,
    /// Price limits that were read out.
    pub reading: Reading,
    /// The words.
    pub words: Vec<Word>,
    /// What they name; non-overlapping, in order.
    pub namings: Vec<Naming>,
    /// The words after correction; empty when none was needed.
    pub corrected: String,
}

/// Reads, corrects and interprets the query of `request`.
///
/// # Errors
/// When the index cannot be read.
pub fn understand(
    searcher: &Searcher,
    fields: &Fields,
    cutter: &mut Cutter,
    request: &SearchRequest,
) -> Result<Understood, TantivyError> {
    let reading = read(&request.query);
    let mut typed = without_stop_words(cutter.words(&reading.text));
    typed.truncate(MOST_WORDS);
    let mut corrected = false;
    let mut words = Vec::with_capacity(typed.len());
    for text in typed {
        if is_known(searcher, fields, cutter, &text)? {
            words.push(word(cutter, text, false));
        } else if let Some(best) = spelling::candidates(searcher, fields, &text, 1)?.pop() {
            corrected = true;
            words.push(word(cutter, best.word, false));
        } else if let Some((left, right)) = spelling::split(searcher, fields, &text)? {
            corrected = true;
            words.push(word(cutter, left, false));
            words.push(word(cutter, right, false));
        } else {
            words.push(word(cutter, text, true));
        }
    }
    let namings = namings(searcher, fields, &words)?;
    let corrected = match corrected {
        true => words
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
        false => String::new(),
    };
    Ok(Understood {
        whole: reading.text.clone(),
        reading,
        words,
        namings,
        corrected,
    })
}

fn word(cutter: &mut Cutter, text: String, unknown: bool) -> Word {
    let stems = cutter
        .stems(&text)
        .into_iter()
        .map(|text| Stem { text, weight: 1.0 })
        .collect();
    Word {
        text,
        stems,
        unknown,
    }
}

/// Whether any product has the word in a field that is ranked by, or as its SKU.
fn is_known(
    searcher: &Searcher,
    fields: &Fields,
    cutter: &mut Cutter,
    word: &str,
) -> Result<bool, TantivyError> {
    if searcher.doc_freq(&Term::from_field_text(fields.sku, word))? > 0 {
        return Ok(true);
    }
    for stem in cutter.stems(word) {
        for ranked in &fields.ranked {
            if searcher.doc_freq(&Term::from_field_text(ranked.field, &stem))? > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Finds brands, categories and colors among the words, longest phrases first.
fn namings(
    searcher: &Searcher,
    fields: &Fields,
    words: &[Word],
) -> Result<Vec<Naming>, TantivyError> {
    let stems: Vec<&str> = words
        .iter()
        .map(|word| word.stems.first().map_or("", |stem| stem.text.as_str()))
        .collect();
    let mut found = Vec::new();
    let mut from = 0;
    while from < words.len() {
        let mut named = None;
        for length in (1..=LONGEST_PHRASE.min(words.len() - from)).rev() {
            let key = stems[from..from + length].join(" ");
            let single_color =
                (length == 1 && is_color(&words[from].text)).then_some(("color", fields.color));
            let kinds = [
                Some(("brand", fields.brand_key)),
                Some(("category", fields.category_key)),
                single_color,
            ];
            for (kind, field) in kinds.into_iter().flatten() {
                if searcher.doc_freq(&Term::from_field_text(field, &key))? > 0 {
                    named = Some(Naming {
                        kind,
                        term: (field, key.clone()),
                        from,
                        to: from + length,
                    });
                    break;
                }
            }
            if named.is_some() {
                break;
            }
        }
        from = named.as_ref().map_or(from + 1, |naming| naming.to);
        found.extend(named);
    }
    Ok(found)
}

impl Understood {
    /// What was read out of the query, for people and programs.
    pub fn interpreted(&self) -> Vec<String> {
        let limit = |name: &str, price: Option<i64>| {
            price.map(|price| format!("{name}={}", super::interpret::show_price(price)))
        };
        let phrase = |naming: &Naming| {
            let words = &self.words[naming.from..naming.to];
            words
                .iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let named = self
            .namings
            .iter()
            .map(|naming| format!("{}={}", naming.kind, phrase(naming)));
        [
            limit("min_price", self.reading.min_price),
            limit("max_price", self.reading.max_price),
        ]
        .into_iter()
        .flatten()
        .chain(named)
        .collect()
    }

    /// How many stems are looked for.
    pub fn stems(&self) -> usize {
        self.words.iter().map(|word| word.stems.len()).sum()
    }

    /// Widens every word to its neighbours in the dictionary.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn widened(
        &self,
        searcher: &Searcher,
        fields: &Fields,
        cutter: &mut Cutter,
    ) -> Result<Self, TantivyError> {
        let mut wide = self.clone();
        for word in &mut wide.words {
            for neighbour in spelling::candidates(searcher, fields, &word.text, MOST_NEIGHBOURS)? {
                let weight = EDIT_DISCOUNT.powi(i32::try_from(neighbour.edits).unwrap_or(i32::MAX));
                for text in cutter.stems(&neighbour.word) {
                    if word.stems.iter().all(|stem| stem.text != text) {
                        word.stems.push(Stem { text, weight });
                    }
                }
            }
        }
        Ok(wide)
    }

    /// The query that decides what matches: at least `least` of the words (a phrase that names something
    /// may be matched by what it names), or the whole query as a SKU.
    pub fn matching(&self, fields: &Fields, least: usize) -> Box<dyn Query> {
        if self.words.is_empty() {
            return Box::new(AllQuery);
        }
        let clauses: Vec<(Occur, Box<dyn Query>)> = self
            .words
            .iter()
            .enumerate()
            .map(|(place, word)| {
                let naming = self
                    .namings
                    .iter()
                    .find(|naming| (naming.from..naming.to).contains(&place));
                (
                    Occur::Should,
                    any_of(word_terms(fields, word).chain(naming.map(naming_term))),
                )
            })
            .collect();
        let all_words = least >= self.words.len();
        let words: Box<dyn Query> = match all_words {
            true => Box::new(BooleanQuery::new(
                clauses
                    .into_iter()
                    .map(|(_, clause)| (Occur::Must, clause))
                    .collect(),
            )),
            false => Box::new(BooleanQuery::with_minimum_required_clauses(
                clauses,
                least.max(1),
            )),
        };
        let sku = Term::from_field_text(fields.sku, &self.whole);
        Box::new(BooleanQuery::union(vec![
            words,
            Box::new(TermQuery::new(sku, IndexRecordOption::Basic)),
        ]))
    }

    /// The queries that score a match, by the name of the part that they contribute.
    pub fn scoring(&self, fields: &Fields) -> Vec<(&'static str, Box<dyn Query>)> {
        if self.words.is_empty() {
            return Vec::new();
        }
        let mut parts: Vec<(&'static str, Box<dyn Query>)> = fields
            .ranked
            .iter()
            .map(|ranked| {
                let terms: Vec<Box<dyn Query>> = self
                    .words
                    .iter()
                    .flat_map(|word| &word.stems)
                    .map(|stem| -> Box<dyn Query> {
                        let term = Term::from_field_text(ranked.field, &stem.text);
                        let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                        Box::new(BoostQuery::new(
                            Box::new(query),
                            ranked.weight * stem.weight,
                        ))
                    })
                    .collect();
                (
                    ranked.name,
                    Box::new(BooleanQuery::union(terms)) as Box<dyn Query>,
                )
            })
            .collect();
        if !self.namings.is_empty() {
            let named = self
                .namings
                .iter()
                .map(|naming| constant(naming_term(naming), NAMED))
                .collect();
            parts.push(("named", Box::new(BooleanQuery::union(named))));
        }
        let sku = Term::from_field_text(fields.sku, &self.whole);
        parts.push(("sku", constant(sku, SKU)));
        parts
    }
}

/// What carrying a brand, category or color that the query names is worth: about a word in the name.
const NAMED: f32 = 6.0;
/// What having the query as SKU is worth: more than any text.
const SKU: f32 = 1_000.0;

fn constant(term: Term, score: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(
        Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
        score,
    ))
}

fn naming_term(naming: &Naming) -> Term {
    let (field, text) = &naming.term;
    Term::from_field_text(*field, text)
}

fn word_terms<'a>(fields: &'a Fields, word: &'a Word) -> impl Iterator<Item = Term> + 'a {
    word.stems.iter().flat_map(|stem| {
        fields
            .ranked
            .iter()
            .map(|ranked| Term::from_field_text(ranked.field, &stem.text))
    })
}

fn any_of(terms: impl Iterator<Item = Term>) -> Box<dyn Query> {
    let terms = terms
        .map(|term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>);
    Box::new(BooleanQuery::union(terms.collect()))
}
