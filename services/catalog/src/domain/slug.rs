//! Slugs: the readable part of a product's address.
//!
//! A slug is lower-case ASCII words joined by single dashes. Letters with diacritics lose them instead
//! of vanishing, so that "Crème brûlée" is found at `creme-brulee`.

/// Longest slug that is derived from a name; a suffix that makes it unique comes on top.
const MAX_DERIVED: usize = 80;
/// Longest slug that is accepted.
pub const MAX_SLUG: usize = 120;

/// Derives a slug from a text; `item` when no letter or digit of the text has an ASCII form.
pub fn derive(text: &str) -> String {
    let mut slug = String::with_capacity(text.len().min(MAX_DERIVED));
    let mut pending_dash = false;
    for character in text.chars().flat_map(char::to_lowercase) {
        let mut push = |piece: &str| {
            if pending_dash && !slug.is_empty() {
                slug.push('-');
            }
            pending_dash = false;
            slug.push_str(piece);
        };
        match character {
            'a'..='z' | '0'..='9' => push(character.encode_utf8(&mut [0; 4])),
            // "men's" is one word, and a combining mark belongs to the letter before it.
            '\'' | '’' | '\u{300}'..='\u{36f}' => {}
            '&' => {
                pending_dash = true;
                if !slug.is_empty() {
                    slug.push_str("-and");
                }
            }
            other => match plain_letters(other) {
                Some(letters) => push(letters),
                None => pending_dash = true,
            },
        }
        if slug.len() >= MAX_DERIVED {
            break;
        }
    }
    slug.truncate(MAX_DERIVED);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "item".to_owned()
    } else {
        slug.to_owned()
    }
}

/// Whether a text is a slug: lower-case ASCII letters and digits in words joined by single dashes.
pub fn is_valid(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SLUG
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// The names to try for a product until one is free: the slug itself, then numbered ones, and at the end
/// one with `tail`, which is unique by itself.
pub fn candidates(base: &str, tail: &str) -> impl Iterator<Item = String> {
    let numbered = (2..=9).map({
        let base = base.to_owned();
        move |number| format!("{base}-{number}")
    });
    let last = format!("{base}-{}", derive(tail));
    std::iter::once(base.to_owned())
        .chain(numbered)
        .chain(std::iter::once(last))
}

/// A name for people from a slug: `frozen-ice` becomes `Frozen Ice`.
pub fn title(slug: &str) -> String {
    slug.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The ASCII form of a lower-case Latin letter with a diacritic, or of a ligature.
fn plain_letters(character: char) -> Option<&'static str> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_addresses() {
        assert_eq!(derive("Crème brûlée, 2 Stück"), "creme-brulee-2-stuck");
        assert_eq!(derive("Men's Kitchen & Table"), "mens-kitchen-and-table");
        assert_eq!(derive("  --Ice/Cubed--  "), "ice-cubed");
        assert_eq!(derive("冬"), "item");
        assert_eq!(title("grocery-frozen-ice"), "Grocery Frozen Ice");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_valid_slug(text in "\\PC{0,200}") {
            let slug = derive(&text);
            prop_assert!(is_valid(&slug), "{slug:?}");
            prop_assert_eq!(derive(&slug), slug);
        }

        #[test]
        fn candidates_are_valid_and_differ(name in "[a-zA-Z ]{1,90}", sku in "[A-Za-z0-9._-]{1,30}") {
            let all: Vec<String> = candidates(&derive(&name), &sku).collect();
            prop_assert!(all.iter().all(|slug| is_valid(slug)));
            let distinct: std::collections::BTreeSet<_> = all[..9].iter().collect();
            prop_assert_eq!(distinct.len(), 9);
        }
    }
}
