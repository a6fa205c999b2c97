//! JSON Schemas of messages, in the JSON of the house.
//!
//! A message has two schemas, because what is sent and what is answered differ: requests follow the
//! validation rules and admit no unknown fields, replies always have their plain fields. Where a message
//! is used on both sides the request's component is called `…Input`.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{comments::Comments, rules::Rules};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the client.
    Request,
    /// To the client.
    Reply,
}

/// Collects the components that schemas refer to.
pub struct Schemas<'c> {
    comments: &'c Comments,
    /// Component names by message and direction.
    names: BTreeMap<(String, Direction), String>,
    components: BTreeMap<String, Value>,
}

impl<'c> Schemas<'c> {
    /// Schemas for the messages that can be reached from `roots`.
    pub fn new(comments: &'c Comments, roots: &[(MessageDescriptor, Direction)]) -> Self {
        let mut reached = BTreeSet::new();
        for (root, direction) in roots {
            reach(root, *direction, &mut reached);
        }
        let mut simple: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (full, _) in &reached {
            simple.entry(short(full)).or_default().insert(full);
        }
        let names = reached
            .iter()
            .map(|(full, direction)| {
                let unique = simple.get(short(full)).is_none_or(|same| same.len() == 1);
                let mut name = if unique {
                    short(full).to_owned()
                } else {
                    qualified(full)
                };
                let other = (full.clone(), Direction::Reply);
                if *direction == Direction::Request && reached.contains(&other) {
                    name.push_str("Input");
                }
                ((full.clone(), *direction), name)
            })
            .collect();
        Self {
            comments,
            names,
            components: BTreeMap::new(),
        }
    }

    /// The components that have been referred to.
    pub fn into_components(self) -> Map<String, Value> {
        self.components.into_iter().collect()
    }

    /// The schema of a message: a reference, or the form of a well-known type.
    pub fn message(&mut self, message: &MessageDescriptor, direction: Direction) -> Value {
        if let Some(well_known) = well_known(message.full_name()) {
            return well_known;
        }
        let key = (message.full_name().to_owned(), direction);
        let name = self
            .names
            .get(&key)
            .cloned()
            .unwrap_or_else(|| qualified(message.full_name()));
        if !self.components.contains_key(&name) {
            // The place is taken first: messages may hold themselves.
            self.components.insert(name.clone(), Value::Null);
            let schema = self.object(message, direction, &BTreeSet::new());
            self.components.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The schema of a message's fields, without those called `except`.
    pub fn object(
        &mut self,
        message: &MessageDescriptor,
        direction: Direction,
        except: &BTreeSet<&str>,
    ) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            if except.contains(field.name()) {
                continue;
            }
            let needed = match direction {
                Direction::Request => is_needed(&field),
                Direction::Reply => !field.supports_presence(),
            };
            let mut schema = self.field(&field, direction);
            if direction == Direction::Request && !needed {
                schema = nullable(schema);
            }
            properties.insert(field.name().to_owned(), schema);
            if needed {
                required.push(Value::from(field.name()));
            }
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        let about = self.comments.message(message);
        if !about.is_empty() {
            schema.insert("description".into(), about.into());
        }
        schema.insert("properties".into(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if direction == Direction::Request {
            schema.insert("additionalProperties".into(), false.into());
        }
        Value::Object(schema)
    }

    /// The schema of a field with what is written about it.
    pub fn field(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        let rules = Rules::on(field);
        let mut schema = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                return json!({});
            };
            let value = entry.map_entry_value_field();
            json!({"type": "object", "additionalProperties": self.single(&value.kind(), direction, &rules.values())})
        } else if field.is_list() {
            json!({"type": "array", "items": self.single(&field.kind(), direction, &rules.items())})
        } else {
            self.single(&field.kind(), direction, &rules)
        };
        if let Some(schema) = schema.as_object_mut() {
            if direction == Direction::Request && (field.is_list() || field.is_map()) {
                rules.describe(schema);
            }
            let about = self.comments.field(field);
            if !about.is_empty() {
                schema.insert("description".into(), about.into());
            }
        }
        schema
    }

    /// The schema of a value that is no list or map. Replies are not bound by rules on requests.
    fn single(&mut self, kind: &Kind, direction: Direction, rules: &Rules) -> Value {
        let mut schema = match kind {
            Kind::Message(message) => return self.message(message, direction),
            Kind::Enum(descriptor) => return self.enumeration(descriptor, direction, rules),
            kind => scalar(kind),
        };
        if direction == Direction::Request
            && let Some(schema) = schema.as_object_mut()
        {
            rules.describe(schema);
        }
        schema
    }

    fn enumeration(
        &self,
        descriptor: &EnumDescriptor,
        direction: Direction,
        rules: &Rules,
    ) -> Value {
        if descriptor.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        let values: Vec<String> = descriptor
            .values()
            .filter(|value| direction == Direction::Reply || rules.admits(value.number()))
            .map(|value| short_value(descriptor.name(), value.name()))
            .collect();
        json!({"type": "string", "enum": values, "description": self.comments.enumeration(descriptor)})
    }
}

/// In requests `null` stands for a field that is left out.
fn nullable(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    if object.contains_key("$ref") {
        let description = object.remove("description");
        let mut either = json!({"anyOf": [schema, {"type": "null"}]});
        if let (Some(either), Some(description)) = (either.as_object_mut(), description) {
            either.insert("description".into(), description);
        }
        return either;
    }
    if let Some(kind) = object.get("type").filter(|kind| kind.is_string()).cloned() {
        object.insert("type".into(), json!([kind, "null"]));
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    schema
}

/// Whether a request is refused without the field.
pub fn is_needed(field: &FieldDescriptor) -> bool {
    let rules = Rules::on(field);
    if field.containing_oneof().is_some() && !field.supports_presence() {
        return false;
    }
    if field.supports_presence() {
        rules.is_required()
    } else {
        rules.refuses_zero()
    }
}

fn reach(
    message: &MessageDescriptor,
    direction: Direction,
    reached: &mut BTreeSet<(String, Direction)>,
) {
    if well_known(message.full_name()).is_some() {
        return;
    }
    if !message.is_map_entry() && !reached.insert((message.full_name().to_owned(), direction)) {
        return;
    }
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            reach(&inner, direction, reached);
        }
    }
}

