//! The rules of `buf.validate` as JSON Schema says them.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value as Proto};
use serde_json::{Map, Value, json};

/// The rules on one field or element.
pub struct Rules {
    rules: Option<DynamicMessage>,
}

impl Rules {
    /// What is declared on `field`.
    pub fn on(field: &FieldDescriptor) -> Self {
        let rules = field
            .parent_pool()
            .get_extension_by_name("buf.validate.field")
            .and_then(|extension| {
                let options = field.options();
                if !options.has_extension(&extension) {
                    return None;
                }
                match options.get_extension(&extension).as_ref() {
                    Proto::Message(rules) => Some(rules.clone()),
                    _ => None,
                }
            });
        Self { rules }
    }

    /// The rules on the elements of a list.
    pub fn items(&self) -> Self {
        self.nested("repeated", "items")
    }

    /// The rules on the values of a map.
    pub fn values(&self) -> Self {
        self.nested("map", "values")
    }

    fn nested(&self, of: &str, part: &str) -> Self {
        let rules = self.of(of).and_then(|rules| message(&rules, part));
        Self { rules }
    }

    fn of(&self, kind: &str) -> Option<DynamicMessage> {
        message(self.rules.as_ref()?, kind)
    }

    /// Whether the field must be there.
    pub fn is_required(&self) -> bool {
        self.rules
            .as_ref()
            .and_then(|rules| rules.get_field_by_name("required"))
            .is_some_and(|required| required.as_bool() == Some(true))
    }

    /// Whether a value that is left out counts as good because it is empty.
    fn ignores_empty(&self) -> bool {
        self.rules
            .as_ref()
            .and_then(|rules| rules.get_field_by_name("ignore"))
            .is_some_and(|ignore| ignore.as_enum_number().unwrap_or(0) != 0)
    }

    /// Whether leaving out a field without presence breaks its own rules: it is checked as its zero.
    pub fn refuses_zero(&self) -> bool {
        if self.is_required() {
            return true;
        }
        if self.ignores_empty() {
            return false;
        }
        if let Some(rules) = self.of("string") {
            return refuses_empty_text(&rules);
        }
        if let Some(rules) = self.of("repeated") {
            return number(&rules, "min_items").is_some_and(|least| least > 0.0);
        }
        if let Some(rules) = self.of("map") {
            return number(&rules, "min_pairs").is_some_and(|least| least > 0.0);
        }
        if let Some(rules) = self.of("enum") {
            return excludes_zero(&rules);
        }
        self.number_rules().is_some_and(|rules| {
            number(&rules, "gt").is_some_and(|bound| bound >= 0.0)
                || number(&rules, "gte").is_some_and(|bound| bound > 0.0)
                || number(&rules, "lt").is_some_and(|bound| bound <= 0.0)
                || excludes_zero(&rules)
        })
    }

    /// Adds what the rules say to the schema of the field.
    pub fn describe(&self, schema: &mut Map<String, Value>) {
        if let Some(rules) = self.of("string") {
            describe_text(&rules, schema);
        }
        if let Some(rules) = self.of("repeated") {
            copy(&rules, "min_items", schema, "minItems");
            copy(&rules, "max_items", schema, "maxItems");
            if rules
                .get_field_by_name("unique")
                .is_some_and(|unique| unique.as_bool() == Some(true))
            {
                schema.insert("uniqueItems".into(), true.into());
            }
        }
        if let Some(rules) = self.of("map") {
            copy(&rules, "min_pairs", schema, "minProperties");
            copy(&rules, "max_pairs", schema, "maxProperties");
        }
        if let Some(rules) = self.number_rules() {
            copy(&rules, "gt", schema, "exclusiveMinimum");
            copy(&rules, "gte", schema, "minimum");
            copy(&rules, "lt", schema, "exclusiveMaximum");
            copy(&rules, "lte", schema, "maximum");
            let admitted: Vec<Value> = numbers(&rules, "in").into_iter().map(plain).collect();
            if !admitted.is_empty() {
                schema.insert("enum".into(), admitted.into());
            }
        }
    }

    /// Whether the enum value `value` is admitted.
    pub fn admits(&self, value: i32) -> bool {
        let Some(rules) = self.of("enum") else {
            return true;
        };
        let value = f64::from(value);
        let admitted = numbers(&rules, "in");
        (admitted.is_empty() || admitted.contains(&value))
            && !numbers(&rules, "not_in").contains(&value)
    }

    fn number_rules(&self) -> Option<DynamicMessage> {
        const KINDS: [&str; 12] = [
            "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
            "sfixed32", "sfixed64", "float", "double",
        ];
        KINDS.iter().find_map(|kind| self.of(kind))
    }
}

fn message(of: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !of.has_field_by_name(name) {
        return None;
    }
    match of.get_field_by_name(name)?.as_ref() {
        Proto::Message(message) => Some(message.clone()),
        _ => None,
    }
}

fn number(rules: &DynamicMessage, name: &str) -> Option<f64> {
    rules.descriptor().get_field_by_name(name)?;
    if !rules.has_field_by_name(name) {
        return None;
    }
    as_number(rules.get_field_by_name(name)?.as_ref())
}

fn numbers(rules: &DynamicMessage, name: &str) -> Vec<f64> {
    match rules.get_field_by_name(name).as_deref() {
        Some(Proto::List(values)) => values.iter().filter_map(as_number).collect(),
        _ => Vec::new(),
    }
}

