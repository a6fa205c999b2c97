//! From descriptors to tables.
//!
//! Every message of the pool gets a draft; then the messages that have rules somewhere below are found
//! (types may be recursive, so this runs to a fixed point), and everything else is pruned away.

mod collections;
mod ordered;
mod prune;
mod scalars;
mod site;
mod text;
mod wellknown;

use std::collections::HashMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    Value,
};

use self::{
    prune::{Draft, DraftChoice, DraftOneof, active},
    site::{Declared, Site},
};
use super::{
    RuleError,
    table::{Content, Element, Field, List, Map, Presence, Rule, Rules, Shape, Tables},
    wire::Scalar,
};

/// Compiles all rules of `pool`.
pub(super) fn tables(pool: &DescriptorPool) -> Result<Tables, RuleError> {
    let options = Options::of(pool);
    let descriptors: Vec<_> = pool
        .all_messages()
        .filter(|message| !message.is_map_entry())
        .collect();
    let mut compiler = Compiler {
        options,
        index: descriptors
            .iter()
            .enumerate()
            .map(|(at, message)| (message.full_name().to_owned(), at))
            .collect(),
        needs_clock: None,
    };
    let drafts = descriptors
        .iter()
        .map(|message| compiler.message(message))
        .collect::<Result<Vec<_>, _>>()?;
    let active = active(&drafts);

    let mut places = vec![None; drafts.len()];
    let kept = places.iter_mut().zip(&active);
    let kept = kept.filter_map(|(place, active)| active.then_some(place));
    for (at, place) in kept.enumerate() {
        *place = Some(at);
    }
    let tables = drafts
        .into_iter()
        .zip(&active)
        .filter(|(_, active)| **active)
        .map(|(draft, _)| draft.finish(&places))
        .collect();
    let messages: HashMap<Box<str>, Option<usize>> = descriptors
        .iter()
        .zip(&places)
        .map(|(message, place)| (message.full_name().into(), *place))
        .collect();
    let methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let entry = messages.get(method.input().full_name()).copied().flatten();
            (path.into(), entry)
        })
        .collect();
    Ok(Tables {
        messages,
        methods,
        tables,
        needs_clock: compiler.needs_clock,
    })
}

/// The extensions that carry rules. A pool without them has no rules.
struct Options {
    field: Option<ExtensionDescriptor>,
    message: Option<ExtensionDescriptor>,
    oneof: Option<ExtensionDescriptor>,
}

impl Options {
    fn of(pool: &DescriptorPool) -> Self {
        let find = |name| pool.get_extension_by_name(name);
        Self {
            field: find("buf.validate.field"),
            message: find("buf.validate.message"),
            oneof: find("buf.validate.oneof"),
        }
    }
}

fn read(
    options: &DynamicMessage,
    extension: Option<&ExtensionDescriptor>,
) -> Option<DynamicMessage> {
    let extension = extension.filter(|extension| options.has_extension(extension))?;
    options.get_extension(extension).as_message().cloned()
}

struct Compiler {
    options: Options,
    index: HashMap<String, usize>,
    needs_clock: Option<String>,
}

