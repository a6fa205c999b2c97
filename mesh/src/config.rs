//! Configuration: defaults, then a file, then the environment, then flags.
//!
//! Each section is a type of the crate that uses it, with defaults and `deny_unknown_fields`, so a
//! misspelt key is an error that names it and not a setting that silently does nothing. Environment
//! variables are `HUB__SECTION__KEY`; a handful have plain names because everybody knows them by
//! those. Secrets print as asterisks.

mod layers;
mod secret;
mod settings;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

pub use secret::Secret;
pub use settings::{HubSettings, MeshSettings, Peers, Profile, RateLimits};

use layers::Layers;

/// The effective configuration of a process. Cheap to clone.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

struct Shared {
    layers: Layers,
    /// Sections that some component declared, with their effective values for printing.
    declared: Mutex<BTreeMap<String, Table>>,
}

/// Where configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, when one is named (`--config`, `HUB_CONFIG`). A named file must exist.
    pub file: Option<PathBuf>,
    /// Environment variables; [`Sources::from_process`] takes the process's.
    pub environment: Vec<(String, String)>,
    /// Overrides from flags: dotted path and value, strongest of all.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The process's environment, with the file that `HUB_CONFIG` names or else `hub.toml` of the
    /// working directory when there is one.
    pub fn from_process() -> Self {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let file = environment
            .iter()
            .find(|(key, value)| key == "HUB_CONFIG" && !value.is_empty())
            .map(|(_, value)| PathBuf::from(value))
            .or_else(|| {
                let default = Path::new("hub.toml");
                default.exists().then(|| default.to_owned())
            });
        Self {
            file,
            environment,
            overrides: Vec::new(),
        }
    }

    /// With a flag's value, for example `("hub.listen", "127.0.0.1:9000")`.
    #[must_use]
    pub fn with_override(mut self, path: &str, value: impl Into<String>) -> Self {
        self.overrides.push((path.to_owned(), value.into()));
        self
    }
}

/// Why a configuration cannot be used. Every message names the key or the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A section is not valid.
    #[error("configuration [{section}]: {message}")]
    Section {
        /// The section.
        section: String,
        /// What is wrong; for an unknown key it names the key.
        message: String,
    },
    /// A key outside all known sections.
    #[error("configuration: unknown {0}")]
    Unknown(String),
}

impl Config {
    /// Reads all layers. Values are checked when their section is asked for; unknown sections by
    /// [`Config::check`].
    ///
    /// # Errors
    /// A file that cannot be read, or keys that do not name a section and a key.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Ok(Self {
            shared: Arc::new(Shared {
                layers: Layers::read(sources)?,
                declared: Mutex::default(),
            }),
        })
    }

    /// The section `name`: its defaults overlaid with what the layers say.
    ///
    /// # Errors
    /// [`ConfigError::Section`], which names an unknown key or a value of the wrong type.
    pub fn section<T>(&self, name: &str) -> Result<T, ConfigError>
    where
        T: DeserializeOwned + Serialize + Default + Any,
    {
        let section: T = self.shared.layers.section(name)?;
        let effective = match Value::try_from(&section) {
            Ok(Value::Table(table)) => table,
            Ok(_) | Err(_) => self.shared.layers.redacted(name),
        };
        self.shared
            .declared
            .lock()
            .insert(name.to_owned(), effective);
        Ok(section)
    }

    /// Whether any layer sets `section.key`.
    pub fn sets(&self, section: &str, key: &str) -> bool {
        self.shared.layers.sets(section, key)
    }

    /// Fails if a layer has a section that no component declared. Call it once everything that the
    /// program may be composed of has declared its sections.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], which names the section or the environment variable.
    pub fn check(&self) -> Result<(), ConfigError> {
        let declared: BTreeSet<String> = self.shared.declared.lock().keys().cloned().collect();
        self.shared.layers.check(&declared)
    }

    /// The effective values of all declared sections as TOML, secrets redacted.
    pub fn effective(&self) -> String {
        let declared = self.shared.declared.lock();
        let all: Table = declared
            .iter()
            .map(|(name, table)| (name.clone(), Value::Table(table.clone())))
            .collect();
        toml::to_string_pretty(&all).unwrap_or_default()
    }
}

impl fmt::Debug for Config {
    /// Without the values: the raw layers hold secrets in the clear.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("declared", &self.shared.declared.lock().keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
