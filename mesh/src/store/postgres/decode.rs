//! Result rows: columns of PostgreSQL's types become the few kinds of value that a [`Row`] has, so that
//! a service reads rows the same way on either engine.

use std::{error::Error, sync::Arc};

use chrono::{DateTime, Days, NaiveDate};
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::super::{Row, StoreError, row::RowBuilder};

/// From the Unix epoch to PostgreSQL's, 2000-01-01, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// Names of the columns, shared by the rows of a result.
pub(super) fn columns(row: &tokio_postgres::Row) -> Arc<[Box<str>]> {
    row.columns()
        .iter()
        .map(|column| column.name().into())
        .collect()
}

/// Converts one row.
pub(super) fn row(columns: &Arc<[Box<str>]>, row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let mut builder = RowBuilder::new(columns);
    for (position, column) in row.columns().iter().enumerate() {
        let refuse = |message: String| StoreError::Decode {
            column: column.name().to_owned(),
            message,
        };
        let raw: Raw<'_> = row
            .try_get(position)
            .map_err(|error| refuse(error.to_string()))?;
        match raw.0 {
            None => builder.null(),
            Some(bytes) => cell(&mut builder, column.type_(), bytes).map_err(refuse)?,
        }
    }
    Ok(builder.finish())
}

/// The bytes of a column, whatever its type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn cell(builder: &mut RowBuilder, of: &Type, bytes: &[u8]) -> Result<(), String> {
    match *of {
        Type::BOOL => builder.integer(fixed::<1>(bytes)?[0].into()),
        Type::INT2 => builder.integer(i16::from_be_bytes(fixed(bytes)?).into()),
        Type::INT4 => builder.integer(i32::from_be_bytes(fixed(bytes)?).into()),
        Type::OID => builder.integer(u32::from_be_bytes(fixed(bytes)?).into()),
        Type::INT8 | Type::XID8 => builder.integer(i64::from_be_bytes(fixed(bytes)?)),
        Type::FLOAT4 => builder.real(f32::from_be_bytes(fixed(bytes)?).into()),
        Type::FLOAT8 => builder.real(f64::from_be_bytes(fixed(bytes)?)),
        Type::NUMERIC => match numeric(bytes)? {
            Number::Integer(value) => builder.integer(value),
            Number::Real(value) => builder.real(value),
        },
        Type::TIMESTAMPTZ | Type::TIMESTAMP => builder.integer(
            i64::from_be_bytes(fixed(bytes)?)
                .checked_add(EPOCH)
                .ok_or("the time is out of range")?,
        ),
        Type::DATE => builder.text(date(i32::from_be_bytes(fixed(bytes)?))?.as_bytes()),
        Type::UUID => {
            let mut buffer = Uuid::encode_buffer();
            let text: &str = Uuid::from_bytes(fixed(bytes)?)
                .hyphenated()
                .encode_lower(&mut buffer);
            builder.text(text.as_bytes());
        }
        // One byte of version before the text.
        Type::JSONB => builder.text(bytes.get(1..).unwrap_or_default()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => {
            builder.text(bytes);
        }
        Type::BYTEA => builder.blob(bytes),
        Type::VOID => builder.null(),
        _ => {
            return Err(format!(
                "the type {of} is not read; cast it in the statement"
            ));
        }
    }
    Ok(())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes
        .try_into()
        .map_err(|_| format!("{} bytes instead of {N}", bytes.len()))
}

fn date(days: i32) -> Result<String, String> {
    let epoch = DateTime::from_timestamp_micros(EPOCH).map(|time| time.date_naive());
    epoch
        .and_then(|epoch| {
            let step = Days::new(days.unsigned_abs().into());
            if days < 0 {
                epoch.checked_sub_days(step)
            } else {
                epoch.checked_add_days(step)
            }
        })
        .map(|date: NaiveDate| date.to_string())
        .ok_or_else(|| "the date is out of range".to_owned())
}

#[derive(Debug, PartialEq)]
enum Number {
    Integer(i64),
    Real(f64),
}

/// A `numeric`: groups of four decimal digits, the first worth 10000^weight. A whole number that fits is
/// an integer, as a sum of integers is on SQLite.
fn numeric(bytes: &[u8]) -> Result<Number, String> {
    const POSITIVE: u16 = 0x0000;
    const NEGATIVE: u16 = 0x4000;
    let mut words = bytes.chunks_exact(2).map(|word| [word[0], word[1]]);
    let mut next = || words.next().ok_or("the number is cut off");
    let groups = u16::from_be_bytes(next()?);
    let weight = i32::from(i16::from_be_bytes(next()?));
    let sign = u16::from_be_bytes(next()?);
    let scale = u16::from_be_bytes(next()?);
    if !matches!(sign, POSITIVE | NEGATIVE) {
        return Err("the number is not finite".to_owned());
    }
    let mut text = String::from(if sign == NEGATIVE { "-" } else { "" });
    let mut fraction = String::new();
    text.push('0');
    // Leading groups that are left out are zeros behind the point.
    for _ in weight + 1..0 {
        fraction.push_str("0000");
    }
    for position in 0..i32::from(groups) {
        let digits = format!("{:04}", u16::from_be_bytes(next()?));
        if position <= weight {
            text.push_str(&digits);
        } else {
            fraction.push_str(&digits);
        }
    }
    // Trailing groups that are left out are zeros before the point.
    for _ in i32::from(groups)..=weight {
        text.push_str("0000");
    }
    fraction.truncate(scale.into());
    if fraction.bytes().all(|digit| digit == b'0')
        && let Ok(whole) = text.parse()
    {
        return Ok(Number::Integer(whole));
    }
    format!("{text}.{fraction}0")
        .parse()
        .map(Number::Real)
        .map_err(|_| "the number cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((groups.len() as u16).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        bytes
    }

    #[test]
    fn numerics_are_integers_when_they_are_whole() {
        let read = |weight, sign, scale, groups: &[u16]| {
            numeric(&encoded(weight, sign, scale, groups)).unwrap_or(Number::Real(f64::NAN))
        };
        assert_eq!(read(0, 0, 0, &[]), Number::Integer(0));
        assert_eq!(read(0, 0, 0, &[39]), Number::Integer(39));
        assert_eq!(read(1, 0x4000, 0, &[12, 345]), Number::Integer(-120_345));
        assert_eq!(read(2, 0, 0, &[5]), Number::Integer(500_000_000));
        assert_eq!(read(0, 0, 2, &[5]), Number::Integer(5));
        assert_eq!(read(0, 0, 2, &[5, 2500]), Number::Real(5.25));
        assert_eq!(read(-1, 0, 4, &[7]), Number::Real(0.0007));
        assert_eq!(read(-2, 0x4000, 8, &[7]), Number::Real(-0.000_000_07));
        assert_eq!(read(5, 0, 0, &[1]), Number::Real(1e20));
        assert!(numeric(&encoded(0, 0xC000, 0, &[])).is_err());
        assert!(numeric(&[0, 1]).is_err());
    }

    #[test]
    fn dates_are_text() {
        assert_eq!(date(0).as_deref(), Ok("2000-01-01"));
        assert_eq!(date(-1).as_deref(), Ok("1999-12-31"));
        assert_eq!(date(366).as_deref(), Ok("2001-01-01"));
        assert!(date(i32::MAX).is_err());
    }
}
