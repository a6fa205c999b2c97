//! What PostgreSQL and the connection to it can answer, in the terms of the store.

use std::error::Error;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::{DbError, SqlState};

use super::super::StoreError;

/// An error with what it means for the transaction that met it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) error: StoreError,
}

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The transaction lost against another one: the same closure may succeed when it starts anew.
    Conflict,
    /// A prepared statement is older than the schema: prepared again, it works.
    StaleStatement,
    /// The connection is gone, or nobody knows what the server did.
    Lost,
    /// The connection was gone before anything was done on it.
    LostUnused,
    /// The server refused.
    Refused,
}

impl Fault {
    /// The server or this program refuses; the connection is in order.
    pub(super) fn refused(error: StoreError) -> Self {
        Self {
            kind: FaultKind::Refused,
            error,
        }
    }

    /// Whether the connection is of no more use.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self.kind, FaultKind::Lost | FaultKind::LostUnused)
    }

    /// A connection that is found lost when a transaction begins can be replaced by another one.
    pub(super) fn before_anything(self) -> Self {
        match self.kind {
            FaultKind::Lost => Self {
                kind: FaultKind::LostUnused,
                ..self
            },
            _ => self,
        }
    }

    fn lost(message: String) -> Self {
        Self {
            kind: FaultKind::Lost,
            error: StoreError::Unavailable { message },
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::refused(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(answer) => of_answer(answer),
            None if is_of_this_side(&error) => Self::refused(StoreError::Statement {
                message: with_causes(&error),
            }),
            None => Self::lost(with_causes(&error)),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                // Nothing was begun, whatever the reason.
                Self::lost(with_causes(&error))
            }
            PoolError::Closed => Self::refused(StoreError::Closed),
            PoolError::Timeout(TimeoutType::Wait) => Self::refused(StoreError::Unavailable {
                message: "all connections are in use".to_owned(),
            }),
            other => Self::lost(other.to_string()),
        }
    }
}

/// Whether a statement failed before it was sent. The driver does not publish its kinds of error.
fn is_of_this_side(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    [
        "error serializing parameter",
        "error encoding message",
        "expected ",
        "error deserializing column",
        "invalid column",
    ]
    .iter()
    .any(|start| text.starts_with(start))
}

fn of_answer(answer: &DbError) -> Fault {
    let code = answer.code();
    let kind = if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(code)
    {
        FaultKind::Conflict
    } else if *code == SqlState::FEATURE_NOT_SUPPORTED && answer.message().contains("cached plan") {
        FaultKind::StaleStatement
    } else if is_end_of_session(code) {
        FaultKind::Lost
    } else {
        FaultKind::Refused
    };
    Fault {
        kind,
        error: store_error(answer),
    }
}

fn is_end_of_session(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    (class == "08" && *code != SqlState::PROTOCOL_VIOLATION)
        || code.code().starts_with("57P0")
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

fn store_error(answer: &DbError) -> StoreError {
    let code = answer.code();
    let message = || format!("{} ({})", answer.message(), code.code());
    let table = answer.table().unwrap_or("?");
    if *code == SqlState::UNIQUE_VIOLATION {
        return StoreError::Unique {
            constraint: unique_subject(table, answer.detail(), answer.constraint()),
        };
    }
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        return StoreError::ForeignKey;
    }
    if *code == SqlState::CHECK_VIOLATION {
        return StoreError::Check {
            constraint: answer.constraint().unwrap_or("?").to_owned(),
        };
    }
    if *code == SqlState::NOT_NULL_VIOLATION {
        return StoreError::NotNull {
            column: format!("{table}.{}", answer.column().unwrap_or("?")),
        };
    }
    if *code == SqlState::INVALID_TEXT_REPRESENTATION && answer.message().contains("type uuid") {
        return StoreError::NotAnId;
    }
    if [
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        SqlState::UNTRANSLATABLE_CHARACTER,
    ]
    .contains(code)
    {
        return StoreError::NulCharacter;
    }
    if is_passing(code) {
        return StoreError::Unavailable { message: message() };
    }
    StoreError::Statement { message: message() }
}

/// Whether the same statement may succeed later.
fn is_passing(code: &SqlState) -> bool {
    is_end_of_session(code)
        || ["53", "58"].contains(&&code.code()[..2])
        || [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::OBJECT_IN_USE,
        ]
        .contains(code)
}

/// `orders.cart_id, orders.cart_version, orders_cart_key`: the columns as SQLite names them, then the
/// constraint or index. The columns stand in the detail, `Key (cart_id, cart_version)=(…) already
/// exists.`, whose words are in the server's language.
fn unique_subject(table: &str, detail: Option<&str>, constraint: Option<&str>) -> String {
    let columns = detail
        .and_then(|detail| detail.split_once('('))
        .and_then(|(_, rest)| rest.split_once(")=("))
        .map_or("", |(columns, _)| columns);
    columns
        .split(", ")
        .filter(|column| !column.is_empty())
        .map(|column| format!("{table}.{}", column.trim_matches('"')))
        .chain(constraint.map(str::to_owned))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The error with its causes on one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_violation_names_columns_and_constraint() {
        let subject = |detail| unique_subject("orders", detail, Some("orders_cart_key"));
        assert_eq!(
            subject(Some("Key (cart_id, \"version\")=(a, 1) already exists.")),
            "orders.cart_id, orders.version, orders_cart_key"
        );
        assert_eq!(
            subject(Some("Schlüssel »(cart_id)=(a)« existiert bereits.")),
            "orders.cart_id, orders_cart_key"
        );
        assert_eq!(subject(None), "orders_cart_key");
    }
}
