//! The rules of one field, read from its options.
//!
//! Reading is strict: every field that is set in a rules message must be one this version knows, or the
//! process does not start. `example` is documentation and skipped.

use std::fmt::Display;

use prost_reflect::{DynamicMessage, Kind, Value};

use super::{
    RuleError, compile_wellknown,
    formats::{Family, Format, Strictness},
    ordered::{End, Ordered, Range},
    pattern,
    table::{Rule, Rules, Shape},
    text::{BytesRules, BytesTest, TextRules, TextTest},
    wire::Scalar,
};

/// Whose rules are being read, for errors: the field and the way into its rules.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) subject: String,
    path: String,
}

impl Site {
    pub(super) fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            path: String::new(),
        }
    }

    pub(super) fn child(&self, name: &str) -> Self {
        Self {
            subject: self.subject.clone(),
            path: self.rule(name),
        }
    }

    fn rule(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            (path, "") => path.to_owned(),
            ("", name) => name.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    pub(super) fn error(&self, rule: &str, reason: &str) -> RuleError {
        RuleError {
            subject: self.subject.clone(),
            rule: self.rule(rule),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn unsupported(&self, rule: &str) -> RuleError {
        self.error(rule, "is not supported")
    }

    fn ill_typed(&self, rule: &str) -> RuleError {
        self.error(rule, "has an unexpected type")
    }

    /// The set fields of a rules message.
    pub(super) fn entries(
        &self,
        rules: &DynamicMessage,
    ) -> Result<Vec<(String, Value)>, RuleError> {
        if let Some((extension, _)) = rules.extensions().next() {
            return Err(self.error(extension.full_name(), "predefined rules are not supported"));
        }
        if let Some(unknown) = rules.unknown_fields().next() {
            return Err(self.error(&format!("({})", unknown.number()), "is not known"));
        }
        Ok(rules
            .fields()
            .filter(|(field, _)| field.name() != "example")
            .map(|(field, value)| (field.name().to_owned(), value.clone()))
            .collect())
    }

    /// The boolean `name` of rules that hold nothing else.
    pub(super) fn flag(&self, rules: &DynamicMessage, name: &str) -> Result<bool, RuleError> {
        let mut flag = false;
        for (entry, value) in self.entries(rules)? {
            match value {
                Value::Bool(value) if entry == name => flag = value,
                _ => return Err(self.unsupported(&entry)),
            }
        }
        Ok(flag)
    }

    /// Reads `FieldRules`.
    pub(super) fn declared(&self, rules: &DynamicMessage) -> Result<Declared, RuleError> {
        const IF_ZERO_VALUE: i32 = 1;
        const ALWAYS: i32 = 3;
        let mut declared = Declared::default();
        for (name, value) in self.entries(rules)? {
            match (name.as_str(), value) {
                ("required", Value::Bool(required)) => declared.required = required,
                ("ignore", Value::EnumNumber(ignore)) => {
                    declared.ignore_stated = true;
                    match ignore {
                        0 => {}
                        IF_ZERO_VALUE => declared.ignore_zero = true,
                        ALWAYS => declared.ignore_always = true,
                        _ => return Err(self.unsupported("ignore")),
                    }
                }
                ("cel" | "cel_expression", _) => {
                    return Err(self.error(&name, "CEL expressions are not supported"));
                }
                (_, Value::Message(rules)) => declared.typed = Some((name, rules)),
                _ => return Err(self.unsupported(&name)),
            }
        }
        Ok(declared)
    }

    /// The type-specific rules, which must be those of `kind`.
    pub(super) fn typed<'d>(
        &self,
        declared: &'d Declared,
        kind: &str,
    ) -> Result<Option<&'d DynamicMessage>, RuleError> {
        match &declared.typed {
            None => Ok(None),
            Some((name, rules)) if name == kind => Ok(Some(rules)),
            Some((name, _)) => Err(self.error(name, "does not fit the type of the field")),
        }
    }

    fn text(&self, name: &str, value: &Value) -> Result<Box<str>, RuleError> {
        let text = value.as_str().ok_or_else(|| self.ill_typed(name))?;
        Ok(text.into())
    }

    fn bytes(&self, name: &str, value: &Value) -> Result<Box<[u8]>, RuleError> {
        let bytes = value.as_bytes().ok_or_else(|| self.ill_typed(name))?;
        Ok(bytes.to_vec().into())
    }

    fn number(&self, name: &str, value: &Value) -> Result<u64, RuleError> {
        value.as_u64().ok_or_else(|| self.ill_typed(name))
    }

    fn list<T>(
        &self,
        name: &str,
        value: &Value,
        read: impl Fn(&Value) -> Result<T, RuleError>,
    ) -> Result<Box<[T]>, RuleError> {
        let list = value.as_list().ok_or_else(|| self.ill_typed(name))?;
        list.iter().map(read).collect()
    }

    pub(super) fn texts(&self, name: &str, value: &Value) -> Result<Box<[Box<str>]>, RuleError> {
        self.list(name, value, |value| self.text(name, value))
    }
}

