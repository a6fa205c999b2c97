//! The rules of repeated fields and maps.

use prost_reflect::{DynamicMessage, Value};

use super::{
    super::{RuleError, table::Rule},
    site::{Declared, Site},
};

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
