//! Corrects words that no product has.
//!
//! A Levenshtein automaton (Schulz and Mihov 2002) is run over the index's own dictionary, so there is
//! no second list of words to keep. Among the candidates the nearest wins; of equally near ones the
//! one with the same first letter (typists rarely miss it), then the one more products have, then
//! the first in the alphabet.

use std::collections::BTreeMap;

use tantivy::{Searcher, TantivyError, Term, query::FuzzyTermQuery};

use super::{
    edits::{distance, tolerance},
    schema::Fields,
};

/// A word of the dictionary near to what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub word: String,
    /// Edits between it and what was typed.
    pub edits: usize,
    /// How many products have it.
    pub products: u64,
}

/// Most dictionary entries looked at for one word.
const MOST_CANDIDATES: usize = 2_000;

/// Words within the tolerance of `word`'s length, best first, at most `limit`.
///
/// # Errors
/// When the index cannot be read.
pub fn candidates(
    searcher: &Searcher,
    fields: &Fields,
    word: &str,
    limit: usize,
) -> Result<Vec<Candidate>, TantivyError> {
    let allowed = tolerance(word.chars().count());
    if allowed == 0 || word.bytes().any(|byte| byte.is_ascii_digit()) {
        return Ok(Vec::new());
    }
    let fuzzy = FuzzyTermQuery::new(Term::from_field_text(fields.words, word), allowed, true);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(fields.words)?;
        let mut stream = inverted.terms().search(fuzzy.automaton()?).into_stream()?;
        while stream.advance() && found.len() < MOST_CANDIDATES {
            if let Ok(candidate) = std::str::from_utf8(stream.key()) {
                *found.entry(candidate.to_owned()).or_default() +=
                    u64::from(stream.value().doc_freq);
            }
        }
    }
    let first = word.chars().next();
    let mut found: Vec<Candidate> = found
        .into_iter()
        .map(|(candidate, products)| Candidate {
            edits: distance(word, &candidate),
            word: candidate,
            products,
        })
        .filter(|candidate| candidate.edits > 0 && candidate.edits <= usize::from(allowed))
        .collect();
    found.sort_by(|a, b| {
        let other_start = |candidate: &Candidate| candidate.word.chars().next() != first;
        (
            a.edits,
            other_start(a),
            std::cmp::Reverse(a.products),
            &a.word,
        )
            .cmp(&(
                b.edits,
                other_start(b),
                std::cmp::Reverse(b.products),
                &b.word,
            ))
    });
    found.truncate(limit);
    Ok(found)
}

/// Two words of the dictionary that were typed as one, the commonest pair; `None` when there is none.
///
/// # Errors
/// When the index cannot be read.
pub fn split(
    searcher: &Searcher,
    fields: &Fields,
    word: &str,
) -> Result<Option<(String, String)>, TantivyError> {
    const SHORTEST: usize = 3;
    if !word.is_ascii() || word.len() < 2 * SHORTEST {
        return Ok(None);
    }
    let frequency = |part: &str| searcher.doc_freq(&Term::from_field_text(fields.words, part));
    let mut best: Option<(u64, usize)> = None;
    for at in SHORTEST..=word.len() - SHORTEST {
        let (left, right) = word.split_at(at);
        let rarer = match frequency(left)? {
            0 => 0,
            left => left.min(frequency(right)?),
        };
        if rarer > 0 && best.is_none_or(|(products, _)| rarer > products) {
            best = Some((rarer, at));
        }
    }
    Ok(best.map(|(_, at)| (word[..at].to_owned(), word[at..].to_owned())))
}
