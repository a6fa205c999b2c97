//! Product files for `hub import`: NDJSON and CSV, read line by line with flat memory.
//!
//! # NDJSON
//! One JSON object per line with `sku`, `name`, `category`, `price` and optionally `slug`, `description`,
//! `long_description`, `brand`, `category_name`, `currency`, `compare_at`, `tax_rate`, `images`
//! (`[{url, alt?}]` or `[url]`), `attributes` (`{name: value}`), `rating`, `review_count`, `stock` and
//! `variants` (`[{sku, attributes?, price?, stock?}]`). Prices and rates are decimal strings or JSON numbers;
//! numbers are read as their text and never become a float. Empty lines are skipped.
//!
//! # CSV
//! A header line names the columns, in any order: those above, with `images` as URLs separated by spaces
//! or `|`, `variants` as a JSON list as in NDJSON, and one column `attribute:NAME` per attribute.
//!
//! A line that cannot be read is an error of its own; the next one is read as if nothing had happened.

mod csv;
mod json;
mod lines;

use std::{fs::File, io, path::Path};

use contracts::hub::catalog::v1::ImportRow;

pub use self::{csv::read_csv, lines::read_ndjson};

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {}{message}", in_parentheses(sku), with_colon(field))]
pub struct RowError {
    /// Line of the file, 1-based.
    pub line: i64,
    /// SKU of the row, when it could be read.
    pub sku: String,
    /// Field that is wrong; empty when it is the line as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

fn in_parentheses(sku: &str) -> String {
    if sku.is_empty() {
        String::new()
    } else {
        format!(" ({sku})")
    }
}

fn with_colon(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    }
}

impl RowError {
    fn of_line(line: i64, message: impl ToString) -> Self {
        Self {
            line,
            sku: String::new(),
            field: String::new(),
            message: message.to_string(),
        }
    }
}

/// Reads the rows of a product file: CSV when its name ends in `.csv`, NDJSON otherwise.
///
/// # Errors
/// The file cannot be opened.
pub fn read_rows(
    path: &Path,
) -> io::Result<Box<dyn Iterator<Item = Result<ImportRow, RowError>> + Send>> {
    let is_csv = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let file = File::open(path)?;
    Ok(if is_csv {
        Box::new(read_csv(file))
    } else {
        Box::new(read_ndjson(file))
    })
}

#[cfg(test)]
mod tests;
