//! Questions that need all occurrences of a field: lists, maps and messages sent in pieces.

use std::collections::HashSet;

use super::{
    table::{Field, List, Map, MessageTable, Shape},
    wellknown,
    wire::{Fields, Malformed, Value},
};

/// A scalar as a key of a set. Equal floats have equal keys except that NaN equals nothing.
#[derive(PartialEq, Eq, Hash)]
enum Distinct<'a> {
    Bits(u64),
    Bytes(&'a [u8]),
}

pub(super) fn is_unique(list: &List, number: u32, pieces: &[&[u8]]) -> Result<bool, Malformed> {
    let Shape::Scalar(scalar) = list.item.shape else {
        return Ok(true);
    };
    let mut seen = HashSet::new();
    for piece in pieces {
        let mut fields = Fields::new(piece);
        while let Some((at, raw)) = fields.next()? {
            if at != number {
                continue;
            }
            let mut elements = scalar.elements(raw);
            while let Some(raw) = elements.next()? {
                let key = match scalar.decode(raw)? {
                    Value::Float(number) if number.is_nan() => continue,
                    // Adding zero turns a negative zero into zero.
                    Value::Float(number) => Distinct::Bits((number + 0.0).to_bits()),
                    Value::Signed(number) => Distinct::Bits(number.cast_unsigned()),
                    Value::Unsigned(number) => Distinct::Bits(number),
                    Value::Bool(flag) => Distinct::Bits(u64::from(flag)),
                    Value::Text(text) => Distinct::Bytes(text.as_bytes()),
                    Value::Bytes(bytes) => Distinct::Bytes(bytes),
                };
                if !seen.insert(key) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// The entries of a map in key order; of several entries with one key the last counts.
pub(super) fn entries<'a>(
    map: &Map,
    number: u32,
    pieces: &[&'a [u8]],
) -> Result<Vec<(Value<'a>, &'a [u8])>, Malformed> {
    let mut entries = Vec::new();
    for piece in pieces {
        let mut fields = Fields::new(piece);
        while let Some((at, raw)) = fields.next()? {
            if at == number {
                let entry = raw.delimited()?;
                entries.push((wellknown::last(&[entry], 1, map.key_type)?, entry));
            }
        }
    }
    // The sort is stable and the later of two neighbours is copied over the earlier before it goes.
    entries.sort_by(|(a, _), (b, _)| key_order(a, b));
    entries.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            *earlier = *later;
        }
        same
    });
    Ok(entries)
}

fn key_order(a: &Value<'_>, b: &Value<'_>) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Signed(a), Value::Signed(b)) => a.cmp(b),
        (Value::Unsigned(a), Value::Unsigned(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        // Keys of one map have one type, and no other type can be a key.
        _ => std::cmp::Ordering::Equal,
    }
}

/// The pieces of a singular message field that occurs more than once. Another member of its oneof in
/// between clears it.
pub(super) fn gather<'a>(
    table: &MessageTable,
    field: &Field,
    pieces: &[&'a [u8]],
) -> Result<Vec<&'a [u8]>, Malformed> {
    let mut merged = Vec::new();
    for piece in pieces {
        let mut fields = Fields::new(piece);
        while let Some((number, raw)) = fields.next()? {
            if number == field.number {
                merged.push(raw.delimited()?);
            } else if field.oneof.is_some() {
                let other = table.numbers.find(number).map(|at| &table.fields[at]);
                if other.is_some_and(|other| other.oneof == field.oneof) {
                    merged.clear();
                }
            }
        }
    }
    Ok(merged)
}
