//! The rules of strings and byte strings.

use prost_reflect::{DynamicMessage, Value};

use super::{
    super::{
        RuleError,
        formats::{Family, Format, Strictness},
        table::{Rule, Rules},
        text::{BytesRules, BytesTest, TextRules, TextTest},
    },
    ordered::bracketed,
    scalars::unless,
    site::Site,
};

pub(super) fn text_rules(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
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
        "host_and_port" => (Format::HostAndPort, "host and port pair"),
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

pub(super) fn bytes_rules(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
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
