//! [`Failure`]: what a service raises.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    fmt,
    sync::Arc,
    time::Duration,
};

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{DOMAIN, Reason};

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field as in the proto, for example `items[0].quantity`.
    pub field: String,
    /// What a valid value would be.
    pub message: String,
}

/// A failed operation, with what the client may know about it and, apart from that, its cause.
#[derive(Clone)]
pub struct Failure(Box<Content>);

#[derive(Clone)]
struct Content {
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    fields: Vec<FieldViolation>,
    preconditions: Vec<(String, String, String)>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure for `reason`. The message is for the client: say what is wrong and what would be right.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Content {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            retry_after: match reason {
                Reason::Unavailable | Reason::Overloaded | Reason::IdempotencyInProgress => {
                    Some(Duration::from_secs(1))
                }
                _ => None,
            },
            cause: None,
        }))
    }

    /// The resource of the given kind with the given id does not exist, or not for this caller.
    pub fn not_found(resource: &str, id: impl fmt::Display) -> Self {
        Self::new(Reason::NotFound, format!("{resource} {id} does not exist"))
            .with_metadata("resource", resource)
            .with_metadata("id", id.to_string())
    }

    /// One field of the request is not valid.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(Reason::InvalidArgument, format!("{field}: {message}")).with_field(field, message)
    }

    /// The state of the resource forbids the operation, for `reason`.
    pub fn conflict(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(reason, message.clone()).with_precondition(reason.as_str(), "", message)
    }

    /// Something of ours broke. The cause is logged; the client learns nothing but that.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Reason::Internal, Reason::Internal.spec().message).caused_by(cause)
    }

    /// Something we depend on cannot be reached now; the client may try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::Unavailable, message)
    }

    /// The caller has to authenticate first.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Reason::Unauthenticated, message)
    }

    /// The caller may not do this.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(Reason::PermissionDenied, message)
    }

    /// Adds a machine-readable fact, for example the SKU that is out of stock.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds what is wrong with one field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.push(FieldViolation {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a `PreconditionFailure` violation: its type, the subject it concerns and a description.
    #[must_use]
    pub fn with_precondition(
        mut self,
        kind: impl Into<String>,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.0
            .preconditions
            .push((kind.into(), subject.into(), description.into()));
        self
    }

    /// Tells the client when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Keeps the cause for the log. It never reaches a client.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Why it failed.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The violations by field.
    pub fn fields(&self) -> &[FieldViolation] {
        &self.0.fields
    }

    /// The machine-readable facts.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// Writes the cause to the log, because a status does not carry it any further. A cause that is
    /// itself a status was logged where it was raised.
    fn log(&self) {
        let Some(cause) = &self.0.cause else { return };
        if cause.downcast_ref::<Status>().is_some() {
            return;
        }
        let cause = Chain(cause.as_ref());
        if self.0.reason.is_internal() {
            tracing::error!(reason = %self.0.reason, metadata = ?self.0.metadata, %cause, "internal failure");
        } else {
            tracing::debug!(reason = %self.0.reason, message = %self.0.message, %cause, "call failed");
        }
    }

    /// When to try again, if that was said.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

/// An error with its sources, on one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("fields", &self.0.fields)
            .field("metadata", &self.0.metadata)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.log();
        let content = *failure.0;
        let spec = content.reason.spec();
        let metadata = if content.reason.is_internal() {
            BTreeMap::new()
        } else {
            content.metadata
        };
        let mut details = ErrorDetails::with_error_info(
            spec.name,
            DOMAIN,
            metadata.into_iter().collect::<HashMap<_, _>>(),
        );
        for violation in content.fields {
            details.add_bad_request_violation(violation.field, violation.message);
        }
        for (kind, subject, description) in content.preconditions {
            details.add_precondition_failure_violation(kind, subject, description);
        }
        if let Some(delay) = content.retry_after {
            details.set_retry_info(Some(delay));
        }
        let message = if content.reason.is_internal() {
            spec.message.to_owned()
        } else {
            content.message
        };
        let mut status = Status::with_error_details(spec.code, message, details);
        if let Some(cause) = content.cause {
            status.set_source(cause);
        }
        status
    }
}

impl From<Status> for Failure {
    /// Keeps the reason, message and details of a failed call to another service, so that a handler
    /// may pass it on with `?`.
    fn from(status: Status) -> Self {
        let rendered = super::Rendered::of(&status);
        let mut failure = Self::new(rendered.reason, rendered.message);
        failure.0.fields = rendered.fields;
        failure.0.metadata = rendered.metadata;
        failure.0.preconditions = rendered.preconditions;
        failure.0.retry_after = rendered.retry_after;
        failure.caused_by(status)
    }
}
