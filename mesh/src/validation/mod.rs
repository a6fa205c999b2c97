//! Request validation: the standard rules of `buf.validate`, read from the descriptors.
//!
//! The contracts say what a valid request is; this module is the only place that enforces it, so no
//! handler repeats a rule. The rules are compiled once, at start, into tables ([`compile`]); a request
//! is then checked on its protobuf *wire* bytes ([`evaluate`]), without building a message: the gateway
//! hands over bytes, and a message whose type carries no rule anywhere below it costs one lookup.
//!
//! A rule this module does not know stops the process at start ([`RuleError`]) rather than being
//! skipped in silence. CEL expressions and predefined rules are such rules by decision: a contract here
//! is limited to what every client generator understands.
//!
//! Rule ids, field paths and presence semantics are those of protovalidate; `tests/validation` holds
//! the verdicts of its reference implementation on a corpus that the unit tests replay. The deliberate
//! differences:
//! - A value with the wrong wire type makes the request malformed, because the decoder behind us refuses
//!   it too; protobuf would keep it as an unknown field.
//! - Enums are open, as they are in the generated code.
//! - At most [`MAX_VIOLATIONS`] violations are reported.
//! - `bytes.pattern` on bytes that are no text is a violation and not an error of the evaluator.
//! - `IGNORE_IF_ZERO_VALUE` on items that are messages is refused at start.

mod collections;
mod compile;
mod evaluate;
mod formats;
mod ordered;
mod path;
mod pattern;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod uri;
mod wellknown;
mod wire;

use chrono::{DateTime, Utc};
use prost_reflect::DescriptorPool;

use self::{evaluate::Run, table::Tables};

/// The most violations one answer lists; checking stops there, so a hostile request with a million
/// bad items costs no more than one with fifty.
pub const MAX_VIOLATIONS: usize = 50;

/// The deepest nesting of messages that is read, the same bound as that of the generated decoders.
pub const MAX_DEPTH: u32 = 100;

/// A rule in the contracts that cannot be enforced; found at start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: rule {rule}: {reason}")]
pub struct RuleError {
    /// Full name of the field, oneof or message that carries the rule.
    pub subject: String,
    /// The rule inside `buf.validate`, for example `string.pattern`.
    pub rule: String,
    /// Why it cannot be enforced.
    pub reason: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The bytes are not a readable protobuf message of the expected type.
    #[error("the message cannot be decoded")]
    Malformed,
    /// The message breaks rules; at least one and at most [`MAX_VIOLATIONS`] of them.
    #[error("{} of the message's rules are violated", .0.len())]
    Violations(Vec<Violation>),
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path in proto names: `items[0].quantity`, `labels["k"]`; empty for a rule on the whole message.
    pub field: String,
    /// The rule's id as protovalidate names it: `string.min_len`, `required`.
    pub rule: String,
    /// A sentence for people, without the offending value.
    pub message: String,
}

/// The compiled rules of a descriptor pool.
pub struct Validator {
    tables: Tables,
    clock: Option<Clock>,
}

type Clock = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

impl Validator {
    /// Compiles the rules of every message in `pool`.
    ///
    /// # Errors
    /// [`RuleError`] for a rule that is unknown, unsupported, does not fit its field, or needs the
    /// current time (see [`Validator::with_clock`]).
    pub fn new(pool: &DescriptorPool) -> Result<Self, RuleError> {
        let tables = compile::tables(pool)?;
        if let Some(subject) = &tables.needs_clock {
            return Err(RuleError {
                subject: subject.clone(),
                rule: "timestamp".into(),
                reason: "depends on the current time, and the validator was given no clock".into(),
            });
        }
        Ok(Self {
            tables,
            clock: None,
        })
    }

    /// As [`Validator::new`], with the clock that `timestamp.lt_now`, `gt_now` and `within` read.
    ///
    /// # Errors
    /// [`RuleError`] for a rule that is unknown, unsupported or does not fit its field.
    pub fn with_clock(
        pool: &DescriptorPool,
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
    ) -> Result<Self, RuleError> {
        Ok(Self {
            tables: compile::tables(pool)?,
            clock: Some(Box::new(now)),
        })
    }

    /// Checks the encoded message `wire` of the type `full_name` (`hub.cart.v1.AddItemRequest`).
    ///
    /// # Errors
    /// [`Invalid`]; a type that the pool does not hold counts as [`Invalid::Malformed`].
    pub fn check_message(&self, full_name: &str, wire: &[u8]) -> Result<(), Invalid> {
        match self.tables.messages.get(full_name) {
            Some(entry) => self.check(*entry, wire),
            None => Err(Invalid::Malformed),
        }
    }

    /// Checks `wire` as the input of the method at `grpc_path` (`/hub.cart.v1.CartService/AddItem`).
    ///
    /// A path outside the pool (health, reflection) has no rules and passes.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn check_method(&self, grpc_path: &str, wire: &[u8]) -> Result<(), Invalid> {
        match self.tables.methods.get(grpc_path) {
            Some(entry) => self.check(*entry, wire),
            None => Ok(()),
        }
    }

    fn check(&self, entry: Option<usize>, wire: &[u8]) -> Result<(), Invalid> {
        match entry {
            Some(index) => Run::new(&self.tables, self.clock.as_deref()).check(index, wire),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator")
            .field("methods", &self.tables.methods.len())
            .field("messages", &self.tables.messages.len())
            .finish_non_exhaustive()
    }
}