/// `FieldRules` of a field, an item, a key or a value.
#[derive(Debug, Default, Clone)]
pub(super) struct Declared {
    pub(super) required: bool,
    pub(super) ignore_stated: bool,
    pub(super) ignore_zero: bool,
    pub(super) ignore_always: bool,
    typed: Option<(String, DynamicMessage)>,
}

/// `RepeatedRules`.
#[derive(Default)]
pub(super) struct RepeatedRules {
    pub(super) min: Option<(u64, Rule)>,
    pub(super) max: Option<(u64, Rule)>,
    pub(super) unique: Option<Rule>,
    pub(super) items: Declared,
}

/// `MapRules`.
#[derive(Default)]
pub(super) struct MapRules {
    pub(super) min: Option<(u64, Rule)>,
    pub(super) max: Option<(u64, Rule)>,
    pub(super) keys: Declared,
    pub(super) values: Declared,
}

pub(super) fn repeated(
    site: &Site,
    rules: Option<&DynamicMessage>,
) -> Result<RepeatedRules, RuleError> {
    let mut out = RepeatedRules::default();
    for (name, value) in rules.map_or(Ok(Vec::new()), |rules| site.entries(rules))? {
        match (name.as_str(), value) {
            ("min_items", Value::U64(n)) => {
                let message = format!("must contain at least {n} item(s)");
                out.min = Some((n, Rule::new("repeated.min_items", message)));
            }
            ("max_items", Value::U64(n)) => {
                let message = format!("must contain no more than {n} item(s)");
                out.max = Some((n, Rule::new("repeated.max_items", message)));
            }
            ("unique", Value::Bool(unique)) => {
                let message = "repeated value must contain unique items";
                out.unique = unique.then(|| Rule::new("repeated.unique", message));
            }
            ("items", Value::Message(rules)) => out.items = site.child("items").declared(&rules)?,
            _ => return Err(site.unsupported(&name)),
        }
    }
    Ok(out)
}

pub(super) fn map(site: &Site, rules: Option<&DynamicMessage>) -> Result<MapRules, RuleError> {
    let mut out = MapRules::default();
    for (name, value) in rules.map_or(Ok(Vec::new()), |rules| site.entries(rules))? {
        match (name.as_str(), value) {
            ("min_pairs", Value::U64(n)) => {
                let message = format!("map must be at least {n} entries");
                out.min = Some((n, Rule::new("map.min_pairs", message)));
            }
            ("max_pairs", Value::U64(n)) => {
                let message = format!("map must be at most {n} entries");
                out.max = Some((n, Rule::new("map.max_pairs", message)));
            }
            ("keys", Value::Message(rules)) => out.keys = site.child("keys").declared(&rules)?,
            ("values", Value::Message(rules)) => {
                out.values = site.child("values").declared(&rules)?
            }
            _ => return Err(site.unsupported(&name)),
        }
    }
    Ok(out)
}

/// Compiles the type-specific rules of a single value.
pub(super) fn rules(
    site: &Site,
    kind: &Kind,
    shape: Shape,
    declared: &Declared,
) -> Result<Rules, RuleError> {
    let expected = match (shape, kind) {
        (Shape::Scalar(scalar) | Shape::Wrapper(scalar), _) => name_of(scalar),
        (Shape::Moment, Kind::Message(message)) if message.name() == "Duration" => "duration",
        (Shape::Moment, _) => "timestamp",
        (Shape::Mask, _) => "field_mask",
        (Shape::Any, _) => "any",
        (Shape::Nested(_) | Shape::Opaque, _) => "",
    };
    let Some(rules) = site.typed(declared, expected)? else {
        return Ok(Rules::None);
    };
    let site = site.child(expected);
    match shape {
        Shape::Scalar(scalar) | Shape::Wrapper(scalar) => scalar_rules(&site, kind, scalar, rules),
        Shape::Moment => compile_wellknown::moment(&site, expected, rules),
        Shape::Mask => compile_wellknown::mask(&site, rules),
        Shape::Any => compile_wellknown::any(&site, rules),
        Shape::Nested(_) | Shape::Opaque => Ok(Rules::None),
    }
}

