//! Enum values by number and by name.

use prost_reflect::EnumDescriptor;

use crate::names::NameTable;
use crate::options::{Enums, JsonStyle};

/// One enum.
#[derive(Debug)]
pub(crate) struct EnumTable {
    /// Number and printed JSON, sorted by number.
    printed: Box<[(i32, Box<[u8]>)]>,
    /// Numbers by lower-case full and short name.
    numbers: NameTable<i32>,
    /// `google.protobuf.NullValue`, whose only value is JSON `null`.
    pub(crate) is_null: bool,
}

impl EnumTable {
    pub(crate) fn new(descriptor: &EnumDescriptor, style: &JsonStyle) -> Self {
        let is_null = descriptor.full_name() == "google.protobuf.NullValue";
        // Values in the order of declaration, so that of aliases the first one is printed.
        let values: Vec<Value> = descriptor
            .values()
            .map(|value| Value {
                number: value.number(),
                full: value.name().to_owned(),
                short: short_name(descriptor.name(), value.name()),
            })
            .collect();
        // A short name that two numbers share would not read back; both then keep the full one.
        let ambiguous = |value: &Value| {
            values
                .iter()
                .any(|other| other.number != value.number && other.short == value.short)
        };
        let mut printed: Vec<(i32, Box<[u8]>)> = Vec::with_capacity(values.len());
        for value in &values {
            let name = match style.enums {
                Enums::Short if !ambiguous(value) => &value.short,
                _ => &value.full,
            };
            let text = if is_null {
                "null".to_owned()
            } else {
                format!("\"{name}\"")
            };
            if !printed.iter().any(|(number, _)| *number == value.number) {
                printed.push((value.number, text.into_bytes().into_boxed_slice()));
            }
        }
        printed.sort_by_key(|(number, _)| *number);
        let full = values
            .iter()
            .map(|value| (value.full.to_ascii_lowercase(), value.number));
        let short = values
            .iter()
            .filter(|value| !ambiguous(value))
            .map(|value| (value.short.clone(), value.number));
        Self {
            printed: printed.into_boxed_slice(),
            numbers: NameTable::new(
                full.chain(short)
                    .map(|(name, number)| (name.into_bytes(), number)),
            ),
            is_null,
        }
    }

    /// The JSON of a number; `None` when the enum has no such value.
    #[inline]
    pub(crate) fn json(&self, number: i32) -> Option<&[u8]> {
        // Most enums count from 0 without a gap.
        if let Some((here, text)) = self.printed.get(number as usize)
            && *here == number
        {
            return Some(text);
        }
        let index = self
            .printed
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        Some(&self.printed[index].1)
    }

    /// The values, as they are printed, for an error message.
    pub(crate) fn choices(&self) -> String {
        let names: Vec<_> = self
            .printed
            .iter()
            .map(|(_, json)| String::from_utf8_lossy(json))
            .collect();
        names.join(", ")
    }

    /// The number of a full or short name, in any case.
    pub(crate) fn number(&self, name: &[u8]) -> Option<i32> {
        self.numbers.get_ignoring_case(name)
    }
}

struct Value {
    number: i32,
    full: String,
    short: String,
}

/// The value's name in lower case, without the enum's name in front of it.
///
/// Underscores are ignored while the prefix is compared, so that it does not matter how the enum's
/// name would be split into words.
fn short_name(enum_name: &str, value_name: &str) -> String {
    let mut rest = value_name;
    let mut prefix = enum_name.bytes().filter(|byte| *byte != b'_');
    let short = loop {
        let Some(expected) = prefix.next() else {
            break rest.strip_prefix('_').filter(|short| !short.is_empty());
        };
        rest = rest.trim_start_matches('_');
        match rest.as_bytes().first() {
            Some(byte) if byte.eq_ignore_ascii_case(&expected) => rest = &rest[1..],
            _ => break None,
        }
    };
    short.unwrap_or(value_name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_the_prefix_however_it_is_split() {
        for (enum_name, value, short) in [
            ("OrderStatus", "ORDER_STATUS_PROCESSING", "processing"),
            (
                "OrderStatus",
                "ORDER_STATUS_PAYMENT_FAILED",
                "payment_failed",
            ),
            ("OrderStatus", "ORDER_STATUS", "order_status"),
            ("OrderStatus", "ORDER_STATUS_", "order_status_"),
            ("OrderStatus", "ORDER_STATUSES", "order_statuses"),
            ("OrderStatus", "SHIPPED", "shipped"),
            ("HTTPMethod", "HTTP_METHOD_GET", "get"),
            ("OAuth2Kind", "OAUTH2_KIND_CODE", "code"),
            ("OAuth2Kind", "O_AUTH2_KIND_CODE", "code"),
            ("Auth", "AUTH_2FA", "2fa"),
        ] {
            assert_eq!(short_name(enum_name, value), short, "{enum_name} {value}");
        }
    }
}
