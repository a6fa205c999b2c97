//! Rules of strings and byte strings.

use regex::Regex;

use super::{formats::Format, table::Rule};

/// The rules of a string, in the contract's order.
pub(super) type TextRules = Box<[(TextTest, Rule)]>;

/// The rules of a byte string, in the contract's order.
pub(super) type BytesRules = Box<[(BytesTest, Rule)]>;

/// One rule of a string. Lengths count Unicode code points unless the name says bytes.
#[derive(Debug)]
pub(super) enum TextTest {
    Exactly(Box<str>),
    Length(u64),
    MinLength(u64),
    MaxLength(u64),
    LengthBytes(u64),
    MinBytes(u64),
    MaxBytes(u64),
    Pattern(Box<Regex>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    Lacks(Box<str>),
    Among(Box<[Box<str>]>),
    Except(Box<[Box<str>]>),
    /// A well-known format; the rule for the empty string has an id of its own, where there is one.
    Format(Format, Option<Rule>),
}

/// Reports every rule that `text` breaks.
pub(super) fn check_text(rules: &TextRules, text: &str, report: &mut dyn FnMut(&Rule)) {
    for (test, rule) in rules {
        match test {
            TextTest::Format(_, Some(when_empty)) if text.is_empty() => report(when_empty),
            test if test.holds(text) => {}
            _ => report(rule),
        }
    }
}

impl TextTest {
    fn holds(&self, text: &str) -> bool {
        let bytes = text.len() as u64;
        match self {
            Self::Exactly(wanted) => text == &**wanted,
            Self::Length(wanted) => characters(text) == *wanted,
            // A code point has one to four bytes, so most lengths need no counting.
            Self::MinLength(least) => bytes / 4 >= *least || characters(text) >= *least,
            Self::MaxLength(most) => bytes <= *most || characters(text) <= *most,
            Self::LengthBytes(wanted) => bytes == *wanted,
            Self::MinBytes(least) => bytes >= *least,
            Self::MaxBytes(most) => bytes <= *most,
            Self::Pattern(regex) => regex.is_match(text),
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Contains(part) => text.contains(&**part),
            Self::Lacks(part) => !text.contains(&**part),
            Self::Among(list) => list.iter().any(|entry| **entry == *text),
            Self::Except(list) => !list.iter().any(|entry| **entry == *text),
            Self::Format(format, _) => format.holds(text),
        }
    }
}

fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

/// One rule of a byte string.
#[derive(Debug)]
pub(super) enum BytesTest {
    Exactly(Box<[u8]>),
    Length(u64),
    MinLength(u64),
    MaxLength(u64),
    /// The bytes must be UTF-8 that the pattern matches.
    Pattern(Box<Regex>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Among(Box<[Box<[u8]>]>),
    Except(Box<[Box<[u8]>]>),
    /// The length is one of these (addresses, UUIDs); an empty value breaks the second rule instead.
    Sized(&'static [usize], Rule),
}

/// Reports every rule that `bytes` break.
pub(super) fn check_bytes(rules: &BytesRules, bytes: &[u8], report: &mut dyn FnMut(&Rule)) {
    for (test, rule) in rules {
        match test {
            BytesTest::Sized(_, when_empty) if bytes.is_empty() => report(when_empty),
            test if test.holds(bytes) => {}
            _ => report(rule),
        }
    }
}

impl BytesTest {
    fn holds(&self, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        match self {
            Self::Exactly(wanted) => bytes == &**wanted,
            Self::Length(wanted) => length == *wanted,
            Self::MinLength(least) => length >= *least,
            Self::MaxLength(most) => length <= *most,
            Self::Pattern(regex) => {
                std::str::from_utf8(bytes).is_ok_and(|text| regex.is_match(text))
            }
            Self::Prefix(prefix) => bytes.starts_with(prefix),
            Self::Suffix(suffix) => bytes.ends_with(suffix),
            Self::Contains(part) => contains(bytes, part),
            Self::Among(list) => list.iter().any(|entry| **entry == *bytes),
            Self::Except(list) => !list.iter().any(|entry| **entry == *bytes),
            Self::Sized(sizes, _) => sizes.contains(&bytes.len()),
        }
    }
}

/// Substring search by its first byte. The needle comes from the contract and is short, so the work
/// stays near linear in the request.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}