/// The name of a scalar's rules in `FieldRules`, which also begins their ids.
fn name_of(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "double",
        Scalar::Float => "float",
        Scalar::Int32 => "int32",
        Scalar::Int64 => "int64",
        Scalar::Uint32 => "uint32",
        Scalar::Uint64 => "uint64",
        Scalar::Sint32 => "sint32",
        Scalar::Sint64 => "sint64",
        Scalar::Fixed32 => "fixed32",
        Scalar::Fixed64 => "fixed64",
        Scalar::Sfixed32 => "sfixed32",
        Scalar::Sfixed64 => "sfixed64",
        Scalar::Bool => "bool",
        Scalar::String => "string",
        Scalar::Bytes => "bytes",
        Scalar::Enum => "enum",
    }
}

fn scalar_rules(
    site: &Site,
    kind: &Kind,
    scalar: Scalar,
    rules: &DynamicMessage,
) -> Result<Rules, RuleError> {
    let name = name_of(scalar);
    match scalar {
        Scalar::String => text_rules(site, rules),
        Scalar::Bytes => bytes_rules(site, rules),
        Scalar::Bool => bool_rules(site, rules),
        Scalar::Double | Scalar::Float => {
            let read = |value: &Value| value.as_f64().or(value.as_f32().map(f64::from));
            let mut finite = None;
            let mut ordered = ordered(
                site,
                name,
                rules,
                read,
                f64::to_string,
                |extra, value| match (extra, value) {
                    ("finite", Value::Bool(wanted)) => {
                        let id = format!("{name}.finite");
                        finite = wanted.then(|| Rule::new(id, "must be finite"));
                        Ok(())
                    }
                    _ => Err(site.unsupported(extra)),
                },
            )?;
            ordered.finite = finite;
            Ok(unless(ordered.is_empty(), || {
                Rules::Float(Box::new(ordered))
            }))
        }
        Scalar::Uint32 | Scalar::Uint64 | Scalar::Fixed32 | Scalar::Fixed64 => {
            let read = |value: &Value| value.as_u64().or(value.as_u32().map(u64::from));
            let refuse = |extra: &str, _: &Value| Err(site.unsupported(extra));
            let ordered = ordered(site, name, rules, read, u64::to_string, refuse)?;
            Ok(unless(ordered.is_empty(), || {
                Rules::Unsigned(Box::new(ordered))
            }))
        }
        _ => {
            let read = |value: &Value| value.as_i64().or(value.as_i32().map(i64::from));
            let mut defined = None;
            let mut ordered = ordered(
                site,
                name,
                rules,
                read,
                i64::to_string,
                |extra, value| match (extra, value, kind) {
                    ("defined_only", Value::Bool(wanted), Kind::Enum(kind)) => {
                        let mut numbers: Vec<i64> = kind
                            .values()
                            .map(|value| i64::from(value.number()))
                            .collect();
                        numbers.sort_unstable();
                        let rule = Rule::new(
                            "enum.defined_only",
                            "must be one of the defined enum values",
                        );
                        defined = wanted.then(|| (numbers.into(), rule));
                        Ok(())
                    }
                    _ => Err(site.unsupported(extra)),
                },
            )?;
            ordered.defined = defined;
            Ok(unless(ordered.is_empty(), || {
                Rules::Signed(Box::new(ordered))
            }))
        }
    }
}

pub(super) fn unless(empty: bool, rules: impl FnOnce() -> Rules) -> Rules {
    if empty { Rules::None } else { rules() }
}

