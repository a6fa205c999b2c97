//! Completes the beginning of a query.
//!
//! Product names, brands and categories lie sorted in one block of memory; what begins with a prefix is
//! one run of it. With a typo the sorted array is walked like the trie that it is: each step narrows a
//! run by one more byte and carries a row of the edit-distance table, and a run whose row says that it
//! can no longer come near is left. Words are completed from the index's own dictionary.

use std::{cmp::Ordering, collections::HashMap};

use contracts::hub::agents::v1::{SearchHit, Suggestion};
use prost::Message;
use tantivy::{Searcher, TantivyDocument, TantivyError, schema::Value};

use super::{
    columns::Columns,
    schema::{Cutter, Fields},
};

/// What a completion is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A product's name.
    Product,
    /// A brand.
    Brand,
    /// A category.
    Category,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Brand => "brand",
            Self::Category => "category",
        }
    }
}

/// Where an entry's texts lie in the block.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: (u32, u16),
    text: (u32, u16),
    target: (u32, u16),
    kind: Kind,
    weight: f32,
}

/// Everything that can be completed to, sorted by key.
#[derive(Debug, Default)]
pub struct Completions {
    block: String,
    entries: Vec<Entry>,
}

/// A completion before it is put into the block.
#[derive(Clone, Debug)]
struct Draft {
    text: String,
    target: String,
    weight: f32,
}

/// Shortest prefix in which a typo is tolerated, in bytes.
const FUZZY_FROM: usize = 4;
/// Runs looked at while walking; only a prefix that is near to everything would reach it.
const MOST_STEPS: usize = 20_000;

