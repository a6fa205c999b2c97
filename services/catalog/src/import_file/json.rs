//! A row as a JSON object.
//!
//! Numbers in JSON have no size or precision, but a reader that stores them as floats has. So every number
//! is put in quotes before the line is parsed, and the fields that are numbers read themselves from text.

use std::{collections::HashMap, fmt::Display, str::FromStr};

use contracts::hub::catalog::v1::{Image, ImportRow, ImportVariant};
use serde::{Deserialize, Deserializer, de};

use super::RowError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    sku: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    long_description: String,
    #[serde(default)]
    brand: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    category_name: String,
    #[serde(default)]
    price: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    compare_at: String,
    #[serde(default)]
    tax_rate: String,
    #[serde(default)]
    images: Vec<Picture>,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(default, deserialize_with = "number")]
    rating: f64,
    #[serde(default, deserialize_with = "number")]
    review_count: i32,
    #[serde(default, deserialize_with = "number")]
    stock: i64,
    #[serde(default)]
    variants: Vec<RowVariant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowVariant {
    sku: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(default)]
    price: String,
    #[serde(default, deserialize_with = "number")]
    stock: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Picture {
    Url(String),
    Whole(WholePicture),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WholePicture {
    url: String,
    #[serde(default)]
    alt: String,
}

fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| de::Error::custom(format!("{text:?} is not a number here: {error}")))
}

/// Reads a row.
pub(super) fn row(text: &str, line: i64) -> Result<ImportRow, RowError> {
    let quoted = quote_numbers(text);
    let row: Row = serde_json::from_str(&quoted).map_err(|error| RowError {
        line,
        sku: sku_of(&quoted),
        field: unknown_field(&error),
        message: explain(&error),
    })?;
    Ok(ImportRow {
        line,
        sku: row.sku,
        name: row.name,
        slug: row.slug,
        description: row.description,
        long_description: row.long_description,
        brand: row.brand,
        category: row.category,
        category_name: row.category_name,
        price: row.price,
        currency: row.currency,
        compare_at: row.compare_at,
        tax_rate: row.tax_rate,
        images: row.images.into_iter().zip(0..).map(image).collect(),
        attributes: row.attributes,
        variants: row.variants.into_iter().map(ImportVariant::from).collect(),
        rating: row.rating,
        review_count: row.review_count,
        stock: row.stock,
    })
}

/// Reads a list of variants.
pub(super) fn variants(text: &str) -> Result<Vec<ImportVariant>, serde_json::Error> {
    let variants: Vec<RowVariant> = serde_json::from_str(&quote_numbers(text))?;
    Ok(variants.into_iter().map(ImportVariant::from).collect())
}

impl From<RowVariant> for ImportVariant {
    fn from(variant: RowVariant) -> Self {
        Self {
            sku: variant.sku,
            attributes: variant.attributes,
            price: variant.price,
            stock: variant.stock,
        }
    }
}

fn image((picture, order): (Picture, i32)) -> Image {
    match picture {
        Picture::Url(url) => Image {
            url,
            alt: String::new(),
            order,
        },
        Picture::Whole(WholePicture { url, alt }) => Image { url, alt, order },
    }
}

/// Puts every number of a JSON text in quotes.
fn quote_numbers(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(position) = rest
        .find(|character: char| character == '"' || character == '-' || character.is_ascii_digit())
    {
        let (before, from) = rest.split_at(position);
        quoted.push_str(before);
        let length = if from.starts_with('"') {
            string_length(from)
        } else {
            let is_part = |character: char| {
                character.is_ascii_alphanumeric() || matches!(character, '-' | '+' | '.')
            };
            from.find(|character| !is_part(character))
                .unwrap_or(from.len())
        };
        let (token, after) = from.split_at(length);
        if token.starts_with('"') {
            quoted.push_str(token);
        } else {
            quoted.push('"');
            quoted.push_str(token);
            quoted.push('"');
        }
        rest = after;
    }
    quoted.push_str(rest);
    quoted
}

/// Length of the JSON string at the start of `text`, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .enumerate()
        .skip(1)
        .find_map(|(index, byte)| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends.then_some(index + 1)
        })
        .unwrap_or(text.len())
}

/// The SKU of a row that is JSON but not a row.
fn sku_of(text: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        sku: String,
    }
    serde_json::from_str::<Named>(text)
        .map(|named| named.sku)
        .unwrap_or_default()
}

/// The field that an error about an unknown or missing field names.
fn unknown_field(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let named = text.starts_with("unknown field") || text.starts_with("missing field");
    text.split('`')
        .nth(1)
        .filter(|_| named)
        .unwrap_or_default()
        .to_owned()
}

/// The parser's message without its position: lines are counted here, and columns are of the quoted text.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        assert_eq!(
            quote_numbers(r#"{"a":12.10,"b":"x\"1","c":[-0.5e1,true,null]}"#),
            r#"{"a":"12.10","b":"x\"1","c":["-0.5e1",true,null]}"#
        );
        let read = row(r#"{"sku":"A","price":0.1000000000000000000001}"#, 1).unwrap();
        assert_eq!(read.price, "0.1000000000000000000001");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,120}") {
            let _ = row(&text, 1);
        }

        #[test]
        fn strings_stay_as_they_are(value in "\\PC{0,60}") {
            let text = serde_json::to_string(&serde_json::json!({"sku": "A", "name": value})).unwrap();
            prop_assert_eq!(row(&text, 1).unwrap().name, value);
        }
    }
}
