//! Suggestions: the completions, words of the dictionary, and products that contain what was typed.

use std::collections::BTreeMap;

use contracts::hub::agents::v1::Suggestion;
use tantivy::{
    DocAddress, DocSet, Searcher, TERMINATED, TantivyError, Term,
    query::{BooleanQuery, EnableScoring, Occur, Query, TermQuery},
    schema::IndexRecordOption,
};

use super::{
    columns::Columns,
    completions::Completions,
    edits::distance,
    engine::stored_hit,
    schema::{Cutter, Fields},
};

/// Most words of the dictionary that the last word is completed to.
const MOST_ENDINGS: usize = 8;
/// Letters of a beginning from which on a typo is forgiven.
const SHORTEST_FORGIVEN: usize = 4;
/// Words of the dictionary looked at for them.
const MOST_LOOKED_AT: usize = 5_000;
/// Products looked at for a suggestion inside of their names.
const MOST_PRODUCTS: usize = 2_000;

/// At most `limit` suggestions for the beginning `typed` of a query.
///
/// # Errors
/// When the index cannot be read.
pub fn suggest(
    searcher: &Searcher,
    fields: &Fields,
    completions: &Completions,
    typed: &str,
    limit: usize,
) -> Result<Vec<Suggestion>, TantivyError> {
    let mut cutter = Cutter::new();
    let words = cutter.words(typed);
    let Some((last, full)) = words.split_last() else {
        return Ok(Vec::new());
    };
    // A blank at the end says that the last word is complete.
    let open = !typed.ends_with(char::is_whitespace);
    let mut prefix = words.join(" ");
    if !open {
        prefix.push(' ');
    }
    let mut found = completions.complete(&prefix, limit);
    if found.len() < limit {
        let endings = if open {
            match endings(searcher, fields, last)? {
                none if none.is_empty() => near_endings(searcher, fields, last)?,
                some => some,
            }
        } else {
            vec![(last.clone(), 0)]
        };
        let inside = containing(searcher, fields, &mut cutter, full, &endings, limit)?;
        let terms = endings
            .iter()
            .filter(|(word, _)| open && word != last)
            .map(|(word, _)| Suggestion {
                text: full
                    .iter()
                    .chain([word])
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(" "),
                kind: "term".to_owned(),
                target: String::new(),
                edits: 0,
            });
        let exact = found.partition_point(|suggestion| suggestion.edits == 0);
        let near = found.split_off(exact);
        found.extend(terms);
        found.extend(inside);
        found.extend(near);
    }
    let mut seen: Vec<String> = Vec::with_capacity(limit);
    found.retain(|suggestion| {
        let key = cutter.words(&suggestion.text).join(" ");
        let new = !seen.contains(&key);
        if new {
            seen.push(key);
        }
        new
    });
    found.truncate(limit);
    Ok(found)
}

/// Words of the dictionary that begin with `prefix`, the commonest first, with how many products have
/// them.
fn endings(
    searcher: &Searcher,
    fields: &Fields,
    prefix: &str,
) -> Result<Vec<(String, u64)>, TantivyError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(fields.words)?;
        let mut stream = inverted.terms().range().ge(prefix).into_stream()?;
        let mut looked_at = 0;
        while looked_at < MOST_LOOKED_AT && stream.advance() {
            let Ok(word) = std::str::from_utf8(stream.key()) else {
                continue;
            };
            if !word.starts_with(prefix) {
                break;
            }
            looked_at += 1;
            *counts.entry(word.to_owned()).or_default() += u64::from(stream.value().doc_freq);
        }
    }
    let mut endings: Vec<(String, u64)> = counts.into_iter().collect();
    endings.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    endings.truncate(MOST_ENDINGS);
    Ok(endings)
}

/// Words of the dictionary that begin with something one edit away from `prefix`, the commonest first. The
/// first letter is taken as typed: people rarely miss it, and it keeps the walk short.
fn near_endings(
    searcher: &Searcher,
    fields: &Fields,
    prefix: &str,
) -> Result<Vec<(String, u64)>, TantivyError> {
    let letters = prefix.chars().count();
    let Some(first) = prefix
        .chars()
        .next()
        .filter(|_| letters >= SHORTEST_FORGIVEN)
    else {
        return Ok(Vec::new());
    };
    let first = first.to_string();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(fields.words)?;
        let mut stream = inverted.terms().range().ge(&first).into_stream()?;
        let mut looked_at = 0;
        while looked_at < MOST_LOOKED_AT && stream.advance() {
            let Ok(word) = std::str::from_utf8(stream.key()) else {
                continue;
            };
            if !word.starts_with(&first) {
                break;
            }
            looked_at += 1;
            if begins_near(word, prefix, letters) {
                *counts.entry(word.to_owned()).or_default() += u64::from(stream.value().doc_freq);
            }
        }
    }
    let mut endings: Vec<(String, u64)> = counts.into_iter().collect();
    endings.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    endings.truncate(MOST_ENDINGS);
    Ok(endings)
}

/// Whether a beginning of `word` is one edit from `prefix`, which has so many `letters`.
fn begins_near(word: &str, prefix: &str, letters: usize) -> bool {
    let ends = word.char_indices().map(|(end, _)| end).chain([word.len()]);
    ends.skip(letters - 1)
        .take(3)
        .any(|end| distance(&word[..end], prefix) <= 1)
}

/// The most popular products whose names have all `full` words and one of the `endings`.
fn containing(
    searcher: &Searcher,
    fields: &Fields,
    cutter: &mut Cutter,
    full: &[String],
    endings: &[(String, u64)],
    limit: usize,
) -> Result<Vec<Suggestion>, TantivyError> {
    let name = fields.ranked[0].field;
    let mut term = |word: &str| -> Vec<Box<dyn Query>> {
        let term = |stem: String| {
            TermQuery::new(Term::from_field_text(name, &stem), IndexRecordOption::Basic)
        };
        cutter
            .stems(word)
            .into_iter()
            .map(|stem| Box::new(term(stem)) as Box<dyn Query>)
            .collect()
    };
    let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for word in full {
        all.extend(term(word).into_iter().map(|query| (Occur::Must, query)));
    }
    let last: Vec<Box<dyn Query>> = endings.iter().flat_map(|(word, _)| term(word)).collect();
    if last.is_empty() {
        return Ok(Vec::new());
    }
    all.push((Occur::Must, Box::new(BooleanQuery::union(last))));
    let weight = BooleanQuery::new(all).weight(EnableScoring::disabled_from_searcher(searcher))?;
    let mut best: Vec<(f64, DocAddress)> = Vec::new();
    let mut looked_at = 0;
    for (segment_ord, segment) in (0_u32..).zip(searcher.segment_readers()) {
        let columns = Columns::open(segment, fields)?;
        let mut matches = weight.scorer(segment, 1.0)?;
        let mut doc = matches.doc();
        while doc != TERMINATED && looked_at < MOST_PRODUCTS {
            looked_at += 1;
            if !segment.is_deleted(doc) {
                let popularity = columns.popularity.first(doc).unwrap_or(0.0);
                best.push((popularity, DocAddress::new(segment_ord, doc)));
            }
            doc = matches.advance();
        }
    }
    best.sort_by(|(a, at_a), (b, at_b)| b.total_cmp(a).then_with(|| at_a.cmp(at_b)));
    best.truncate(limit);
    best.into_iter()
        .map(|(_, address)| {
            let hit = stored_hit(searcher, fields, address)?;
            Ok(Suggestion {
                text: hit.name,
                kind: "product".to_owned(),
                target: hit.product_id,
                edits: 0,
            })
        })
        .collect()
}