impl Completions {
    /// Reads everything that `searcher` sees.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn build(searcher: &Searcher, fields: &Fields) -> Result<Self, TantivyError> {
        let mut cutter = Cutter::new();
        let mut drafts: HashMap<(Kind, String), Draft> = HashMap::new();
        for segment in searcher.segment_readers() {
            let columns = Columns::open(segment, fields)?;
            let store = segment.get_store_reader(1)?;
            for doc in segment.doc_ids_alive() {
                let document: TantivyDocument = store.get(doc)?;
                let bytes = document
                    .get_first(fields.hit)
                    .and_then(|value| value.as_bytes());
                let Ok(hit) = SearchHit::decode(bytes.unwrap_or_default()) else {
                    continue;
                };
                let category = document
                    .get_first(fields.category_name)
                    .and_then(|value| value.as_str());
                // One more than the popularity, so that many unknown products count as well.
                let weight = columns.popularity.first(doc).unwrap_or(0.0) as f32 + 1.0;
                let mut add = |kind, text: &str, target: &str, sum: fn(f32, f32) -> f32| {
                    let key = cutter.words(text).join(" ");
                    if key.is_empty() {
                        return;
                    }
                    let draft = drafts.entry((kind, key)).or_insert_with(|| Draft {
                        text: text.to_owned(),
                        target: target.to_owned(),
                        weight: 0.0,
                    });
                    if kind == Kind::Product && weight > draft.weight {
                        target.clone_into(&mut draft.target);
                    }
                    draft.weight = sum(draft.weight, weight);
                };
                add(Kind::Product, &hit.name, &hit.product_id, f32::max);
                add(Kind::Brand, &hit.brand, "", |a, b| a + b);
                add(
                    Kind::Category,
                    category.unwrap_or_default(),
                    &hit.category_slug,
                    |a, b| a + b,
                );
            }
        }
        Ok(Self::of(drafts))
    }

    fn of(drafts: HashMap<(Kind, String), Draft>) -> Self {
        let mut drafts: Vec<_> = drafts.into_iter().collect();
        drafts.sort_unstable_by(|((kind_a, a), _), ((kind_b, b), _)| (a, kind_a).cmp(&(b, kind_b)));
        let mut completions = Self::default();
        for ((kind, key), draft) in drafts {
            let mut put = |text: &str| {
                let at = u32::try_from(completions.block.len()).ok()?;
                let length = u16::try_from(text.len()).ok()?;
                completions.block.push_str(text);
                Some((at, length))
            };
            if let (Some(key), Some(text), Some(target)) =
                (put(&key), put(&draft.text), put(&draft.target))
            {
                completions.entries.push(Entry {
                    key,
                    text,
                    target,
                    kind,
                    weight: draft.weight,
                });
            }
        }
        completions.block.shrink_to_fit();
        completions.entries.shrink_to_fit();
        completions
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn text(&self, (at, length): (u32, u16)) -> &str {
        let at = at as usize;
        self.block
            .get(at..at + usize::from(length))
            .unwrap_or_default()
    }

    fn key(&self, entry: usize) -> &[u8] {
        self.text(self.entries[entry].key).as_bytes()
    }

    /// The best `limit` completions of `prefix` (already folded): those that begin with it, and if they
    /// are too few those that begin with something one edit away.
    pub fn complete(&self, prefix: &str, limit: usize) -> Vec<Suggestion> {
        let exact = self.beginning_with(prefix.as_bytes());
        let mut best: Vec<(usize, usize)> = exact.clone().map(|entry| (0, entry)).collect();
        self.keep_best(&mut best, limit);
        if best.len() < limit && prefix.len() >= FUZZY_FROM {
            let mut near = Vec::new();
            self.near(prefix.as_bytes(), &mut |run| near.extend(run));
            near.sort_unstable();
            near.dedup();
            let mut near: Vec<(usize, usize)> = near
                .into_iter()
                .filter(|entry| !exact.contains(entry))
                .map(|entry| (1, entry))
                .collect();
            self.keep_best(&mut near, limit - best.len());
            best.extend(near);
        }
        best.into_iter()
            .map(|(edits, entry)| self.suggestion(edits, entry))
            .collect()
    }

    fn keep_best(&self, found: &mut Vec<(usize, usize)>, limit: usize) {
        let order = |(_, a): &(usize, usize), (_, b): &(usize, usize)| {
            let (a, b) = (&self.entries[*a], &self.entries[*b]);
            b.weight
                .total_cmp(&a.weight)
                .then(a.key.1.cmp(&b.key.1))
                .then(a.key.0.cmp(&b.key.0))
        };
        if found.len() > limit && limit > 0 {
            found.select_nth_unstable_by(limit - 1, order);
        }
        found.truncate(limit);
        found.sort_unstable_by(order);
    }

    fn suggestion(&self, edits: usize, entry: usize) -> Suggestion {
        let entry = &self.entries[entry];
        Suggestion {
            text: self.text(entry.text).to_owned(),
            kind: entry.kind.name().to_owned(),
            target: self.text(entry.target).to_owned(),
            edits: i32::try_from(edits).unwrap_or(i32::MAX),
        }
    }

    /// The run of entries whose keys begin with `prefix`.
    fn beginning_with(&self, prefix: &[u8]) -> std::ops::Range<usize> {
        let low = self.lower_bound(0..self.entries.len(), |key| key < prefix);
        let high = self.lower_bound(low..self.entries.len(), |key| key.starts_with(prefix));
        low..high
    }

    /// The first entry in `within` for which `before` does not hold.
    fn lower_bound(&self, within: std::ops::Range<usize>, before: impl Fn(&[u8]) -> bool) -> usize {
        let slice = &self.entries[within.clone()];
        within.start + slice.partition_point(|entry| before(self.text(entry.key).as_bytes()))
    }

    /// Calls `found` with every run whose keys begin with something at most one edit from `prefix`.
    fn near(&self, prefix: &[u8], found: &mut dyn FnMut(std::ops::Range<usize>)) {
        let first: Vec<u8> = (0..=prefix.len())
            .map(|n| u8::try_from(n.min(9)).unwrap_or(9))
            .collect();
        let mut steps = 0;
        let walk = Walk {
            completions: self,
            prefix,
        };
        walk.visit(0..self.entries.len(), 0, &first, None, &mut steps, found);
    }
}

struct Walk<'a> {
    completions: &'a Completions,
    prefix: &'a [u8],
}

