//! What can go wrong in a store, in terms that callers can act on.

use std::path::PathBuf;

use crate::error::{Failure, Reason};

/// An error of the store. Cloneable, because all closures that shared a failed commit get it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row with the same unique key exists.
    #[error("a row with the same {constraint} exists")]
    Unique {
        /// The columns (`orders.cart_id, orders.cart_version`), the index, or both: what the engine named.
        constraint: String,
    },
    /// A row that is referred to does not exist, or one that is referred to would go away.
    #[error("a foreign key is violated")]
    ForeignKey,
    /// A CHECK constraint does not hold.
    #[error("the check {constraint} does not hold")]
    Check {
        /// Name or text of the constraint.
        constraint: String,
    },
    /// A column that must have a value has none.
    #[error("{column} must have a value")]
    NotNull {
        /// The column, with its table.
        column: String,
    },
    /// A column does not hold what was asked for.
    #[error("column {column} cannot be decoded: {message}")]
    Decode {
        /// Name or index of the column.
        column: String,
        /// What was found instead.
        message: String,
    },
    /// The store cannot serve now: disk full, I/O error, locked by another process, overloaded. The
    /// same call may succeed later.
    #[error("the store is unavailable: {message}")]
    Unavailable {
        /// What the engine said.
        message: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A write closure awaited something other than its own statements.
    #[error("a write closure awaited something other than its own statements")]
    AwaitedElsewhere,
    /// A [`Tx`](super::Tx) was used after its closure had ended.
    #[error("the transaction is over")]
    TransactionOver,
    /// A write closure panicked; its changes were undone.
    #[error("a write closure panicked: {message}")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
    /// The database could not be opened.
    #[error("cannot open {}: {message}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A migration failed or the recorded ones do not match the program's.
    #[error("migration {version} ({name}) of store {store}: {message}")]
    Migration {
        /// Name of the store.
        store: String,
        /// Version of the migration.
        version: u32,
        /// Name of the migration.
        name: String,
        /// Why.
        message: String,
    },
    /// PostgreSQL cannot be used as it is configured, or not now.
    #[error("cannot use PostgreSQL at {server}: {message}")]
    Connect {
        /// Host, port and database.
        server: String,
        /// Why.
        message: String,
    },
    /// The connection was lost while the transaction was committed, and what became of it could not be
    /// found out: it may or may not have happened.
    #[error("the connection was lost during a commit, and nobody knows whether it happened")]
    OutcomeUnknown,
    /// A text stands where the database wants a UUID and is none, so it names nothing.
    #[error("a text that is no UUID was given for one")]
    NotAnId,
    /// A text holds a character that the database cannot store.
    #[error("text must not contain NUL")]
    NulCharacter,
    /// The statement itself is wrong: a defect of the program.
    #[error("the statement failed: {message}")]
    Statement {
        /// What the engine said.
        message: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed when tried again later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Closed)
    }

    /// Whether a unique key is violated that covers `column` (`"orders.cart_id"`), or the index of that
    /// name.
    pub fn is_unique_on(&self, column: &str) -> bool {
        match self {
            Self::Unique { constraint } => constraint.split(", ").any(|part| part == column),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let rusqlite::Error::SqliteFailure(code, message) = &error else {
            return Self::Statement {
                message: error.to_string(),
            };
        };
        let text = message.clone().unwrap_or_else(|| code.to_string());
        // The engine's text ends in what was violated: "UNIQUE constraint failed: t.a, t.b".
        let subject = || {
            text.split_once("failed: ")
                .map_or(text.as_str(), |(_, subject)| subject)
                .to_owned()
        };
        match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => {
                let subject = subject();
                let constraint = subject
                    .strip_prefix("index '")
                    .and_then(|rest| rest.strip_suffix('\''))
                    .map(str::to_owned)
                    .unwrap_or(subject);
                return Self::Unique { constraint };
            }
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return Self::ForeignKey,
            ffi::SQLITE_CONSTRAINT_CHECK => {
                return Self::Check {
                    constraint: subject(),
                };
            }
            ffi::SQLITE_CONSTRAINT_NOTNULL => return Self::NotNull { column: subject() },
            _ => {}
        }
        match code.code {
            ffi::ErrorCode::DatabaseBusy
            | ffi::ErrorCode::DatabaseLocked
            | ffi::ErrorCode::OutOfMemory
            | ffi::ErrorCode::ReadOnly
            | ffi::ErrorCode::SystemIoFailure
            | ffi::ErrorCode::DiskFull
            | ffi::ErrorCode::CannotOpen
            | ffi::ErrorCode::FileLockingProtocolFailed
            | ffi::ErrorCode::OperationInterrupted
            | ffi::ErrorCode::DatabaseCorrupt
            | ffi::ErrorCode::NotADatabase => Self::Unavailable { message: text },
            _ => Self::Statement { message: text },
        }
    }
}

impl From<StoreError> for Failure {
    /// A duplicate is the client's business; everything else is ours. Handlers that expect a particular
    /// duplicate say so with a reason of their own before this.
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unique { .. } => {
                Self::conflict(Reason::AlreadyExists, "it exists already").caused_by(error)
            }
            StoreError::Unavailable { .. } | StoreError::Closed => {
                Self::unavailable("the store is unavailable, try again").caused_by(error)
            }
            StoreError::OutcomeUnknown => Self::unavailable(
                "it is not known whether the change was made; look before trying again",
            )
            .caused_by(error),
            StoreError::NotAnId => {
                Self::new(Reason::NotFound, "there is nothing with that id").caused_by(error)
            }
            StoreError::NulCharacter => {
                Self::new(Reason::InvalidArgument, "text must not contain NUL").caused_by(error)
            }
            _ => Self::internal(error),
        }
    }
}

impl From<StoreError> for tonic::Status {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}
