//! The rules of ordered values; a low and a high end become one rule with an id of its own.

use std::fmt::Display;

use prost_reflect::{DynamicMessage, Value};

use super::{
    super::{
        RuleError,
        ordered::{End, Ordered, Range},
        table::Rule,
    },
    site::Site,
};

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
