//! The `filters` of lists and search: a JSON object, read strictly.
//!
//! A filter that is silently ignored shows a shopper what was not asked for, so unknown keys and
//! wrong types are errors that name the place.

use std::collections::BTreeMap;

use mesh::Failure;
use serde::Serialize;
use serde_json::Value;

use super::decimal::{self, DecimalError};

/// Values of `brand`, and values of all attributes together, at most.
const MAX_VALUES: usize = 50;
/// Longest value, in bytes.
const MAX_VALUE: usize = 200;

/// Conditions that all must hold; values of one brand or attribute condition are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filters {
    /// Any of these brands; empty for all.
    pub brands: Vec<String>,
    /// Least price key.
    pub min_price: Option<i64>,
    /// Largest price key, included.
    pub max_price: Option<i64>,
    /// Least rating in thousandths.
    pub min_rating: Option<i64>,
    /// Only what can be promised now.
    pub in_stock: Option<InStock>,
    /// For each attribute any of these values.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// The product can be promised now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InStock;

/// A filter that cannot be read: where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FilterError {
    /// Place in the request, for example `filters.price.min`.
    pub field: String,
    /// What is wrong there.
    pub message: String,
}

impl FilterError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::invalid(error.field, error.message)
    }
}

impl Filters {
    /// Reads the JSON object of a request; the empty text is no filter.
    ///
    /// # Errors
    /// Anything but an object with known keys and values of the right type.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let json: Value = serde_json::from_str(text)
            .map_err(|error| FilterError::new("filters", format!("is not valid JSON: {error}")))?;
        let Value::Object(object) = json else {
            return Err(FilterError::new("filters", "must be a JSON object"));
        };
        let mut filters = Self::default();
        for (key, value) in &object {
            match key.as_str() {
                "brand" => filters.brands = texts("filters.brand", value)?,
                "price" => filters.read_price(value)?,
                "rating" => {
                    filters.min_rating =
                        Some(number("filters.rating", value, decimal::parse_rating)?);
                }
                "in_stock" => match value {
                    Value::Bool(true) => filters.in_stock = Some(InStock),
                    Value::Bool(false) => filters.in_stock = None,
                    _ => {
                        return Err(FilterError::new(
                            "filters.in_stock",
                            "must be true or false",
                        ));
                    }
                },
                "attributes" => filters.read_attributes(value)?,
                unknown => {
                    return Err(FilterError::new(
                        format!("filters.{}", shorten(unknown)),
                        "is not a filter; there are brand, price, rating, in_stock and attributes",
                    ));
                }
            }
        }
        Ok(filters)
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn read_price(&mut self, value: &Value) -> Result<(), FilterError> {
        let Value::Object(bounds) = value else {
            return Err(FilterError::new(
                "filters.price",
                "must be an object with min and max",
            ));
        };
        for (key, value) in bounds {
            let bound = match key.as_str() {
                "min" => &mut self.min_price,
                "max" => &mut self.max_price,
                unknown => {
                    return Err(FilterError::new(
                        format!("filters.price.{}", shorten(unknown)),
                        "is not a bound; there are min and max",
                    ));
                }
            };
            *bound = Some(number(
                &format!("filters.price.{key}"),
                value,
                decimal::parse_price_key,
            )?);
        }
        if let (Some(min), Some(max)) = (self.min_price, self.max_price)
            && min > max
        {
            return Err(FilterError::new(
                "filters.price",
                "min must not be above max",
            ));
        }
        Ok(())
    }

    fn read_attributes(&mut self, value: &Value) -> Result<(), FilterError> {
        let Value::Object(attributes) = value else {
            return Err(FilterError::new(
                "filters.attributes",
                "must be an object of names and values",
            ));
        };
        for (name, value) in attributes {
            let field = format!("filters.attributes.{}", shorten(name));
            if name.is_empty() || name.len() > MAX_VALUE {
                return Err(FilterError::new(
                    field,
                    "must have a name of 1 to 200 bytes",
                ));
            }
            let values = texts(&field, value)?;
            if !values.is_empty() {
                self.attributes.insert(name.clone(), values);
            }
        }
        if self.attributes.values().map(Vec::len).sum::<usize>() > MAX_VALUES {
            return Err(FilterError::new(
                "filters.attributes",
                "must have at most 50 values",
            ));
        }
        Ok(())
    }
}

