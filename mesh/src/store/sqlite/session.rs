//! A connection with its prepared statements.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{CachedStatement, Connection, types::ValueRef as SqliteRef};

use super::super::{Row, StoreError, Value, row::RowBuilder};

/// Remembered column lists at most; more distinct queries than that start over.
const COLUMN_LISTS: usize = 512;

/// A connection and what is remembered about its statements.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    columns: HashMap<Box<str>, Arc<[Box<str>]>>,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            columns: HashMap::new(),
        }
    }

    /// The connection, for what is no statement.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs statements without parameters or results, such as those of a migration.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// Runs a statement that controls the transaction.
    pub(super) fn control(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Whether no transaction is open: also when an error made SQLite roll back by itself.
    pub(super) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(super) fn execute(&self, sql: &str, args: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        if statement.column_count() == 0 {
            return Ok(statement.raw_execute()? as u64);
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        drop(rows);
        drop(statement);
        Ok(self.connection.changes())
    }

    pub(super) fn one(&mut self, sql: &str, args: &[Value]) -> Result<Option<Row>, StoreError> {
        let mut found = None;
        self.query(sql, args, |row, readonly| {
            if found.is_none() {
                found = Some(row);
            }
            // A statement that writes is run to its end, so that its checks at the end take place.
            !readonly
        })?;
        Ok(found)
    }

    pub(super) fn all(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        self.query(sql, args, |row, _| {
            found.push(row);
            true
        })?;
        Ok(found)
    }

    /// Moves the write-ahead log into the file.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?)
    }

    fn query(
        &mut self,
        sql: &str,
        args: &[Value],
        mut visit: impl FnMut(Row, bool) -> bool,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        let readonly = statement.readonly();
        let count = statement.column_count();
        let columns = match self.columns.get(sql) {
            Some(columns) if columns.len() == count => Arc::clone(columns),
            _ => {
                let columns: Arc<[Box<str>]> = statement.column_names().map(Box::from).collect();
                if self.columns.len() >= COLUMN_LISTS {
                    self.columns.clear();
                }
                self.columns.insert(Box::from(sql), Arc::clone(&columns));
                columns
            }
        };
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let mut built = RowBuilder::new(&columns);
            for index in 0..count {
                match row.get_ref(index)? {
                    SqliteRef::Null => built.null(),
                    SqliteRef::Integer(value) => built.integer(value),
                    SqliteRef::Real(value) => built.real(value),
                    SqliteRef::Text(value) => built.text(value),
                    SqliteRef::Blob(value) => built.blob(value),
                }
            }
            if !visit(built.finish(), readonly) {
                break;
            }
        }
        Ok(())
    }
}

/// Binds `args[n - 1]` to `$n`. SQLite takes `$n` for a name and numbers parameters by first appearance,
/// so the position is read from the name.
fn bind(statement: &mut CachedStatement<'_>, args: &[Value]) -> Result<(), StoreError> {
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix(['$', '?']))
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| misuse("parameters are written $1, $2, ..."))?;
        highest = highest.max(number);
        let value = args.get(number - 1).ok_or_else(|| {
            misuse(&format!(
                "${number} has no value, {} were given",
                args.len()
            ))
        })?;
        bind_value(statement, index, value)?;
    }
    if highest < args.len() {
        return Err(misuse(&format!(
            "{} values were given, the statement takes {highest}",
            args.len()
        )));
    }
    Ok(())
}

fn misuse(message: &str) -> StoreError {
    StoreError::Statement {
        message: message.to_owned(),
    }
}

fn bind_value(
    statement: &mut CachedStatement<'_>,
    index: usize,
    value: &Value,
) -> Result<(), StoreError> {
    match value {
        Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
        Value::Bool(value) => statement.raw_bind_parameter(index, *value),
        Value::Integer(value) => statement.raw_bind_parameter(index, *value),
        Value::Real(value) => statement.raw_bind_parameter(index, *value),
        Value::Text(value) => statement.raw_bind_parameter(index, value.as_str()),
        Value::Blob(value) => statement.raw_bind_parameter(index, value.as_slice()),
        Value::Uuid(value) => {
            let mut buffer = uuid::Uuid::encode_buffer();
            let text: &str = value.hyphenated().encode_lower(&mut buffer);
            statement.raw_bind_parameter(index, text)
        }
        Value::Timestamp(value) => statement.raw_bind_parameter(index, value.timestamp_micros()),
        Value::Json(value) => statement.raw_bind_parameter(index, value.to_string()),
    }?;
    Ok(())
}
