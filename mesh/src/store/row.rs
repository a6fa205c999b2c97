//! Rows, detached from the connection that they came from.
//!
//! A row keeps its texts and blobs in one buffer, so that reading a row costs two allocations however
//! many columns it has, and a column that is only parsed (an id, a number) costs none.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StoreError;

/// One result row.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[Box<str>]>,
    cells: Box<[Cell]>,
    bytes: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text { start: u32, end: u32 },
    Blob { start: u32, end: u32 },
}

/// A column's value, borrowed from its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// An integer, a boolean or a time in microseconds.
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text, a UUID or JSON.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// Names a column: by name, or by its position from 0.
pub trait ColumnRef: Copy {
    /// The position in a row with these columns.
    fn position(self, columns: &[Box<str>]) -> Option<usize>;
    /// How an error names the column.
    fn label(self) -> String;
}

impl ColumnRef for &str {
    fn position(self, columns: &[Box<str>]) -> Option<usize> {
        columns.iter().position(|column| **column == *self)
    }

    fn label(self) -> String {
        self.to_owned()
    }
}

impl ColumnRef for usize {
    fn position(self, columns: &[Box<str>]) -> Option<usize> {
        (self < columns.len()).then_some(self)
    }

    fn label(self) -> String {
        format!("#{self}")
    }
}

impl Row {
    /// The value of `column` as a `T`.
    ///
    /// # Errors
    /// [`StoreError::Decode`] when there is no such column or it holds something else.
    pub fn get<'a, T: FromValue<'a>>(&'a self, column: impl ColumnRef) -> Result<T, StoreError> {
        let position = column
            .position(&self.columns)
            .ok_or_else(|| StoreError::Decode {
                column: column.label(),
                message: "there is no such column".to_owned(),
            })?;
        T::from_value(self.value(position)).map_err(|message| StoreError::Decode {
            column: column.label(),
            message,
        })
    }

    /// How many columns the row has.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the row has no columns.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn value(&self, position: usize) -> ValueRef<'_> {
        let slice = |start: u32, end: u32| &self.bytes[start as usize..end as usize];
        match self.cells[position] {
            Cell::Null => ValueRef::Null,
            Cell::Integer(value) => ValueRef::Integer(value),
            Cell::Real(value) => ValueRef::Real(value),
            Cell::Blob { start, end } => ValueRef::Blob(slice(start, end)),
            Cell::Text { start, end } => match std::str::from_utf8(slice(start, end)) {
                Ok(text) => ValueRef::Text(text),
                Err(_) => ValueRef::Blob(slice(start, end)),
            },
        }
    }
}

/// Fills a [`Row`] column by column.
#[derive(Debug)]
pub(super) struct RowBuilder {
    columns: Arc<[Box<str>]>,
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

impl RowBuilder {
    pub(super) fn new(columns: &Arc<[Box<str>]>) -> Self {
        Self {
            cells: Vec::with_capacity(columns.len()),
            columns: Arc::clone(columns),
            bytes: Vec::new(),
        }
    }

    pub(super) fn null(&mut self) {
        self.cells.push(Cell::Null);
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.cells.push(Cell::Integer(value));
    }

    pub(super) fn real(&mut self, value: f64) {
        self.cells.push(Cell::Real(value));
    }

    pub(super) fn text(&mut self, value: &[u8]) {
        let (start, end) = self.append(value);
        self.cells.push(Cell::Text { start, end });
    }

    pub(super) fn blob(&mut self, value: &[u8]) {
        let (start, end) = self.append(value);
        self.cells.push(Cell::Blob { start, end });
    }

    pub(super) fn finish(self) -> Row {
        Row {
            columns: self.columns,
            cells: self.cells.into_boxed_slice(),
            bytes: self.bytes.into_boxed_slice(),
        }
    }

    fn append(&mut self, value: &[u8]) -> (u32, u32) {
        // SQLite limits a row to 1 GB by default, so positions fit 32 bits.
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        (start, self.bytes.len() as u32)
    }
}

/// A type that a column can be read as.
pub trait FromValue<'a>: Sized {
    /// Converts the value.
    ///
    /// # Errors
    /// What was found instead, for people.
    fn from_value(value: ValueRef<'a>) -> Result<Self, String>;
}

fn unexpected<T>(wanted: &str, value: ValueRef<'_>) -> Result<T, String> {
    let found = match value {
        ValueRef::Null => "NULL",
        ValueRef::Integer(_) => "an integer",
        ValueRef::Real(_) => "a real number",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "bytes",
    };
    Err(format!("wanted {wanted}, found {found}"))
}

impl<'a> FromValue<'a> for ValueRef<'a> {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        Ok(value)
    }
}

impl<'a> FromValue<'a> for i64 {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Integer(value) => Ok(value),
            other => unexpected("an integer", other),
        }
    }
}

macro_rules! narrow_integers {
    ($($type:ty),*) => {
        $(impl<'a> FromValue<'a> for $type {
            fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
                let wide = i64::from_value(value)?;
                wide.try_into()
                    .map_err(|_| format!("{wide} does not fit {}", stringify!($type)))
            }
        })*
    };
}

narrow_integers!(i32, u16, u32, u64, usize);

impl<'a> FromValue<'a> for bool {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Integer(0) => Ok(false),
            ValueRef::Integer(1) => Ok(true),
            other => unexpected("0 or 1", other),
        }
    }
}

impl<'a> FromValue<'a> for f64 {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Real(value) => Ok(value),
            // An aggregate over integers, or a whole number in a REAL expression, arrives as integer.
            ValueRef::Integer(value) => Ok(value as f64),
            other => unexpected("a number", other),
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Text(value) => Ok(value),
            other => unexpected("text", other),
        }
    }
}

impl<'a> FromValue<'a> for String {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Blob(value) => Ok(value),
            other => unexpected("bytes", other),
        }
    }
}

impl<'a> FromValue<'a> for Vec<u8> {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<'a> FromValue<'a> for Uuid {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        let text = <&str>::from_value(value)?;
        Uuid::try_parse(text).map_err(|error| error.to_string())
    }
}

impl<'a> FromValue<'a> for DateTime<Utc> {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        let micros = i64::from_value(value)?;
        DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| format!("{micros} microseconds are out of range"))
    }
}

impl<'a> FromValue<'a> for serde_json::Value {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        let text = <&str>::from_value(value)?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    fn from_value(value: ValueRef<'a>) -> Result<Self, String> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}
