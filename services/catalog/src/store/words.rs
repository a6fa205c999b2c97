//! A plain text search over names, brands and attribute values.
//!
//! Search belongs to the search agent, which knows typos, synonyms and ranking signals. This is what
//! answers while the agent does not: all words must occur, the last one may be unfinished. Products that
//! have them all in name and brand come before those that have some only among their facts, and popular
//! ones come first. The work is bounded: of a word that half the catalog has, only so many products are
//! ranked, the oldest.
//!
//! SQLite indexes with FTS5, which cuts and folds texts by itself. PostgreSQL gets words that are cut and folded
//! here by the same rules, labelled by where they stand.

use std::collections::BTreeMap;

use mesh::{
    args,
    store::{Dialect, Store, StoreError},
};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{
    Statement,
    list::{self, Driver, Selection},
    writes::Writes,
};
use crate::domain::{
    product::Product,
    sort::{Sort, SortKey},
};

/// Matches that are ranked at most; the total of an answer is bounded by it too.
const RANKED: i64 = 5_000;
/// Words of a query that are looked at.
const MAX_WORDS: usize = 12;

const REPLACE_FTS: &str =
    "INSERT OR REPLACE INTO product_words (rowid, name, brand, facts) VALUES ($1, $2, $3, $4)";
const DELETE_FTS: &str = "DELETE FROM product_words WHERE rowid = $1";
const REPLACE_TSVECTOR: &str = "INSERT INTO product_words (seq, words) VALUES ($1, $2) \
     ON CONFLICT (seq) DO UPDATE SET words = excluded.words";
const DELETE_TSVECTOR: &str = "DELETE FROM product_words WHERE seq = $1";

/// The texts of a product that are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Texts {
    name: String,
    brand: String,
    facts: String,
}

impl Texts {
    fn of(product: &Product) -> Option<Self> {
        product.is_active().then(|| Self {
            name: product.name.clone(),
            brand: product.brand.clone(),
            facts: product.facts(),
        })
    }

    /// Each word once with the labels of where it stands. A label takes a position, and a position has one.
    fn tsvector(&self) -> String {
        let mut labels: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (text, label) in [(&self.name, "1A"), (&self.brand, "2B"), (&self.facts, "3C")] {
            for word in words(text) {
                let labels = labels.entry(word).or_default();
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        let lexemes: Vec<String> = labels
            .iter()
            .map(|(word, labels)| format!("'{word}':{}", labels.join(",")))
            .collect();
        lexemes.join(" ")
    }
}

/// Replaces the words of a product.
pub fn replace(writes: &mut Writes, before: Option<&Product>, after: &Product) {
    let old = before.and_then(Texts::of);
    let new = Texts::of(after);
    if old == new {
        return;
    }
    match (writes.dialect(), new) {
        (Dialect::Sqlite, Some(Texts { name, brand, facts })) => {
            writes.push(REPLACE_FTS, args![after.seq, name, brand, facts]);
        }
        (Dialect::Sqlite, None) => writes.push(DELETE_FTS, args![after.seq]),
        (Dialect::Postgres, Some(texts)) => {
            writes.push(REPLACE_TSVECTOR, args![after.seq, texts.tsvector()]);
        }
        (Dialect::Postgres, None) => writes.push(DELETE_TSVECTOR, args![after.seq]),
    }
}

/// What a plain search found: rows of a page, best first, and how many there are (bounded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows of the page.
    pub seqs: Vec<i64>,
    /// Matches in all pages.
    pub total: i64,
}

/// How matches are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Best match first.
    Relevance,
    /// As a list.
    Of(Sort),
}

