//! The rules of a single value, by its type.

use prost_reflect::{DynamicMessage, Kind, Value};

use super::{
    super::{
        RuleError,
        table::{Rule, Rules, Shape},
        wire::Scalar,
    },
    ordered::ordered,
    site::{Declared, Site},
    text, wellknown,
};

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
        Shape::Moment => wellknown::moment(&site, expected, rules),
        Shape::Mask => wellknown::mask(&site, rules),
        Shape::Any => wellknown::any(&site, rules),
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
        Scalar::String => text::text_rules(site, rules),
        Scalar::Bytes => text::bytes_rules(site, rules),
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
                            "value must be one of the defined enum values",
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
