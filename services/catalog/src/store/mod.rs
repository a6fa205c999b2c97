//! The catalog's tables.
//!
//! Reads of products go through [`rows`] (decoding), [`lookup`] (by key), [`list`] and [`count`] (pages and
//! totals); [`save`] is the one place that writes a product with everything derived from it. Lists of
//! values are bound as one argument, so that a statement's text does not depend on how many there are: a
//! JSON array that SQLite's `json_each` unfolds, an array on PostgreSQL.

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
pub mod writes;

use std::future::Future;

use mesh::store::{Dialect, Migration, Row, Store, StoreError, Tx, Value};
use uuid::Uuid;

/// The schema.
pub const MIGRATIONS: &[Migration] = &[Migration::new(
    1,
    "init",
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/postgres/0001_init.sql"),
)];

/// What can run a query: the store's readers, or a transaction that must see its own writes.
pub trait Query: Sync {
    /// The dialect that it speaks.
    fn dialect(&self) -> Dialect;

    /// All rows of a query.
    fn rows(
        &self,
        sql: &str,
        args: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

impl Query for Store {
    fn dialect(&self) -> Dialect {
        self.dialect()
    }

    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

impl Query for Tx {
    fn dialect(&self) -> Dialect {
        self.dialect()
    }

    async fn rows(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.all(sql, args).await
    }
}

/// All rows of a query that may take long and whose answer is remembered for long: a replica that lags behind must
/// not give it.
///
/// # Errors
/// See [`StoreError`].
async fn up_to_date(store: &Store, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, StoreError> {
    match store.dialect() {
        Dialect::Sqlite => store.scan(sql, args).await,
        Dialect::Postgres => store.all(sql, args).await,
    }
}

/// A value that lists are made of.
pub trait Element: serde::Serialize {
    /// The element of PostgreSQL's array, quotes and all.
    fn array_element(&self) -> String;
}

impl Element for i64 {
    fn array_element(&self) -> String {
        self.to_string()
    }
}

impl Element for Uuid {
    fn array_element(&self) -> String {
        self.to_string()
    }
}

impl Element for str {
    fn array_element(&self) -> String {
        format!("\"{}\"", self.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl Element for String {
    fn array_element(&self) -> String {
        self.as_str().array_element()
    }
}

impl<T: Element + ?Sized> Element for &T {
    fn array_element(&self) -> String {
        (**self).array_element()
    }
}

impl<T: Element> Element for Option<T> {
    fn array_element(&self) -> String {
        self.as_ref()
            .map_or_else(|| "NULL".to_owned(), Element::array_element)
    }
}

/// A list of values as one argument.
pub fn list<T: Element>(dialect: Dialect, values: &[T]) -> Value {
    Value::Text(match dialect {
        // Strings, numbers and ids always have a JSON form.
        Dialect::Sqlite => serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned()),
        Dialect::Postgres => {
            let elements: Vec<String> = values.iter().map(Element::array_element).collect();
            format!("{{{}}}", elements.join(","))
        }
    })
}

/// The id that a text writes, in the one form in which ids are given out.
pub fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text)
        .ok()
        .filter(|id| id.to_string() == text)
}

/// A statement under construction from fixed pieces: values are bound, never written into the text.
#[derive(Debug)]
pub struct Statement {
    /// The dialect of the text.
    pub dialect: Dialect,
    /// The text so far.
    pub sql: String,
    /// The arguments so far.
    pub args: Vec<Value>,
}

impl Statement {
    /// A statement without text.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            sql: String::new(),
            args: Vec::new(),
        }
    }

    /// Adds an argument and returns its place holder.
    pub fn bind(&mut self, value: impl mesh::store::IntoValue) -> String {
        self.args.push(value.into_value());
        format!("${}", self.args.len())
    }

    /// Adds texts as one argument and returns the condition that `operand` is one of them.
    pub fn one_of(&mut self, operand: &str, values: &[String]) -> String {
        let place = self.bind(list(self.dialect, values));
        match self.dialect {
            Dialect::Sqlite => format!("{operand} IN (SELECT value FROM json_each({place}))"),
            Dialect::Postgres => format!("{operand} = ANY({place}::text[])"),
        }
    }

    /// Adds text.
    pub fn push(&mut self, piece: &str) -> &mut Self {
        self.sql.push_str(piece);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place_in_a_list() {
        let texts = ["a\"},{b", "back\\slash", "", "NULL", "ü, x"];
        assert_eq!(
            list(Dialect::Postgres, &texts),
            Value::Text(r#"{"a\"},{b","back\\slash","","NULL","ü, x"}"#.to_owned())
        );
        assert_eq!(
            list(Dialect::Sqlite, &texts),
            Value::Text(r#"["a\"},{b","back\\slash","","NULL","ü, x"]"#.to_owned())
        );
    }

    #[test]
    fn an_id_has_one_form() {
        let text = "0191e6a0-1c2d-7000-8000-000000000001";
        assert_eq!(id(text).map(|id| id.to_string()).as_deref(), Some(text));
        assert_eq!(id(&text.to_uppercase()), None);
        assert_eq!(id(&text.replace('-', "")), None);
    }
}
