//! `string.pattern` is RE2 syntax; the regex crate is nearly RE2, and this closes the gap.
//!
//! The differences that change what a pattern matches: `\d`, `\w`, `\s` and `\b` are ASCII in RE2; a
//! `[` inside a class is a literal there and not a nested class; `&&`, `--` and `~~` inside a class are
//! not set operations; `\Q...\E` quotes. What RE2 has and the regex crate cannot do (`\C`) is refused.

use regex::Regex;

/// Compiles an RE2 pattern, to be searched for anywhere in a text.
///
/// # Errors
/// A sentence saying why the pattern cannot be compiled.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translate(pattern)?).map_err(|error| error.to_string())
}

const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\f\r\x20";
const WORD: &str = "0-9A-Za-z_";

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, &mut out)?,
            '[' => rest = class(rest, &mut out)?,
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What follows a backslash outside of a class; returns the rest.
fn escape<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let c = rest.chars().next().ok_or("trailing backslash")?;
    let rest = &rest[c.len_utf8()..];
    if let Some(set) = perl(c) {
        let not = if c.is_ascii_uppercase() { "^" } else { "" };
        out.push_str(&format!("[{not}{set}]"));
        return Ok(rest);
    }
    match c {
        'Q' => {
            let (literal, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            return Ok(rest);
        }
        'C' => return Err(r"\C (any byte) is not supported".into()),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        c => {
            out.push('\\');
            out.push(c);
        }
    }
    Ok(rest)
}

/// The set behind `\d`, `\s`, `\w` and their negations.
fn perl(c: char) -> Option<&'static str> {
    match c {
        'd' | 'D' => Some(DIGIT),
        's' | 'S' => Some(SPACE),
        'w' | 'W' => Some(WORD),
        _ => None,
    }
}

/// What follows a `[`; returns the rest after the closing `]`.
fn class<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut rest = rest;
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            ']' if !first => {
                out.push(']');
                return Ok(after);
            }
            '[' => match after
                .strip_prefix(':')
                .and_then(|name| name.split_once(":]"))
            {
                Some((name, after)) if name.chars().all(|c| c == '^' || c.is_ascii_lowercase()) => {
                    out.push_str(&format!("[:{name}:]"));
                    after
                }
                _ => {
                    out.push_str(r"\[");
                    after
                }
            },
            '\\' => {
                let c = after.chars().next().ok_or("trailing backslash")?;
                match perl(c) {
                    Some(set) if c.is_ascii_lowercase() => out.push_str(set),
                    Some(set) => out.push_str(&format!("[^{set}]")),
                    None => {
                        out.push('\\');
                        out.push(c);
                    }
                }
                &after[c.len_utf8()..]
            }
            // A doubled dash is one end of a range and its operator.
            '-' if after.starts_with('-') && first => {
                out.push_str(r"\-");
                after
            }
            '-' if after.starts_with('-') => {
                out.push_str(r"-\-");
                &after[1..]
            }
            ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                after
            }
            c => {
                out.push(c);
                after
            }
        };
        first = false;
    }
    Err("missing ]".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::compile;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text)
    }

    #[test]
    fn perl_classes_are_ascii() {
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "١٢٣"));
        assert!(!matches(r"^\w+$", "é"));
        assert!(matches(r"^[\W]$", "é"));
        assert!(matches(r"^[^\D]$", "7"));
        assert!(!matches(r"^[\s]$", "\u{a0}"));
        assert!(matches(r"^\S$", "\u{a0}"));
    }

    #[test]
    fn class_punctuation_is_literal() {
        assert!(matches(r"^[[]$", "["));
        assert!(matches(r"^[]a]+$", "]a"));
        assert!(matches(r"^[a&&b]+$", "&ab"));
        assert!(matches(r"^[+--]+$", "+,-"));
        assert!(matches(r"^[--/]+$", "-./"));
        assert!(matches(r"^[[:alpha:]_]+$", "a_Z"));
        assert!(!matches(r"^[[:alpha:]]+$", "é"));
    }

    #[test]
    fn search_is_unanchored_and_quotes_work() {
        assert!(matches("b+", "abbc"));
        assert!(matches(r"^\Qa.b\E$", "a.b"));
        assert!(!matches(r"^\Qa.b\E$", "axb"));
        assert!(matches(r"\bcat\b", "écaté".replace('é', " ").as_str()));
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for pattern in [r"\C", "(", "[a", "\\", r"(?=x)"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
