//! The layers, merged: strings from environment and flags over the file's typed values.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ConfigError, Sources};

/// Environment variables with plain names, and the keys that they set.
const PLAIN: &[(&str, &str)] = &[
    ("HUB_DATA_DIR", "hub.data_dir"),
    ("HUB_LISTEN", "hub.listen"),
    ("HUB_PROFILE", "hub.profile"),
    ("DATABASE_URL", "hub.database_url"),
    ("DATABASE_READ_URL", "hub.database_read_url"),
    ("AMQP_URL", "hub.amqp_url"),
    ("REDIS_URL", "hub.redis_url"),
    ("BLOB_URL", "hub.blob_url"),
    ("HUB_NAMESPACE", "hub.namespace"),
];
const PREFIX: &str = "HUB__";

pub(super) struct Layers {
    merged: Table,
    /// Which variable or flag set a dotted path, for messages.
    origins: BTreeMap<String, String>,
}

impl Layers {
    pub(super) fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Self {
            merged: Table::new(),
            origins: BTreeMap::new(),
        };
        if let Some(path) = &sources.file {
            let in_file = |message: String| ConfigError::File {
                path: path.clone(),
                message,
            };
            let text = std::fs::read_to_string(path).map_err(|error| in_file(error.to_string()))?;
            layers.merged = text
                .parse::<Table>()
                .map_err(|error| in_file(error.message().to_owned()))?;
        }
        // Sorted, so that the outcome does not depend on the order of the environment.
        let environment: BTreeMap<&str, &str> = sources
            .environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        for (variable, path) in PLAIN {
            if let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) {
                layers.set(path, value, variable)?;
            }
        }
        for (variable, value) in environment {
            if let Some(rest) = variable.strip_prefix(PREFIX) {
                let path = rest.to_ascii_lowercase().replace("__", ".");
                layers.set(&path, value, variable)?;
            }
        }
        for (path, value) in &sources.overrides {
            layers.set(path, value, &format!("flag for {path}"))?;
        }
        Ok(layers)
    }

    /// Sets a dotted path to a string, or to the TOML that a text in brackets is.
    fn set(&mut self, path: &str, value: &str, origin: &str) -> Result<(), ConfigError> {
        let unknown = || ConfigError::Unknown(format!("key {path} ({origin})"));
        let parsed = if value.starts_with('[') || value.starts_with('{') {
            format!("value = {value}")
                .parse::<Table>()
                .ok()
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(value.to_owned()))
        } else {
            Value::String(value.to_owned())
        };
        let (parents, key) = path.rsplit_once('.').ok_or_else(unknown)?;
        let mut table = &mut self.merged;
        for part in parents.split('.') {
            if part.is_empty() {
                return Err(unknown());
            }
            table = table
                .entry(part)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut()
                .ok_or_else(unknown)?;
        }
        if key.is_empty() {
            return Err(unknown());
        }
        table.insert(key.to_owned(), parsed);
        self.origins.insert(path.to_owned(), origin.to_owned());
        Ok(())
    }

    pub(super) fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        let in_section = |message: String| ConfigError::Section {
            section: name.to_owned(),
            message: self.with_origin(name, message),
        };
        let table = match self.merged.get(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table.clone(),
            Some(_) => return Err(in_section("must be a table".to_owned())),
        };
        // The configuration crate's values convert on the way: "5" from the environment is the number
        // 5 where a number is wanted and the text "5" where a text is.
        T::deserialize(lenient(&Value::Table(table))).map_err(|error| in_section(error.to_string()))
    }

    /// Adds which variable set the key that the message speaks of.
    fn with_origin(&self, section: &str, message: String) -> String {
        let prefix = format!("{section}.");
        self.origins
            .iter()
            .filter_map(|(path, origin)| Some((path.strip_prefix(&prefix)?, origin)))
            .find(|(key, _)| {
                let last = key.rsplit('.').next().unwrap_or(key);
                message.contains(&format!("`{last}`"))
            })
            .map(|(_, origin)| format!("{message} (set by {origin})"))
            .unwrap_or(message)
    }

    pub(super) fn sets(&self, section: &str, key: &str) -> bool {
        self.merged
            .get(section)
            .and_then(Value::as_table)
            .is_some_and(|table| table.contains_key(key))
    }

    /// The keys of a section without their values.
    pub(super) fn redacted(&self, section: &str) -> Table {
        self.merged
            .get(section)
            .and_then(Value::as_table)
            .map(|table| {
                table
                    .keys()
                    .map(|key| (key.clone(), Value::String("(set)".to_owned())))
                    .collect()
            })
            .unwrap_or_default()
    }

    pub(super) fn check(&self, declared: &BTreeSet<String>) -> Result<(), ConfigError> {
        let Some(unknown) = self.merged.keys().find(|key| !declared.contains(*key)) else {
            return Ok(());
        };
        let origin = self
            .origins
            .iter()
            .find(|(path, _)| path.split('.').next() == Some(unknown))
            .map(|(_, origin)| format!(" (set by {origin})"))
            .unwrap_or_default();
        Err(ConfigError::Unknown(format!(
            "section [{unknown}]{origin}; there are {}",
            declared.iter().cloned().collect::<Vec<_>>().join(", ")
        )))
    }
}

fn lenient(value: &Value) -> config::Value {
    let kind = match value {
        Value::String(text) => config::ValueKind::String(text.clone()),
        Value::Integer(number) => config::ValueKind::I64(*number),
        Value::Float(number) => config::ValueKind::Float(*number),
        Value::Boolean(flag) => config::ValueKind::Boolean(*flag),
        Value::Datetime(time) => config::ValueKind::String(time.to_string()),
        Value::Array(values) => config::ValueKind::Array(values.iter().map(lenient).collect()),
        Value::Table(table) => config::ValueKind::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), lenient(value)))
                .collect(),
        ),
    };
    config::Value::new(None, kind)
}