impl Walk<'_> {
    /// Visits the entries of `run`, which agree in their first `depth` bytes; `row` is the edit-distance
    /// row of those bytes against the prefix, `above` the row before it and the last byte.
    fn visit(
        &self,
        run: std::ops::Range<usize>,
        depth: usize,
        row: &[u8],
        above: Option<(&[u8], u8)>,
        steps: &mut usize,
        found: &mut dyn FnMut(std::ops::Range<usize>),
    ) {
        *steps += 1;
        if row.last().is_some_and(|edits| *edits <= 1) {
            found(run);
            return;
        }
        if *steps > MOST_STEPS || row.iter().all(|edits| *edits > 1) {
            return;
        }
        // Keys that end here have no more bytes to come nearer with.
        let mut at = self
            .completions
            .lower_bound(run.clone(), |key| key.len() <= depth);
        while at < run.end {
            let byte = self.completions.key(at)[depth];
            let end = self.completions.lower_bound(at..run.end, |key| {
                key.get(depth)
                    .map_or(Ordering::Less, |own| own.cmp(&byte))
                    .is_le()
            });
            let mut next = Vec::with_capacity(row.len());
            next.push(row[0].saturating_add(1));
            for j in 1..row.len() {
                let own = self.prefix[j - 1];
                let mut edits = (row[j - 1] + u8::from(own != byte))
                    .min(row[j] + 1)
                    .min(next[j - 1] + 1);
                if let Some((before, last)) = above
                    && j > 1
                    && own == last
                    && self.prefix[j - 2] == byte
                {
                    edits = edits.min(before[j - 2] + 1);
                }
                next.push(edits.min(9));
            }
            self.visit(at..end, depth + 1, &next, Some((row, byte)), steps, found);
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::{super::edits::distance, *};

    fn completions(names: &[&str]) -> Completions {
        let mut drafts = HashMap::new();
        for (weight, name) in names.iter().enumerate() {
            let draft = Draft {
                text: (*name).to_owned(),
                target: weight.to_string(),
                weight: weight as f32,
            };
            drafts.insert((Kind::Product, (*name).to_owned()), draft);
        }
        Completions::of(drafts)
    }

    fn texts(found: Vec<Suggestion>) -> Vec<String> {
        found
            .into_iter()
            .map(|suggestion| suggestion.text)
            .collect()
    }

    #[test]
    fn the_most_popular_come_first() {
        let all = completions(&["snow boots", "snow shovel", "sled", "snow"]);
        assert_eq!(texts(all.complete("sno", 2)), ["snow", "snow shovel"]);
        assert_eq!(texts(all.complete("", 9)).len(), 4);
        assert!(all.complete("x", 3).is_empty());
    }

    #[test]
    fn one_typo_is_forgiven() {
        let all = completions(&["snow boots", "lantern", "candle holder"]);
        for typed in ["lantren", "lamtern", "lntern", "llantern"] {
            let found = all.complete(typed, 3);
            assert_eq!(found.len(), 1, "{typed}");
            assert_eq!(
                (found[0].text.as_str(), found[0].edits),
                ("lantern", 1),
                "{typed}"
            );
        }
        assert!(all.complete("lxxtern", 3).is_empty());
    }

    proptest! {
        #[test]
        fn walking_finds_what_trying_all_finds(
            names in proptest::collection::btree_set("[a-c]{1,7}", 0..30),
            prefix in "[a-c]{4,6}",
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let all = completions(&names);
            let mut found = texts(all.complete(&prefix, 100));
            found.sort();
            let near = |name: &str| (0..=name.len()).any(|end| distance(&prefix, &name[..end]) <= 1);
            let mut expected: Vec<String> =
                names.iter().filter(|name| near(name)).map(|name| (*name).to_owned()).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_run_is_what_begins_with_the_prefix(
            names in proptest::collection::btree_set("[a-c ]{1,6}", 0..30),
            prefix in "[a-c]{0,3}",
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let run = completions(&names).beginning_with(prefix.as_bytes());
            prop_assert_eq!(run.len(), names.iter().filter(|name| name.starts_with(&prefix)).count());
        }
    }
}