/// Searches active products for all words of `text`. Nothing to look for finds nothing.
///
/// # Errors
/// See [`StoreError`].
pub async fn search(
    store: &Store,
    text: &str,
    selection: &Selection,
    order: Order,
    offset: i64,
    limit: i64,
) -> Result<Found, StoreError> {
    let query = Query::of(text);
    if query.words.is_empty() {
        return Ok(Found::default());
    }
    let selection = Selection {
        driver: Driver::Walk,
        ..selection.clone()
    };
    let mut statement = Statement::new(store.dialect());
    let matches = query.matches(&mut statement);
    let mut conditions = list::tests(&mut statement, &selection, SortKey::Popularity);
    if let Some(categories) = &selection.categories {
        let within = statement.one_of("q.category_slug || ''", categories);
        conditions.push_str(&format!(" AND {within}"));
    }
    let limit = statement.bind(limit);
    let offset = statement.bind(offset);
    let order = match order {
        Order::Relevance => "m.elsewhere, q.popularity DESC, q.seq".to_owned(),
        Order::Of(sort) => list::order_by("q", sort),
    };
    let products = list::by_seq(statement.dialect, "m.seq");
    statement.push(&format!(
        "SELECT q.seq, COUNT(*) OVER () FROM ({matches}) m CROSS JOIN {products} \
         WHERE q.status = 'active'{conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    ));
    let rows = store.scan(statement.sql, statement.args).await?;
    Ok(Found {
        total: rows.first().map_or(Ok(0), |row| row.get(1_usize))?,
        seqs: rows
            .iter()
            .map(|row| row.get(0_usize))
            .collect::<Result<_, _>>()?,
    })
}

/// What is looked for: words that must all occur, the last as a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Query {
    words: Vec<String>,
}

impl Query {
    fn of(text: &str) -> Self {
        Self {
            words: words(text).take(MAX_WORDS).collect(),
        }
    }

    /// A query for row numbers of products and whether some word stands neither in the name nor in the brand.
    fn matches(&self, statement: &mut Statement) -> String {
        match statement.dialect {
            Dialect::Sqlite => {
                let anywhere = statement.bind(self.fts());
                let titled = statement.bind(format!("{{name brand}} : ({})", self.fts()));
                let ranked = statement.bind(RANKED);
                // The rows come in the order of their numbers, so none that counts is beyond the second limit.
                format!(
                    "SELECT rowid AS seq, rowid NOT IN (SELECT rowid FROM product_words \
                     WHERE product_words MATCH {titled} LIMIT {ranked}) AS elsewhere \
                     FROM product_words WHERE product_words MATCH {anywhere} LIMIT {ranked}"
                )
            }
            Dialect::Postgres => {
                let anywhere = statement.bind(self.tsquery(""));
                let titled = statement.bind(self.tsquery("AB"));
                let ranked = statement.bind(RANKED);
                format!(
                    "SELECT w.seq, NOT (w.words @@ {titled}::tsquery) AS elsewhere FROM product_words w \
                     WHERE w.words @@ {anywhere}::tsquery ORDER BY w.seq LIMIT {ranked}"
                )
            }
        }
    }

    fn fts(&self) -> String {
        let quoted: Vec<String> = self
            .words
            .iter()
            .map(|word| format!("\"{word}\""))
            .collect();
        format!("{}*", quoted.join(" "))
    }

    /// `labels` says where the words may stand; none for anywhere.
    fn tsquery(&self, labels: &str) -> String {
        let last = self.words.len().saturating_sub(1);
        let lexemes: Vec<String> = self
            .words
            .iter()
            .enumerate()
            .map(|(index, word)| {
                let prefix = if index == last { "*" } else { "" };
                format!("'{word}':{prefix}{labels}")
            })
            .collect();
        lexemes.join(" & ")
    }
}

/// The words of a text as FTS5's tokenizer `unicode61 remove_diacritics 2` cuts and folds them: runs of letters,
/// digits and private characters, in lower case, Latin letters without their marks.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !(is_of_word(character) || is_mark(character)))
        .map(|run| {
            run.chars()
                .filter(|character| !is_mark(*character))
                .flat_map(char::to_lowercase)
                .filter(|character| !is_mark(*character))
                .map(plain)
                .collect::<String>()
        })
        .filter(|word| !word.is_empty())
}

fn is_of_word(character: char) -> bool {
    matches!(
        character.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
    ) || character.general_category() == GeneralCategory::PrivateUse
}

/// A combining mark that is dropped; other marks part words.
fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{304}' | '\u{306}'..='\u{30c}' | '\u{30f}' | '\u{311}' | '\u{31b}'
        | '\u{323}'..='\u{328}' | '\u{32d}' | '\u{32e}' | '\u{330}' | '\u{331}')
}

