//! One vocabulary of failure.
//!
//! A [`Reason`] is the stable, documented name of what went wrong; one table ([`Reason::spec`]) says
//! how each reason looks as a gRPC code, as an HTTP status and as the code of the REST error body.
//! Services raise a [`Failure`]; it travels as a `google.rpc.Status` with typed details, and
//! [`Rendered`] reads any such status back for the edge. What is internal stays internal: the cause
//! of a failure is kept for the log and never becomes part of the status.

mod failure;
mod reason;
mod rendered;

pub use failure::{Failure, FieldViolation};
pub use reason::{Reason, ReasonSpec};
pub use rendered::Rendered;

/// The `domain` of every `google.rpc.ErrorInfo` that the hub writes.
pub const DOMAIN: &str = "hub";
