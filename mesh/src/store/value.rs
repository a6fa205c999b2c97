//! Values bound to statements.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A value for a `$n` parameter. It keeps the type that was given, because PostgreSQL has native types
/// where SQLite stores text and integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// 0 or 1 on SQLite.
    Bool(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Hyphenated lower-case text on SQLite.
    Uuid(Uuid),
    /// Microseconds since the Unix epoch on SQLite.
    Timestamp(DateTime<Utc>),
    /// Text on SQLite.
    Json(serde_json::Value),
}

/// What can be bound to a statement.
pub trait IntoValue {
    /// The value to bind.
    fn into_value(self) -> Value;
}

/// Builds the arguments of a statement: `args![id, 3, "text", Some(now)]`, the first for `$1`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$($crate::store::IntoValue::into_value($value)),*] as ::std::vec::Vec<$crate::store::Value>
    };
}

macro_rules! into_value {
    ($($type:ty => |$value:ident| $body:expr;)*) => {
        $(impl IntoValue for $type {
            fn into_value(self) -> Value {
                let $value = self;
                $body
            }
        })*
    };
}

into_value! {
    Value => |value| value;
    bool => |value| Value::Bool(value);
    i8 => |value| Value::Integer(value.into());
    i16 => |value| Value::Integer(value.into());
    i32 => |value| Value::Integer(value.into());
    i64 => |value| Value::Integer(value);
    u8 => |value| Value::Integer(value.into());
    u16 => |value| Value::Integer(value.into());
    u32 => |value| Value::Integer(value.into());
    f32 => |value| Value::Real(value.into());
    f64 => |value| Value::Real(value);
    &str => |value| Value::Text(value.to_owned());
    String => |value| Value::Text(value);
    std::borrow::Cow<'_, str> => |value| Value::Text(value.into_owned());
    &[u8] => |value| Value::Blob(value.to_vec());
    Vec<u8> => |value| Value::Blob(value);
    bytes::Bytes => |value| Value::Blob(value.into());
    Uuid => |value| Value::Uuid(value);
    DateTime<Utc> => |value| Value::Timestamp(value);
    serde_json::Value => |value| Value::Json(value);
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, IntoValue::into_value)
    }
}

impl<T: IntoValue + Clone> IntoValue for &T {
    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}