/// `Order` of `hub.orders.v1.Order`.
fn short(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}

/// `orders.Order` of `hub.orders.v1.Order`.
fn qualified(full_name: &str) -> String {
    full_name
        .strip_prefix("hub.")
        .unwrap_or(full_name)
        .replace(".v1.", ".")
}

/// `processing` of `ORDER_STATUS_PROCESSING` in `OrderStatus`.
fn short_value(enum_name: &str, value: &str) -> String {
    let mut prefix = String::new();
    for (index, letter) in enum_name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix.push('_');
    value
        .strip_prefix(prefix.as_str())
        .unwrap_or(value)
        .to_ascii_lowercase()
}

/// The largest integer that every JSON reader holds exactly; beyond it 64-bit integers are strings, which
/// no value of this contract needs.
const SAFE: i64 = (1 << 53) - 1;

fn scalar(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Float => json!({"type": "number", "format": "float"}),
        Kind::Double => json!({"type": "number", "format": "double"}),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
        }
        Kind::Uint32 | Kind::Fixed32 => {
            json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX})
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({"type": "integer", "format": "int64", "minimum": -SAFE, "maximum": SAFE})
        }

        Kind::Uint64 | Kind::Fixed64 => {
            json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": SAFE})
        }
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::String | Kind::Message(_) | Kind::Enum(_) => json!({"type": "string"}),
    }
}

/// The JSON forms of the types that have their own.
fn well_known(full_name: &str) -> Option<Value> {
    Some(match full_name {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        "google.protobuf.Duration" => {
            json!({"type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$"})
        }
        "google.protobuf.FieldMask" => json!({"type": "string"}),
        "google.protobuf.Struct" => json!({"type": "object", "additionalProperties": true}),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.ListValue" => json!({"type": "array", "items": {}}),
        "google.protobuf.Empty" => json!({"type": "object", "maxProperties": 0}),
        "google.protobuf.Any" => json!({"type": "object", "required": ["@type"]}),
        "google.protobuf.BoolValue" => json!({"type": ["boolean", "null"]}),
        "google.protobuf.StringValue" | "google.protobuf.BytesValue" => {
            json!({"type": ["string", "null"]})
        }
        "google.protobuf.DoubleValue" | "google.protobuf.FloatValue" => {
            json!({"type": ["number", "null"]})
        }
        "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value" => json!({"type": ["integer", "null"]}),
        "google.api.HttpBody" => json!({}),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn schemas(message: &str, direction: Direction) -> (Value, Map<String, Value>) {
        let pool = contracts::descriptor_pool();
        let comments = Comments::of(pool);
        let message = pool.get_message_by_name(message).unwrap();
        let mut schemas = Schemas::new(&comments, &[(message.clone(), direction)]);
        let reference = schemas.message(&message, direction);
        (reference, schemas.into_components())
    }

    #[test]
    fn a_request_says_what_it_needs() {
        let (reference, components) = schemas("hub.identity.v1.LoginRequest", Direction::Request);
        assert_eq!(reference["$ref"], "#/components/schemas/LoginRequest");
        let login = &components["LoginRequest"];
        assert_eq!(login["required"], json!(["email", "password"]));
        assert_eq!(login["additionalProperties"], false);
        assert_eq!(login["properties"]["email"]["format"], "email");
        assert_eq!(login["properties"]["email"]["type"], "string");
        let (_, components) = schemas("hub.identity.v1.SignUpRequest", Direction::Request);
        let optional = &components["SignUpRequest"]["properties"]["newsletter_opt_in"];
        assert_eq!(optional["type"], json!(["boolean", "null"]));
    }

    #[test]
    fn a_reply_always_has_its_plain_fields() {
        let (_, components) = schemas("hub.identity.v1.Session", Direction::Reply);
        assert_eq!(
            components["Session"]["required"],
            json!(["access_token", "token_type", "expires_in", "refresh_token"])
        );
        assert!(components["Session"]["properties"]["user"]["$ref"].is_string());
        assert!(components.contains_key("SessionUser"));
    }

    #[test]
    fn enum_values_are_short() {
        assert_eq!(
            short_value("OrderStatus", "ORDER_STATUS_PAYMENT_FAILED"),
            "payment_failed"
        );
        assert_eq!(
            short_value("AddressType", "ADDRESS_TYPE_SHIPPING"),
            "shipping"
        );
        assert_eq!(short_value("Odd", "OTHER"), "other");
    }

    #[test]
    fn well_known_types_have_their_own_form() {
        let (_, components) = schemas("hub.identity.v1.User", Direction::Reply);
        assert_eq!(
            components["User"]["properties"]["created_at"]["format"],
            "date-time"
        );
    }
}
