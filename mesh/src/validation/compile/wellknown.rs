//! The rules of fields that hold well-known messages, read from their options.

use chrono::{DateTime, SecondsFormat};
use prost_reflect::{DynamicMessage, Value};

use super::{
    super::{
        RuleError,
        table::{Rule, Rules},
        wellknown::{MaskRules, MomentRules, NANOS, TypeRules},
    },
    ordered::{bracketed, ordered},
    scalars::unless,
    site::Site,
};

/// `TimestampRules` or `DurationRules`; `kind` says which.
pub(super) fn moment(site: &Site, kind: &str, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let mut out = MomentRules::default();
    let show = |value: &i128| match kind {
        "timestamp" => show_timestamp(*value),
        _ => show_duration(*value),
    };
    let ordered = ordered(site, kind, rules, nanoseconds, show, |name, value| {
        match (kind, name, value) {
            ("timestamp", "lt_now", Value::Bool(flag)) => {
                let rule = || Rule::new("timestamp.lt_now", "must be less than now");
                out.not_after_now = flag.then(rule);
            }
            ("timestamp", "gt_now", Value::Bool(flag)) => {
                let rule = || Rule::new("timestamp.gt_now", "must be greater than now");
                out.not_before_now = flag.then(rule);
            }
            ("timestamp", "within", value) => {
                let distance = nanoseconds(value).ok_or_else(|| site.unsupported(name))?;
                let message = format!("must be within {} of now", show_duration(distance));
                out.within = Some((distance, Rule::new("timestamp.within", message)));
            }
            _ => return Err(site.unsupported(name)),
        }
        Ok(())
    })?;
    out.ordered = ordered;
    Ok(unless(out.is_empty(), || Rules::Moment(Box::new(out))))
}

/// A `Timestamp` or `Duration` in options.
fn nanoseconds(value: &Value) -> Option<i128> {
    let message = value.as_message()?;
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    Some(i128::from(seconds) * NANOS + i128::from(nanos))
}

fn show_timestamp(nanoseconds: i128) -> String {
    let seconds = i64::try_from(nanoseconds.div_euclid(NANOS)).ok();
    let nanos = u32::try_from(nanoseconds.rem_euclid(NANOS)).ok();
    seconds
        .zip(nanos)
        .and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos))
        .map_or_else(
            || show_duration(nanoseconds),
            |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        )
}

fn show_duration(nanoseconds: i128) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    let (seconds, nanos) = (
        magnitude / NANOS.unsigned_abs(),
        magnitude % NANOS.unsigned_abs(),
    );
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// `FieldMaskRules`.
pub(super) fn mask(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let mut out = MaskRules::default();
    for (name, value) in site.entries(rules)? {
        match (name.as_str(), &value) {
            ("const", Value::Message(mask)) => {
                let paths = mask.get_field_by_name("paths");
                let paths = paths.ok_or_else(|| site.unsupported(&name))?;
                let paths = site.texts(&name, &paths)?;
                let message = format!("must equal paths {}", bracketed(paths.iter()));
                out.exact = Some((paths, Rule::new("field_mask.const", message)));
            }
            ("in", value) => {
                let paths = site.texts(&name, value)?;
                let message = format!("must only contain paths in {}", bracketed(paths.iter()));
                out.among = Some((paths, Rule::new("field_mask.in", message)));
            }
            ("not_in", value) => {
                let paths = site.texts(&name, value)?;
                let message = format!("must not contain any paths in {}", bracketed(paths.iter()));
                out.except = Some((paths, Rule::new("field_mask.not_in", message)));
            }
            _ => return Err(site.unsupported(&name)),
        }
    }
    Ok(unless(out.is_empty(), || Rules::Mask(Box::new(out))))
}

/// `AnyRules`.
pub(super) fn any(site: &Site, rules: &DynamicMessage) -> Result<Rules, RuleError> {
    let mut out = TypeRules::default();
    for (name, value) in site.entries(rules)? {
        let list = site.texts(&name, &value)?;
        match name.as_str() {
            "in" => {
                let rule = Rule::new("any.in", "type URL must be in the allow list");
                out.among = Some((list, rule));
            }
            "not_in" => {
                let rule = Rule::new("any.not_in", "type URL must not be in the block list");
                out.except = Some((list, rule));
            }
            _ => return Err(site.unsupported(&name)),
        }
    }
    Ok(unless(out.is_empty(), || Rules::Any(Box::new(out))))
}