/// A Latin letter without its marks, the usual form of a letter that has several; anything else as it is.
fn plain(character: char) -> char {
    match character {
        '\u{b5}' => 'μ',
        'ſ' | 'ẛ' => 's',
        'ς' => 'σ',
        'ϐ' => 'β',
        'ϑ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        '\u{1fbe}' => 'ι',
        ascii if ascii.is_ascii() => ascii,
        other => std::iter::once(other)
            .nfd()
            .next()
            .filter(char::is_ascii_alphabetic)
            .unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use mesh::store::{Migration, Tx};
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn words_are_cut_and_folded() {
        assert_eq!(cut("Crème brûlée, 2 l"), ["creme", "brulee", "2", "l"]);
        assert_eq!(cut("PHỞ Ångström e\u{301}t"), ["pho", "angstrom", "et"]);
        assert_eq!(cut("smørrebrød Straße"), ["smørrebrød", "straße"]);
        assert_eq!(cut("  -- '\0' "), Vec::<String>::new());
    }

    #[test]
    fn a_query_cannot_reach_the_index_language() {
        let query = Query::of("ice* OR \"x\" -y' & !z:A");
        assert_eq!(query.fts(), "\"ice\" \"or\" \"x\" \"y\" \"z\" \"a\"*");
        assert_eq!(
            query.tsquery("AB"),
            "'ice':AB & 'or':AB & 'x':AB & 'y':AB & 'z':AB & 'a':*AB"
        );
        assert!(Query::of("  -- ").words.is_empty());
    }

    #[test]
    fn a_word_is_indexed_once_with_all_its_places() {
        let texts = Texts {
            name: "Ice, ice".to_owned(),
            brand: "Bay".to_owned(),
            facts: "ice bay x".to_owned(),
        };
        assert_eq!(texts.tsvector(), "'bay':2B,3C 'ice':1A,3C 'x':3C");
    }

    const VOCABULARY: &[Migration] = &[Migration::new(
        1,
        "vocabulary",
        "CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
         CREATE VIRTUAL TABLE vocabulary USING fts5vocab (texts, 'row');",
        "",
    )];

    #[test]
    fn words_are_those_of_the_other_engine() {
        // Letters that came into Unicode after the tables of FTS5 are beyond this.
        let characters = prop::collection::vec(
            prop_oneof![
                4 => prop::char::range(' ', '~'),
                2 => prop::char::range('\u{a0}', '\u{1df}'),
                1 => prop::char::range('\u{1e2}', '\u{24f}'),
                1 => prop::char::range('\u{300}', '\u{331}'),
                1 => prop::char::range('\u{3a3}', '\u{3f3}'),
                1 => prop::char::range('\u{400}', '\u{527}'),
                1 => prop::char::range('\u{1e00}', '\u{1eff}'),
                1 => prop::char::range('\u{905}', '\u{939}'),
                1 => prop::char::range('\u{2010}', '\u{2064}'),
                1 => prop::char::range('\u{4e00}', '\u{4fff}'),
            ],
            0..60,
        );
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let clock = mesh::Clock::system();
        let ids = mesh::Ids::random(clock.clone());
        let store = runtime
            .block_on(Store::temporary("words", VOCABULARY, clock, ids))
            .unwrap();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 400,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner
            .run(&characters, |characters| {
                let text: String = characters.into_iter().collect();
                let indexed = text.clone();
                let found: Vec<String> = runtime
                    .block_on(store.write(move |tx: Tx| async move {
                        tx.execute("DELETE FROM texts", args![]).await?;
                        let insert = "INSERT INTO texts (text) VALUES ($1)";
                        tx.execute(insert, args![indexed]).await?;
                        let words = tx.all("SELECT term FROM vocabulary", args![]).await?;
                        words.iter().map(|row| row.get(0_usize)).collect()
                    }))
                    .map_err(|error: StoreError| TestCaseError::fail(error.to_string()))?;
                let cut: std::collections::BTreeSet<String> = words(&text).collect();
                prop_assert_eq!(
                    found.into_iter().collect::<std::collections::BTreeSet<_>>(),
                    cut,
                    "{:?}",
                    text
                );
                Ok(())
            })
            .unwrap();
    }
}