/// Compiles `const`, the range, `in` and `not_in`; hands every other rule to `extra`.
pub(super) fn ordered<T: PartialOrd + Copy>(
    site: &Site,
    kind: &str,
    rules: &DynamicMessage,
    read: impl Fn(&Value) -> Option<T>,
    show: impl Fn(&T) -> String,
    mut extra: impl FnMut(&str, &Value) -> Result<(), RuleError>,
) -> Result<Ordered<T>, RuleError> {
    let mut out = Ordered::default();
    let (mut low, mut high) = (None, None);
    let rule = |name: &str, message: String| Rule::new(format!("{kind}.{name}"), message);
    let one = |name: &str, value: &Value| read(value).ok_or_else(|| site.ill_typed(name));
    let many = |name: &str, value: &Value| site.list(name, value, |value| one(name, value));
    let all = |list: &[T]| bracketed(list.iter().map(&show));
    for (name, value) in site.entries(rules)? {
        match name.as_str() {
            "const" => {
                let wanted = one(&name, &value)?;
                let message = format!("must equal {}", show(&wanted));
                out.exact = Some((wanted, rule(&name, message)));
            }
            "gt" => low = Some(End::Open(one(&name, &value)?)),
            "gte" => low = Some(End::Closed(one(&name, &value)?)),
            "lt" => high = Some(End::Open(one(&name, &value)?)),
            "lte" => high = Some(End::Closed(one(&name, &value)?)),
            "in" => {
                let list = many(&name, &value)?;
                let message = format!("must be in list {}", all(&list));
                out.among = Some((list, rule(&name, message)));
            }
            "not_in" => {
                let list = many(&name, &value)?;
                let message = format!("must not be in list {}", all(&list));
                out.except = Some((list, rule(&name, message)));
            }
            other => extra(other, &value)?,
        }
    }
    out.range = range(site, kind, low, high, show)?;
    Ok(out)
}

/// Joins the two ends of a range and names the rule that results, as protovalidate does.
fn range<T: PartialOrd + Copy>(
    site: &Site,
    kind: &str,
    low: Option<End<T>>,
    high: Option<End<T>>,
    show: impl Fn(&T) -> String,
) -> Result<Option<Range<T>>, RuleError> {
    let above = |end: End<T>| match end {
        End::Open(bound) => (bound, "gt", format!("greater than {}", show(&bound))),
        End::Closed(bound) => (
            bound,
            "gte",
            format!("greater than or equal to {}", show(&bound)),
        ),
    };
    let below = |end: End<T>| match end {
        End::Open(bound) => (bound, "lt", format!("less than {}", show(&bound))),
        End::Closed(bound) => (
            bound,
            "lte",
            format!("less than or equal to {}", show(&bound)),
        ),
    };
    let mut outside = false;
    let (id, message) = match (low.map(above), high.map(below)) {
        (None, None) => return Ok(None),
        (Some((_, id, text)), None) | (None, Some((_, id, text))) => {
            (format!("{kind}.{id}"), format!("must be {text}"))
        }
        (Some((low, low_id, low_text)), Some((high, high_id, high_text))) => {
            let order = high.partial_cmp(&low);
            outside = order
                .ok_or_else(|| site.error(low_id, "is not a number"))?
                .is_lt();
            let (suffix, word) = if outside {
                ("_exclusive", "or")
            } else {
                ("", "and")
            };
            (
                format!("{kind}.{low_id}_{high_id}{suffix}"),
                format!("must be {low_text} {word} {high_text}"),
            )
        }
    };
    Ok(Some(Range {
        low,
        high,
        outside,
        rule: Rule::new(id, message),
    }))
}

pub(super) fn bracketed<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn bool_rules(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let mut out = Rules::None;
    for (name, value) in site.entries(rules)? {
        match (name.as_str(), value) {
            ("const", Value::Bool(wanted)) => {
                out = Rules::Bool(
                    wanted,
                    Rule::new("bool.const", format!("must equal {wanted}")),
                );
            }
            _ => return Err(site.unsupported(&name)),
        }
    }
    Ok(out)
}

