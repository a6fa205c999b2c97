//! Dashboards and alerts against the table: a name or a label that nothing records is a panel that stays
//! empty and an alert that never fires.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use regex::Regex;
use serde_json::Value;

use super::{METRICS, MetricKind};

/// Prefixes of what exporters of other programs show.
const EXPORTERS: [&str; 4] = ["cnpg_", "rabbitmq_", "node_", "kube_"];
/// Labels that Prometheus adds to everything.
const SCRAPED: [&str; 2] = ["job", "instance"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A metric in a query with the labels that it is narrowed by.
type Use = (String, BTreeSet<String>);

/// The metrics that a query reads.
fn uses(query: &str) -> Vec<Use> {
    let lists =
        Regex::new(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)").unwrap();
    let ranges = Regex::new(r"\[[^\]]*\]").unwrap();
    let texts = Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap();
    let words = Regex::new(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{([^}]*)\})?").unwrap();
    let query = texts.replace_all(query, "''");
    let query = ranges.replace_all(&query, "");
    let query = lists.replace_all(&query, "");
    words
        .captures_iter(&query)
        .filter(|found| found.get(2).is_none_or(|next| next.as_str() != "("))
        .map(|found| {
            let labels = found.get(3).map_or("", |labels| labels.as_str());
            let labels = labels
                .split(',')
                .filter_map(|matcher| matcher.split(['=', '!']).next())
                .map(|label| label.trim().to_owned())
                .filter(|label| !label.is_empty())
                .collect();
            (found[1].to_owned(), labels)
        })
        .filter(|(word, _)| !["and", "or", "unless", "bool", "offset"].contains(&word.as_str()))
        .collect()
}

/// What is wrong with a query, if anything; `recorded` are the names that rules compute.
fn complaint(query: &str, recorded: &BTreeSet<String>) -> Option<String> {
    for (name, labels) in uses(query) {
        let is_foreign = name == "up" || EXPORTERS.iter().any(|prefix| name.starts_with(prefix));
        if is_foreign || recorded.contains(&name) {
            continue;
        }
        let known = METRICS.iter().find(|metric| match metric.kind {
            MetricKind::Histogram => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| name.strip_suffix(end) == Some(metric.name)),
            MetricKind::Counter | MetricKind::Gauge => name == metric.name,
        });
        let Some(metric) = known else {
            return Some(format!("nothing records {name}: {query}"));
        };
        for label in labels {
            let is_bucket = label == "le" && metric.kind == MetricKind::Histogram;
            if !is_bucket
                && !SCRAPED.contains(&label.as_str())
                && !metric.labels.contains(&label.as_str())
            {
                return Some(format!("{name} has no label {label}: {query}"));
            }
        }
    }
    None
}

#[test]
fn a_query_is_understood() {
    let found = uses(
        "histogram_quantile(0.99, sum by (le, x) (rate(a_seconds_bucket{job=~\"$job\",y!=\"b c\"}[5m]))) > 0.5 and on (z) d:e",
    );
    let labels: BTreeSet<String> = ["job".to_owned(), "y".to_owned()].into();
    assert_eq!(
        found,
        [
            ("a_seconds_bucket".to_owned(), labels),
            ("d:e".to_owned(), BTreeSet::new())
        ]
    );
    let nothing = BTreeSet::new();
    assert_eq!(
        complaint(
            "rate(rpc_duration_seconds_bucket{method=\"a\"}[5m])",
            &nothing
        ),
        None
    );
    assert!(complaint("rpc_duration_seconds", &nothing).is_some());
    assert!(complaint("rpc_breaker_open{method=\"a\"}", &nothing).is_some());
}

