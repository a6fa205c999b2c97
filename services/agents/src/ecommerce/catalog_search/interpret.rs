//! Reads structure out of what people type: price limits, and which words name a brand, a category
//! or a color.
//!
//! A price phrase becomes a filter and leaves the query. A brand, category or color only says what a
//! phrase probably means: products that carry it as such rank higher and match even if their text
//! does not repeat the words, but no product that has the words is lost by it.

use super::document::{PRICE_SCALE, price_units};

/// What was read out of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The words that remain to be searched for.
    pub text: String,
    /// Least price, ten-thousandths of a major unit.
    pub min_price: Option<i64>,
    /// Largest price, ten-thousandths of a major unit.
    pub max_price: Option<i64>,
}

/// A number after one of these with one of the units below is no price.
const UNITS: &[&str] = &[
    "piece", "pieces", "pc", "pcs", "inch", "inches", "in", "cm", "mm", "m", "ft", "feet", "lb",
    "lbs", "oz", "ml", "l", "liter", "liters", "g", "kg", "lumen", "lumens", "watt", "watts", "w",
    "v", "pack", "ct", "count", "year", "years", "hour", "hours", "h", "degrees", "%", "players",
    "pages",
];
const CURRENCY_WORDS: &[&str] = &[
    "usd", "dollar", "dollars", "eur", "euro", "euros", "bucks", "$", "€",
];
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Least,
    Most,
}

/// The words that introduce a limit, longest first.
const LIMITS: &[(&[&str], Bound)] = &[
    (&["less", "than"], Bound::Most),
    (&["cheaper", "than"], Bound::Most),
    (&["at", "most"], Bound::Most),
    (&["up", "to"], Bound::Most),
    (&["more", "than"], Bound::Least),
    (&["at", "least"], Bound::Least),
    (&["under"], Bound::Most),
    (&["below"], Bound::Most),
    (&["over"], Bound::Least),
    (&["above"], Bound::Least),
];

/// Reads `query`.
pub fn read(query: &str) -> Reading {
    let lower = query.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let mut reading = Reading::default();
    let mut kept: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if let Some((least, most, used)) = between(&words[at..]) {
            reading.min_price = Some(least);
            reading.max_price = Some(most);
            at += used;
        } else if let Some((bound, price, used)) = limit(&words[at..]) {
            match bound {
                Bound::Least => reading.min_price = Some(price),
                Bound::Most => reading.max_price = Some(price),
            }
            at += used;
        } else {
            kept.push(words[at]);
            at += 1;
        }
    }
    reading.text = kept.join(" ");
    reading
}

/// `between 20 and 50 usd`: the limits and how many words they took.
fn between(words: &[&str]) -> Option<(i64, i64, usize)> {
    let [first, least, and, rest @ ..] = words else {
        return None;
    };
    if *first != "between" || *and != "and" {
        return None;
    }
    let (low, _) = price(&[least])?;
    let (high, used) = price(rest)?;
    (low <= high).then_some((low, high, used + 3))
}

/// `under $50`: the limit and how many words it took.
fn limit(words: &[&str]) -> Option<(Bound, i64, usize)> {
    LIMITS.iter().find_map(|(start, bound)| {
        let rest = words.strip_prefix(*start)?;
        let (price, used) = price(rest)?;
        Some((*bound, price, start.len() + used))
    })
}

/// A price at the start of `words` and how many words it took.
fn price(words: &[&str]) -> Option<(i64, usize)> {
    let [word, rest @ ..] = words else {
        return None;
    };
    let bare = word.trim_matches(|c: char| c == '$' || c == '€' || c == '£' || c == ',');
    let bare = bare.strip_suffix("usd").unwrap_or(bare);
    let units =
        price_units(bare).filter(|units| (0..=1_000_000_000 * PRICE_SCALE).contains(units))?;
    match rest {
        [currency, ..] if CURRENCY_WORDS.contains(currency) => Some((units, 2)),
        [unit, ..] if UNITS.contains(unit) && bare.len() == word.len() => None,
        _ => Some((units, 1)),
    }
}

/// `words` without those that say nothing; all of them when none says anything.
pub fn without_stop_words(words: Vec<String>) -> Vec<String> {
    if words.iter().all(|word| STOP_WORDS.contains(&word.as_str())) {
        return words;
    }
    words
        .into_iter()
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .collect()
}

/// Names of colors, as stems are not needed for them.
const COLORS: &[&str] = &[
    "beige",
    "black",
    "blue",
    "brown",
    "cream",
    "gold",
    "gray",
    "green",
    "grey",
    "ivory",
    "lavender",
    "maroon",
    "mint",
    "navy",
    "olive",
    "orange",
    "pink",
    "purple",
    "red",
    "rose",
    "silver",
    "tan",
    "teal",
    "turquoise",
    "violet",
    "white",
    "yellow",
];

/// Whether a word names a color.
pub fn is_color(word: &str) -> bool {
    COLORS.contains(&word)
}

/// A price in ten-thousandths as people write it.
pub fn show_price(units: i64) -> String {
    let whole = units / PRICE_SCALE;
    match units % PRICE_SCALE {
        0 => whole.to_string(),
        rest if rest % 100 == 0 => format!("{whole}.{:02}", rest / 100),
        rest => format!("{whole}.{rest:04}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(query: &str, text: &str, least: Option<i64>, most: Option<i64>) {
        let expected = Reading {
            text: text.to_owned(),
            min_price: least.map(|price| price * PRICE_SCALE),
            max_price: most.map(|price| price * PRICE_SCALE),
        };
        assert_eq!(read(query), expected, "{query}");
    }

    #[test]
    fn price_phrases() {
        check("wool socks under $50", "wool socks", None, Some(50));
        check("sled under 100 usd red", "sled red", None, Some(100));
        check("over 20 dollars gloves", "gloves", Some(20), None);
        check("lamp between 20 and 40", "lamp", Some(20), Some(40));
        check("more than 5 less than 9", "", Some(5), Some(9));
        check("tent", "tent", None, None);
    }

    #[test]
    fn amounts_of_other_things_are_no_prices() {
        check(
            "puzzle over 1000 pieces",
            "puzzle over 1000 pieces",
            None,
            None,
        );
        check("under the tree", "under the tree", None, None);
        check("between 50 and 20", "between 50 and 20", None, None);
    }

    #[test]
    fn a_query_of_stop_words_keeps_them() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            without_stop_words(words("gifts for the cook")),
            words("gifts cook")
        );
        assert_eq!(without_stop_words(words("the of")), words("the of"));
    }
}
