//! Schema changes: numbered, applied once, never edited afterwards.

use aws_lc_rs::digest;

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

    /// SHA-256 over the statements, in hex. Line endings do not count: a checkout may change them.
    pub(super) fn checksum(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for line in self.sqlite.lines() {
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