/// A string or a list of strings, sorted and without repetition.
fn texts(field: &str, value: &Value) -> Result<Vec<String>, FilterError> {
    let wrong = || FilterError::new(field, "must be a string or a list of strings");
    let read = |value: &Value| match value {
        Value::String(text) if text.len() <= MAX_VALUE => Ok(text.clone()),
        Value::String(_) => Err(FilterError::new(field, "must be at most 200 bytes long")),
        _ => Err(wrong()),
    };
    let mut found = match value {
        Value::Array(values) => values.iter().map(read).collect::<Result<Vec<_>, _>>()?,
        value => vec![read(value)?],
    };
    found.sort_unstable();
    found.dedup();
    if found.len() > MAX_VALUES {
        return Err(FilterError::new(field, "must have at most 50 values"));
    }
    Ok(found)
}

/// A decimal as a string or a JSON number.
fn number(
    field: &str,
    value: &Value,
    parse: impl Fn(&str) -> Result<i64, DecimalError>,
) -> Result<i64, FilterError> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(FilterError::new(field, "must be a number")),
    };
    // JSON has no other form for a whole number that was written with a point.
    let text = text.strip_suffix(".0").unwrap_or(&text);
    parse(text).map_err(|error| FilterError::new(field, error.to_string()))
}

/// A key of the request in an error: not longer than people read.
fn shorten(key: &str) -> String {
    key.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn field(text: &str) -> String {
        Filters::parse(text).unwrap_err().field
    }

    #[test]
    fn the_documented_example_is_read() {
        let filters = Filters::parse(
            r#"{"brand":["Norrfell"],"price":{"max":"80"},"attributes":{"color":["red","blue"]},"rating":4.5,"in_stock":true}"#,
        )
        .unwrap();
        assert_eq!(filters.brands, ["Norrfell"]);
        assert_eq!(
            (filters.min_price, filters.max_price),
            (None, Some(800_000))
        );
        assert_eq!(filters.attributes["color"], ["blue", "red"]);
        assert_eq!(filters.min_rating, Some(4_500));
        assert_eq!(filters.in_stock, Some(InStock));
        assert!(Filters::parse("").unwrap().is_empty());
        assert!(Filters::parse("{}").unwrap().is_empty());
        assert_eq!(
            Filters::parse(r#"{"price":{"min":12.5}}"#)
                .unwrap()
                .min_price,
            Some(125_000)
        );
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(field("{"), "filters");
        assert_eq!(field("[]"), "filters");
        assert_eq!(field("null"), "filters");
        assert_eq!(field(r#"{"colour":"red"}"#), "filters.colour");
        assert_eq!(field(r#"{"price":{"min":"x"}}"#), "filters.price.min");
        assert_eq!(field(r#"{"price":{"min":-1}}"#), "filters.price.min");
        assert_eq!(field(r#"{"price":{"max":true}}"#), "filters.price.max");
        assert_eq!(field(r#"{"price":{"from":1}}"#), "filters.price.from");
        assert_eq!(field(r#"{"price":5}"#), "filters.price");
        assert_eq!(field(r#"{"price":{"min":2,"max":1}}"#), "filters.price");
        assert_eq!(field(r#"{"brand":5}"#), "filters.brand");
        assert_eq!(field(r#"{"brand":[5]}"#), "filters.brand");
        assert_eq!(field(r#"{"rating":6}"#), "filters.rating");
        assert_eq!(field(r#"{"in_stock":"yes"}"#), "filters.in_stock");
        assert_eq!(
            field(r#"{"attributes":{"color":{}}}"#),
            "filters.attributes.color"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,200}") {
            let _ = Filters::parse(&text);
        }

        #[test]
        fn any_json_is_answered(
            key in prop::sample::select(vec!["brand", "price", "rating", "in_stock", "attributes", "x"]),
            value in prop::sample::select(vec!["1", "-1", "1e400", "\"a\"", "[]", "[1]", "{}", "{\"min\":1e300}", "null", "true", "{\"a\":[]}"]),
        ) {
            if let Err(error) = Filters::parse(&format!("{{\"{key}\":{value}}}")) {
                prop_assert!(error.field.starts_with("filters"));
            }
        }
    }
}
