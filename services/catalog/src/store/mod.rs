//! The catalog's tables.
//!
//! Reads and writes of products go through [`rows`] (decoding), [`lookup`] (by key), [`list`] and
//! [`count`] (pages and totals) and [`save`] (the one place that writes a product with everything
//! derived from it). Lists of values are bound as one JSON array and unfolded by `json_each`, so that a
//! statement's text does not depend on how many there are; PostgreSQL's `jsonb_array_elements` stands in
//! its place there.

pub mod categories;
pub mod count;
pub mod counters;
pub mod list;
pub mod lookup;
pub mod popularity;
pub mod purchasable;
pub mod rows;
pub mod save;
pub mod stock;
pub mod words;

use std::future::Future;

use mesh::store::{Migration, Row, Store, StoreError, Tx, Value};

/// The schema.
pub const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "init",
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/postgres/0001_init.sql"),
)];

/// What can run a query: the store's readers, or a transaction that must see its own writes.
pub trait Query: Sync {
    /// All rows of a query.
    fn rows(
        &self,
        sql: &str,
        args: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

impl Query for Store {
    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

impl Query for Tx {
    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

/// A list of values as one argument for `json_each`.
pub fn json_list<T: serde::Serialize>(values: &[T]) -> Value {
    // Strings and numbers always have a JSON form.
    Value::Text(serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned()))
}

/// A statement under construction from fixed pieces: values are bound, never written into the text.
#[derive(Debug, Default)]
pub struct Statement {
    /// The text so far.
    pub sql: String,
    /// The arguments so far.
    pub args: Vec<Value>,
}

impl Statement {
    /// Adds an argument and returns its place holder.
    pub fn bind(&mut self, value: impl mesh::store::IntoValue) -> String {
        self.args.push(value.into_value());
        format!("${}", self.args.len())
    }

    /// Adds a list as one argument and returns a subquery of its values.
    pub fn bind_list<T: serde::Serialize>(&mut self, values: &[T]) -> String {
        let place = self.bind(json_list(values));
        format!("(SELECT value FROM json_each({place}))")
    }

    /// Adds text.
    pub fn push(&mut self, piece: &str) -> &mut Self {
        self.sql.push_str(piece);
        self
    }
}