impl Compiler {
    fn message(&mut self, message: &MessageDescriptor) -> Result<Draft, RuleError> {
        let choices = self.choices(message)?;
        let mut oneofs = Vec::new();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let site = Site::new(oneof.full_name());
            let required = match read(&oneof.options(), self.options.oneof.as_ref()) {
                Some(rules) => site.flag(&rules, "required")?,
                None => false,
            };
            oneofs.push(DraftOneof {
                numbers: oneof.fields().map(|field| field.number()).collect(),
                required: required.then(|| {
                    let rule = Rule::new("required", "exactly one field is required in oneof");
                    (oneof.name().into(), rule)
                }),
            });
        }
        let mut fields = Vec::new();
        for field in message.fields() {
            let chosen = choices
                .iter()
                .any(|choice| choice.numbers.contains(&field.number()));
            let oneof = oneofs
                .iter()
                .position(|oneof: &DraftOneof| oneof.numbers.contains(&field.number()));
            fields.push(self.field(&field, oneof, chosen)?);
        }
        Ok(Draft {
            fields,
            oneofs,
            choices,
        })
    }

    /// The message-level oneof rules.
    fn choices(&self, message: &MessageDescriptor) -> Result<Vec<DraftChoice>, RuleError> {
        let site = Site::new(message.full_name());
        let Some(rules) = read(&message.options(), self.options.message.as_ref()) else {
            return Ok(Vec::new());
        };
        let mut choices = Vec::new();
        for (name, value) in site.entries(&rules)? {
            if name != "oneof" {
                return Err(site.unsupported(&name));
            }
            for rule in value.as_list().unwrap_or_default() {
                let rule = rule.as_message().ok_or_else(|| site.unsupported(&name))?;
                choices.push(choice(message, &site.child("oneof"), rule)?);
            }
        }
        Ok(choices)
    }

    fn field(
        &mut self,
        field: &FieldDescriptor,
        oneof: Option<usize>,
        chosen: bool,
    ) -> Result<Field, RuleError> {
        let site = Site::new(field.full_name());
        if field.is_group() {
            return Err(site.error("", "fields with group encoding are not supported"));
        }
        let rules = read(&field.options(), self.options.field.as_ref());
        let declared = match &rules {
            Some(rules) => site.declared(rules)?,
            None => Declared::default(),
        };
        let mut compiled = Field {
            number: field.number(),
            name: field.name().into(),
            presence: if field.supports_presence() {
                Presence::Explicit
            } else {
                Presence::Implicit
            },
            oneof,
            required: (declared.required && !declared.ignore_always)
                .then(|| Rule::new("required", "value is required")),
            ignore_zero: declared.ignore_zero || (chosen && !declared.ignore_stated),
            content: self.content(field, &site, &declared)?,
        };
        if declared.ignore_always {
            compiled.content.silence();
        }
        Ok(compiled)
    }

    fn content(
        &mut self,
        field: &FieldDescriptor,
        site: &Site,
        declared: &Declared,
    ) -> Result<Content, RuleError> {
        let entry = field.kind();
        match (&entry, field.is_map(), field.is_list()) {
            (Kind::Message(entry), true, _) => {
                let rules = site.typed(declared, "map")?;
                let rules = collections::map(&site.child("map"), rules)?;
                let [key, value] = [entry.map_entry_key_field(), entry.map_entry_value_field()];
                let key_site = site.child("map.keys");
                let value_site = site.child("map.values");
                let key_type = scalar(&key.kind()).ok_or_else(|| site.unsupported("map"))?;
                Ok(Content::Map(Box::new(Map {
                    min: rules.min,
                    max: rules.max,
                    key_type,
                    key: self.element(&key.kind(), &key_site, &rules.keys)?,
                    value: self.element(&value.kind(), &value_site, &rules.values)?,
                })))
            }
            (kind, _, true) => {
                let rules = site.typed(declared, "repeated")?;
                let rules = collections::repeated(&site.child("repeated"), rules)?;
                if rules.unique.is_some() && scalar(kind).is_none() {
                    return Err(site.error("repeated.unique", "items are messages"));
                }
                Ok(Content::List(Box::new(List {
                    min: rules.min,
                    max: rules.max,
                    unique: rules.unique,
                    item: self.element(kind, &site.child("repeated.items"), &rules.items)?,
                })))
            }
            (kind, ..) => {
                // On a field, unlike on an item, it is the field that knows whether it is zero.
                let mut declared = declared.clone();
                declared.ignore_zero = false;
                Ok(Content::One(self.element(kind, site, &declared)?))
            }
        }
    }

    fn element(
        &mut self,
        kind: &Kind,
        site: &Site,
        declared: &Declared,
    ) -> Result<Element, RuleError> {
        let shape = match (kind, scalar(kind)) {
            (_, Some(scalar)) => Shape::Scalar(scalar),
            (Kind::Message(message), None) => self.shape(message),
            (_, None) => Shape::Opaque,
        };
        let mut element = Element {
            shape,
            rules: scalars::rules(site, kind, shape, declared)?,
            ignore_zero: declared.ignore_zero,
        };
        if declared.ignore_always {
            element.silence();
        }
        if element.ignore_zero && scalar(kind).is_none() {
            // Telling an empty message from one with zeros in it takes more than its wire form.
            return Err(site.error("ignore", "IGNORE_IF_ZERO_VALUE needs scalar items"));
        }
        if let Rules::Moment(rules) = &element.rules
            && rules.reads_clock()
        {
            self.needs_clock.get_or_insert_with(|| site.subject.clone());
        }
        Ok(element)
    }

    fn shape(&self, message: &MessageDescriptor) -> Shape {
        match message.full_name() {
            "google.protobuf.Timestamp" | "google.protobuf.Duration" => Shape::Moment,
            "google.protobuf.FieldMask" => Shape::Mask,
            "google.protobuf.Any" => Shape::Any,
            "google.protobuf.DoubleValue" => Shape::Wrapper(Scalar::Double),
            "google.protobuf.FloatValue" => Shape::Wrapper(Scalar::Float),
            "google.protobuf.Int64Value" => Shape::Wrapper(Scalar::Int64),
            "google.protobuf.UInt64Value" => Shape::Wrapper(Scalar::Uint64),
            "google.protobuf.Int32Value" => Shape::Wrapper(Scalar::Int32),
            "google.protobuf.UInt32Value" => Shape::Wrapper(Scalar::Uint32),
            "google.protobuf.BoolValue" => Shape::Wrapper(Scalar::Bool),
            "google.protobuf.StringValue" => Shape::Wrapper(Scalar::String),
            "google.protobuf.BytesValue" => Shape::Wrapper(Scalar::Bytes),
            name => match self.index.get(name) {
                Some(index) => Shape::Nested(*index),
                None => Shape::Opaque,
            },
        }
    }
}

fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Enum(_) => Scalar::Enum,
        Kind::Message(_) => return None,
    })
}

fn choice(
    message: &MessageDescriptor,
    site: &Site,
    rule: &DynamicMessage,
) -> Result<DraftChoice, RuleError> {
    let mut numbers = Vec::new();
    let mut names = Vec::new();
    let mut required = false;
    for (name, value) in site.entries(rule)? {
        match (name.as_str(), value) {
            ("required", Value::Bool(flag)) => required = flag,
            ("fields", Value::List(fields)) => {
                for field in fields {
                    let name = field.as_str().unwrap_or_default().to_owned();
                    let Some(field) = message.get_field_by_name(&name) else {
                        return Err(site.error("fields", &format!("no field {name:?}")));
                    };
                    if numbers.contains(&field.number()) {
                        return Err(site.error("fields", &format!("{name:?} stands twice")));
                    }
                    numbers.push(field.number());
                    names.push(name);
                }
            }
            (name, _) => return Err(site.unsupported(name)),
        }
    }
    if numbers.is_empty() {
        return Err(site.error("fields", "names no field"));
    }
    let names = names.join(", ");
    Ok(DraftChoice {
        numbers,
        at_most_one: Rule::new("message.oneof", format!("only one of {names} can be set")),
        at_least_one: required
            .then(|| Rule::new("message.oneof", format!("one of {names} must be set"))),
    })
}