#[test]
fn dashboards_show_what_there_is() {
    let folder = repository().join("monitoring/grafana");
    let variables = Regex::new(r"label_values\((\w+)(\{.*\})?, *(\w+)\)").unwrap();
    let mut queries = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let board: Value = serde_json::from_str(&text).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            if panel["type"] == "row" {
                continue;
            }
            let title = panel["title"].as_str().unwrap();
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{title}"
            );
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{title}"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                queries += 1;
                assert_eq!(
                    complaint(query, &BTreeSet::new()),
                    None,
                    "{title} in {}",
                    path.display()
                );
            }
        }
        for variable in board["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"]["query"].as_str() else {
                continue;
            };
            let found = variables.captures(query).unwrap();
            let (name, label) = (&found[1], &found[3]);
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let labels = metric
                .unwrap_or_else(|| panic!("nothing records {name}"))
                .labels;
            assert!(
                labels.contains(&label) || SCRAPED.contains(&label),
                "{query}"
            );
        }
    }
    assert!(queries > 80, "{queries}");
}

/// The rules of the file: what each is called, its query, and the lines below it.
fn rules() -> Vec<BTreeMap<String, String>> {
    let text =
        std::fs::read_to_string(repository().join("monitoring/prometheus/rules.yaml")).unwrap();
    let mut rules: Vec<BTreeMap<String, String>> = Vec::new();
    let mut in_query = false;
    for line in text.lines() {
        let content = line.trim();
        if let Some((kind, name)) = content
            .strip_prefix("- ")
            .and_then(|rest| rest.split_once(": "))
            .filter(|(kind, _)| ["alert", "record"].contains(kind))
        {
            rules.push(BTreeMap::from([(kind.to_owned(), name.to_owned())]));
            in_query = false;
            continue;
        }
        let Some(rule) = rules.last_mut() else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        if content == "expr: |" {
            in_query = true;
        } else if in_query && indent >= 10 {
            let query = rule.entry("expr".to_owned()).or_default();
            query.push_str(content);
            query.push(' ');
        } else if let Some((key, value)) = content.split_once(": ") {
            in_query = false;
            rule.insert(key.to_owned(), value.to_owned());
        }
    }
    rules
}

#[test]
fn alerts_can_fire_and_say_what_to_do() {
    let rules = rules();
    let recorded: BTreeSet<String> = rules
        .iter()
        .filter_map(|rule| rule.get("record").cloned())
        .collect();
    let runbook = std::fs::read_to_string(repository().join("docs/RUNBOOK.md")).ok();
    let mut alerts = BTreeSet::new();
    for rule in &rules {
        assert_eq!(complaint(&rule["expr"], &recorded), None);
        let Some(alert) = rule.get("alert") else {
            continue;
        };
        assert!(alerts.insert(alert), "{alert} is there twice");
        assert!(
            ["{severity: critical}", "{severity: warning}"].contains(&rule["labels"].as_str()),
            "{alert}"
        );
        assert!(
            rule.contains_key("summary") && rule.contains_key("description"),
            "{alert}"
        );
        let (file, anchor) = rule["runbook_url"].split_once('#').unwrap();
        assert_eq!(file, "docs/RUNBOOK.md", "{alert}");
        if let Some(runbook) = &runbook {
            assert!(
                anchors(runbook).contains(anchor),
                "{alert}: the runbook has no {anchor}"
            );
        }
    }
    assert!(alerts.len() > 40, "{}", alerts.len());
}

/// The anchors of a page's headings, and those set by hand.
fn anchors(page: &str) -> BTreeSet<String> {
    let by_hand = Regex::new(r#"<a (?:id|name)="([^"]+)">"#).unwrap();
    let headings = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        });
    headings
        .chain(by_hand.captures_iter(page).map(|found| found[1].to_owned()))
        .collect()
}

#[test]
fn the_table_is_what_the_code_records() {
    let macros = Regex::new(r#"(?:counter|gauge|histogram)!\(\s*"([a-z_]+)""#).unwrap();
    let mut recorded = BTreeSet::new();
    let mut folders = vec![
        repository().join("mesh/src"),
        repository().join("gateway/src"),
        repository().join("services"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                recorded.extend(macros.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }
    let table: BTreeSet<String> = METRICS
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    let missing: Vec<_> = recorded.difference(&table).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let silent: Vec<_> = table.difference(&recorded).collect();
    assert!(silent.is_empty(), "nothing records {silent:?}");
}
