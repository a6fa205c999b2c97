//! Schema changes: numbered, applied once, never edited afterwards.

use std::collections::BTreeMap;

use aws_lc_rs::digest;

use super::{Dialect, StoreError};

/// One step of a schema. Versions start at 1 and grow; an applied migration must never change, which a
/// recorded checksum enforces. Expand first, contract in a later release, so that the program before
/// can run on the schema after.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Position in the order of migrations.
    pub version: u32,
    /// Short name, for people.
    pub name: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
}

impl Migration {
    /// A migration with the same effect on either engine.
    pub const fn new(
        version: u32,
        name: &'static str,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Self {
        Self {
            version,
            name,
            sqlite,
            postgres,
        }
    }

    /// A migration whose statements mean the same to both engines.
    pub const fn alike(version: u32, name: &'static str, sql: &'static str) -> Self {
        Self::new(version, name, sql, sql)
    }

    /// The statements for an engine.
    pub(super) const fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }

    /// SHA-256 over the statements for an engine, in hex. Line endings do not count: a checkout may change
    /// them.
    pub(super) fn checksum(&self, dialect: Dialect) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for line in self.text(dialect).lines() {
            context.update(line.as_bytes());
            context.update(b"\n");
        }
        context
            .finish()
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Why migrations are not applied: the one at fault and what is wrong with it.
#[derive(Debug)]
pub(super) struct Refusal {
    version: u32,
    name: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(migration: &Migration, message: impl Into<String>) -> Self {
        Self {
            version: migration.version,
            name: migration.name,
            message: message.into(),
        }
    }

    /// The error of a store.
    pub(super) fn of(self, store: &str) -> StoreError {
        StoreError::Migration {
            store: store.to_owned(),
            version: self.version,
            name: self.name.to_owned(),
            message: self.message,
        }
    }
}

/// The migrations that are missing, given the checksums of those that were applied. All are looked at
/// before any is applied.
pub(super) fn pending(
    migrations: &'static [Migration],
    applied: &BTreeMap<u32, String>,
    dialect: Dialect,
) -> Result<Vec<&'static Migration>, Refusal> {
    let newest = applied.keys().next_back().copied().unwrap_or(0);
    let mut previous = 0;
    let mut missing = Vec::new();
    for migration in migrations {
        if migration.version <= previous {
            return Err(Refusal::new(
                migration,
                format!("does not follow version {previous}"),
            ));
        }
        previous = migration.version;
        match applied.get(&migration.version) {
            Some(recorded) if *recorded == migration.checksum(dialect) => {}
            Some(_) => {
                return Err(Refusal::new(
                    migration,
                    "was changed after it had been applied; restore it and add a new one",
                ));
            }
            None if migration.version < newest => {
                return Err(Refusal::new(
                    migration,
                    format!("is missing although version {newest} has been applied"),
                ));
            }
            None => missing.push(migration),
        }
    }
    Ok(missing)
}