fn texts(rules: &DynamicMessage, name: &str) -> Vec<String> {
    match rules.get_field_by_name(name).as_deref() {
        Some(Proto::List(values)) => values
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

fn text(rules: &DynamicMessage, name: &str) -> Option<String> {
    if !rules.has_field_by_name(name) {
        return None;
    }
    rules.get_field_by_name(name)?.as_str().map(str::to_owned)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bounds in the contract are far below 2^53"
)]
fn as_number(value: &Proto) -> Option<f64> {
    Some(match value {
        Proto::I32(value) | Proto::EnumNumber(value) => f64::from(*value),
        Proto::U32(value) => f64::from(*value),
        Proto::F32(value) => f64::from(*value),
        Proto::F64(value) => *value,
        Proto::I64(value) => *value as f64,
        Proto::U64(value) => *value as f64,
        _ => return None,
    })
}

/// Whole numbers without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the fraction is zero")]
fn plain(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

fn copy(rules: &DynamicMessage, from: &str, schema: &mut Map<String, Value>, to: &str) {
    if let Some(value) = number(rules, from) {
        schema.insert(to.to_owned(), plain(value));
    }
}

fn excludes_zero(rules: &DynamicMessage) -> bool {
    let admitted = numbers(rules, "in");
    (!admitted.is_empty() && !admitted.contains(&0.0)) || numbers(rules, "not_in").contains(&0.0)
}

const FORMATS: [(&str, &str); 12] = [
    ("email", "email"),
    ("uuid", "uuid"),
    ("uri", "uri"),
    ("uri_ref", "uri-reference"),
    ("hostname", "hostname"),
    ("ip", "ip"),
    ("ipv4", "ipv4"),
    ("ipv6", "ipv6"),
    ("address", "hostname"),
    ("tuuid", "uuid"),
    ("host_and_port", "host-and-port"),
    ("ulid", "ulid"),
];

fn format(rules: &DynamicMessage) -> Option<&'static str> {
    FORMATS
        .iter()
        .find(|(rule, _)| {
            rules.has_field_by_name(rule)
                && rules
                    .get_field_by_name(rule)
                    .is_some_and(|on| on.as_bool() == Some(true))
        })
        .map(|(_, format)| *format)
}

fn refuses_empty_text(rules: &DynamicMessage) -> bool {
    let admitted = texts(rules, "in");
    number(rules, "min_len").is_some_and(|least| least > 0.0)
        || number(rules, "len").is_some_and(|length| length > 0.0)
        || number(rules, "min_bytes").is_some_and(|least| least > 0.0)
        || text(rules, "const").is_some_and(|only| !only.is_empty())
        || text(rules, "prefix").is_some_and(|prefix| !prefix.is_empty())
        || (!admitted.is_empty() && !admitted.iter().any(String::is_empty))
        || format(rules).is_some()
        || text(rules, "pattern")
            .and_then(|pattern| regex::Regex::new(&pattern).ok())
            .is_some_and(|pattern| !pattern.is_match(""))
}

fn describe_text(rules: &DynamicMessage, schema: &mut Map<String, Value>) {
    copy(rules, "min_len", schema, "minLength");
    copy(rules, "max_len", schema, "maxLength");
    copy(rules, "len", schema, "minLength");
    copy(rules, "len", schema, "maxLength");
    if let Some(pattern) = text(rules, "pattern") {
        schema.insert("pattern".into(), pattern.into());
    }
    if let Some(only) = text(rules, "const") {
        schema.insert("const".into(), only.into());
    }
    if let Some(format) = format(rules) {
        schema.insert("format".into(), format.into());
    }
    let admitted = texts(rules, "in");
    if !admitted.is_empty() {
        schema.insert("enum".into(), admitted.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn field(message: &str, name: &str) -> FieldDescriptor {
        contracts::descriptor_pool()
            .get_message_by_name(message)
            .unwrap()
            .get_field_by_name(name)
            .unwrap()
    }

    fn described(message: &str, name: &str) -> Value {
        let mut schema = Map::new();
        Rules::on(&field(message, name)).describe(&mut schema);
        Value::Object(schema)
    }

    #[test]
    fn rules_become_keywords() {
        assert_eq!(
            described("hub.identity.v1.LoginRequest", "email"),
            json!({"format": "email", "maxLength": 254})
        );
        assert_eq!(
            described("hub.identity.v1.LoginRequest", "password"),
            json!({"minLength": 1, "maxLength": 200})
        );
        assert_eq!(
            described("hub.identity.v1.ImportUser", "role"),
            json!({"enum": ["customer", "staff", "admin"]})
        );
    }

    #[test]
    fn a_field_that_must_not_be_empty_must_be_there() {
        assert!(Rules::on(&field("hub.identity.v1.LoginRequest", "email")).refuses_zero());
        assert!(
            Rules::on(&field(
                "hub.identity.v1.CreateAddressRequest",
                "postal_code"
            ))
            .refuses_zero()
        );
        assert!(!Rules::on(&field("hub.identity.v1.CreateAddressRequest", "phone")).refuses_zero());
        assert!(!Rules::on(&field("hub.identity.v1.CreateAddressRequest", "line2")).refuses_zero());
    }
}
