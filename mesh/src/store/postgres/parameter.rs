//! Parameters on the wire.
//!
//! A parameter is sent as text and its type is left open, so that the server infers it from where it
//! stands: the same `Value::Text` fills a `uuid`, a `text` and an enum column, as SQL literals do. Only
//! bytes go as they are, because their text form is twice as long.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::super::{StoreError, Value};

/// A value as a parameter.
#[derive(Debug)]
pub(super) struct Parameter<'a>(&'a Value);

impl<'a> Parameter<'a> {
    /// Parameters of a statement.
    ///
    /// # Errors
    /// [`StoreError::NulCharacter`] when a text holds the one character that PostgreSQL cannot store.
    pub(super) fn list(values: &'a [Value]) -> Result<Vec<Self>, StoreError> {
        values
            .iter()
            .map(|value| match value {
                Value::Text(text) if text.contains('\0') => Err(StoreError::NulCharacter),
                value => Ok(Self(value)),
            })
            .collect()
    }

    /// The type to declare when the statement is not prepared: open, but for bytes.
    pub(super) fn declared(&self) -> Type {
        match self.0 {
            Value::Blob(_) => Type::BYTEA,
            _ => Type::UNKNOWN,
        }
    }

    fn is_binary(&self, inferred: &Type) -> bool {
        matches!(self.0, Value::Blob(_)) && *inferred == Type::BYTEA
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        inferred: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            // Accepted by boolean and by integer columns.
            Value::Bool(value) => out.put_slice(if *value { b"1" } else { b"0" }),
            Value::Integer(value) => out.put_slice(value.to_string().as_bytes()),
            Value::Real(value) => out.put_slice(value.to_string().as_bytes()),
            Value::Text(value) => out.put_slice(value.as_bytes()),
            Value::Blob(value) if self.is_binary(inferred) => out.put_slice(value),
            Value::Blob(value) => put_hex(value, out),
            Value::Uuid(value) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                let text: &str = value.hyphenated().encode_lower(&mut buffer);
                out.put_slice(text.as_bytes());
            }
            Value::Timestamp(value) => out.put_slice(micros(value).as_bytes()),
            Value::Json(value) => out.put_slice(value.to_string().as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, inferred: &Type) -> Format {
        if self.is_binary(inferred) {
            Format::Binary
        } else {
            Format::Text
        }
    }

    tokio_postgres::types::to_sql_checked!();
}

/// RFC 3339 with whole microseconds, cut and not rounded: a time must not become a later one.
fn micros(time: &DateTime<Utc>) -> String {
    DateTime::from_timestamp_micros(time.timestamp_micros())
        .unwrap_or(*time)
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn put_hex(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 + 2 * bytes.len());
    out.put_slice(b"\\x");
    for byte in bytes {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 0xf)]);
    }
}