fn text_rules(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let entries = site.entries(rules)?;
    let strict = entries
        .iter()
        .find(|(name, _)| name == "strict")
        .is_none_or(|(_, value)| value.as_bool() != Some(false));
    let mut tests = Vec::new();
    for (name, value) in &entries {
        let name = name.as_str();
        if name == "strict" {
            continue;
        }
        if name == "well_known_regex" {
            tests.extend(header(site, value, strict)?);
            continue;
        }
        if let Some((format, what)) = format_of(name) {
            if site.flag_value(name, value)? {
                tests.push(format_test(name, format, what));
            }
            continue;
        }
        let number = || site.number(name, value);
        let text = || site.text(name, value);
        let (test, message) = match name {
            "const" => (
                TextTest::Exactly(text()?),
                format!("must equal `{}`", text()?),
            ),
            "len" => (
                TextTest::Length(number()?),
                format!("must be {} characters", number()?),
            ),
            "min_len" => (
                TextTest::MinLength(number()?),
                format!("must be at least {} characters", number()?),
            ),
            "max_len" => (
                TextTest::MaxLength(number()?),
                format!("must be at most {} characters", number()?),
            ),
            "len_bytes" => (
                TextTest::LengthBytes(number()?),
                format!("must be {} bytes", number()?),
            ),
            "min_bytes" => (
                TextTest::MinBytes(number()?),
                format!("must be at least {} bytes", number()?),
            ),
            "max_bytes" => (
                TextTest::MaxBytes(number()?),
                format!("must be at most {} bytes", number()?),
            ),
            "pattern" => (
                TextTest::Pattern(Box::new(site.regex(name, &text()?)?)),
                format!("does not match regex pattern `{}`", text()?),
            ),
            "prefix" => (
                TextTest::Prefix(text()?),
                format!("does not have prefix `{}`", text()?),
            ),
            "suffix" => (
                TextTest::Suffix(text()?),
                format!("does not have suffix `{}`", text()?),
            ),
            "contains" => (
                TextTest::Contains(text()?),
                format!("does not contain substring `{}`", text()?),
            ),
            "not_contains" => (
                TextTest::Lacks(text()?),
                format!("contains substring `{}`", text()?),
            ),
            "in" => {
                let list = site.texts(name, value)?;
                let message = format!("must be in list {}", bracketed(list.iter()));
                (TextTest::Among(list), message)
            }
            "not_in" => {
                let list = site.texts(name, value)?;
                let message = format!("must not be in list {}", bracketed(list.iter()));
                (TextTest::Except(list), message)
            }
            _ => return Err(site.unsupported(name)),
        };
        tests.push((test, Rule::new(format!("string.{name}"), message)));
    }
    let rules: TextRules = tests.into();
    Ok(unless(rules.is_empty(), || Rules::Text(rules)))
}

impl Site {
    fn flag_value(&self, name: &str, value: &Value) -> Result<bool, RuleError> {
        value.as_bool().ok_or_else(|| self.ill_typed(name))
    }

    fn regex(&self, name: &str, text: &str) -> Result<regex::Regex, RuleError> {
        pattern::compile(text).map_err(|reason| self.error(name, &reason))
    }
}

/// A format rule by its name in `StringRules`, and what its messages call it.
fn format_of(name: &str) -> Option<(Format, &'static str)> {
    Some(match name {
        "email" => (Format::Email, "email address"),
        "hostname" => (Format::Hostname, "hostname"),
        "ip" => (Format::Ip(Family::Any), "IP address"),
        "ipv4" => (Format::Ip(Family::V4), "IPv4 address"),
        "ipv6" => (Format::Ip(Family::V6), "IPv6 address"),
        "uri" => (Format::Uri, "URI"),
        "uri_ref" => (Format::UriReference, "URI Reference"),
        "address" => (Format::Address, "hostname, or ip address"),
        "uuid" => (Format::Uuid, "UUID"),
        "tuuid" => (Format::TrimmedUuid, "trimmed UUID"),
        "ip_with_prefixlen" => (Format::Network(Family::Any), "IP prefix"),
        "ipv4_with_prefixlen" => (
            Format::Network(Family::V4),
            "IPv4 address with prefix length",
        ),
        "ipv6_with_prefixlen" => (
            Format::Network(Family::V6),
            "IPv6 address with prefix length",
        ),
        "ip_prefix" => (Format::Prefix(Family::Any), "IP prefix"),
        "ipv4_prefix" => (Format::Prefix(Family::V4), "IPv4 prefix"),
        "ipv6_prefix" => (Format::Prefix(Family::V6), "IPv6 prefix"),
        "host_and_port" => (
            Format::HostAndPort,
            "host (hostname or IP address) and port pair",
        ),
        "ulid" => (Format::Ulid, "ULID"),
        "protobuf_fqn" => (Format::ProtobufName, "fully-qualified Protobuf name"),
        "protobuf_dot_fqn" => (
            Format::ProtobufDotName,
            "fully-qualified Protobuf name with a leading dot",
        ),
        _ => return None,
    })
}

fn format_test(name: &str, format: Format, what: &str) -> (TextTest, Rule) {
    let rule = Rule::new(format!("string.{name}"), format!("must be a valid {what}"));
    // The empty string is a valid reference; every other format tells empty from wrong.
    let when_empty = (format != Format::UriReference).then(|| {
        Rule::new(
            format!("string.{name}_empty"),
            format!("value is empty, which is not a valid {what}"),
        )
    });
    (TextTest::Format(format, when_empty), rule)
}

fn header(site: &Site, value: &Value, strict: bool) -> Result<Option<(TextTest, Rule)>, RuleError> {
    let strictness = if strict {
        Strictness::Strict
    } else {
        Strictness::Loose
    };
    let id = "string.well_known_regex.header_name";
    match value.as_enum_number() {
        Some(0) => Ok(None),
        Some(1) => {
            let when_empty = Rule::new(
                format!("{id}_empty"),
                "value is empty, which is not a valid HTTP header name",
            );
            let test = TextTest::Format(Format::HeaderName(strictness), Some(when_empty));
            Ok(Some((
                test,
                Rule::new(id, "must be a valid HTTP header name"),
            )))
        }
        Some(2) => {
            let rule = Rule::new(
                "string.well_known_regex.header_value",
                "must be a valid HTTP header value",
            );
            let test = TextTest::Format(Format::HeaderValue(strictness), None);
            Ok(Some((test, rule)))
        }
        _ => Err(site.unsupported("well_known_regex")),
    }
}

fn bytes_rules(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let mut tests = Vec::new();
    for (name, value) in &site.entries(rules)? {
        let name = name.as_str();
        let sizes: Option<(&'static [usize], &str)> = match name {
            "ip" => Some((&[4, 16], "IP address")),
            "ipv4" => Some((&[4], "IPv4 address")),
            "ipv6" => Some((&[16], "IPv6 address")),
            "uuid" => Some((&[16], "UUID")),
            _ => None,
        };
        if let Some((sizes, what)) = sizes {
            if site.flag_value(name, value)? {
                let when_empty = Rule::new(
                    format!("bytes.{name}_empty"),
                    format!("value is empty, which is not a valid {what}"),
                );
                let rule = Rule::new(format!("bytes.{name}"), format!("must be a valid {what}"));
                tests.push((BytesTest::Sized(sizes, when_empty), rule));
            }
            continue;
        }
        let number = || site.number(name, value);
        let bytes = || site.bytes(name, value);
        let list = || site.list(name, value, |value| site.bytes(name, value));
        let (test, message) = match name {
            "const" => (
                BytesTest::Exactly(bytes()?),
                format!("must be {}", hex(&bytes()?)),
            ),
            "len" => (
                BytesTest::Length(number()?),
                format!("must be {} bytes", number()?),
            ),
            "min_len" => (
                BytesTest::MinLength(number()?),
                format!("must be at least {} bytes", number()?),
            ),
            "max_len" => (
                BytesTest::MaxLength(number()?),
                format!("must be at most {} bytes", number()?),
            ),
            "pattern" => {
                let text = site.text(name, value)?;
                (
                    BytesTest::Pattern(Box::new(site.regex(name, &text)?)),
                    format!("must match regex pattern `{text}`"),
                )
            }
            "prefix" => (
                BytesTest::Prefix(bytes()?),
                format!("does not have prefix {}", hex(&bytes()?)),
            ),
            "suffix" => (
                BytesTest::Suffix(bytes()?),
                format!("does not have suffix {}", hex(&bytes()?)),
            ),
            "contains" => (
                BytesTest::Contains(bytes()?),
                format!("does not contain {}", hex(&bytes()?)),
            ),
            "in" => {
                let message = bracketed(list()?.iter().map(|bytes| hex(bytes)));
                (
                    BytesTest::Among(list()?),
                    format!("must be in list {message}"),
                )
            }
            "not_in" => {
                let message = bracketed(list()?.iter().map(|bytes| hex(bytes)));
                (
                    BytesTest::Except(list()?),
                    format!("must not be in list {message}"),
                )
            }
            _ => return Err(site.unsupported(name)),
        };
        tests.push((test, Rule::new(format!("bytes.{name}"), message)));
    }
    let rules: BytesRules = tests.into();
    Ok(unless(rules.is_empty(), || Rules::Bytes(rules)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
