//! [`Rendered`]: a status as the edge shows it.

use std::{collections::BTreeMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{DOMAIN, FieldViolation, Reason};

/// What a client may see of any [`Status`], whether it was raised as a `Failure`, by tonic itself or
/// by a foreign server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The reason, from the details or else from the code.
    pub reason: Reason,
    /// The message for the client. For internal failures a constant.
    pub message: String,
    /// Violations by field.
    pub fields: Vec<FieldViolation>,
    /// Machine-readable facts of `google.rpc.ErrorInfo`.
    pub metadata: BTreeMap<String, String>,
    /// Violated preconditions: type, subject, description.
    pub preconditions: Vec<(String, String, String)>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl Rendered {
    /// Reads `status`. Details that cannot be decoded are treated as absent.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let reason = info
            .and_then(|info| Reason::from_name(&info.reason))
            .unwrap_or_else(|| of_bare(status));
        let internal = reason.is_internal();
        let message = if internal || status.message().is_empty() {
            reason.spec().message.to_owned()
        } else {
            status.message().to_owned()
        };
        Self {
            reason,
            message,
            fields: details
                .bad_request()
                .map(|bad| {
                    bad.field_violations
                        .iter()
                        .map(|violation| FieldViolation {
                            field: violation.field.clone(),
                            message: violation.description.clone(),
                        })
                        .collect()
                })
                .unwrap_or_default(),
            metadata: info
                .filter(|_| !internal)
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            preconditions: details
                .precondition_failure()
                .map(|failure| {
                    failure
                        .violations
                        .iter()
                        .map(|violation| {
                            (
                                violation.r#type.clone(),
                                violation.subject.clone(),
                                violation.description.clone(),
                            )
                        })
                        .collect()
                })
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }

    /// The HTTP status on the REST face.
    pub fn http_status(&self) -> u16 {
        self.reason.http_status()
    }

    /// `error.code` of the REST error body.
    pub fn seed_code(&self) -> &'static str {
        self.reason.seed_code()
    }
}

/// A status without our details. A refusal of tonic to decode a request comes as INTERNAL, but is
/// the client's doing only when the server layer says so, so it stays internal here.
fn of_bare(status: &Status) -> Reason {
    match status.code() {
        // Only our own limiter means RATE_LIMITED; elsewhere the code says that something is full.
        Code::ResourceExhausted => Reason::Overloaded,
        code => Reason::of_code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn a_failure_survives_the_wire() {
        let failure = Failure::conflict(Reason::OutOfStock, "only 2 left of SKU-1")
            .with_metadata("sku", "SKU-1")
            .with_field("items[0].quantity", "must be at most 2")
            .with_retry_after(Duration::from_secs(3));
        let status = Status::from(failure);
        assert_eq!(status.code(), Code::FailedPrecondition);

        let headers = status.into_http::<()>();
        let read = Status::from_header_map(headers.headers());
        let rendered = read.as_ref().map(Rendered::of);
        assert_eq!(
            rendered,
            Some(Rendered {
                reason: Reason::OutOfStock,
                message: "only 2 left of SKU-1".into(),
                fields: vec![FieldViolation {
                    field: "items[0].quantity".into(),
                    message: "must be at most 2".into(),
                }],
                metadata: BTreeMap::from([("sku".into(), "SKU-1".into())]),
                preconditions: vec![(
                    "OUT_OF_STOCK".into(),
                    String::new(),
                    "only 2 left of SKU-1".into()
                )],
                retry_after: Some(Duration::from_secs(3)),
            })
        );
    }

    #[test]
    fn internals_never_reach_the_client() {
        let failure =
            Failure::internal("password=hunter2 in /var/lib/hub").with_metadata("file", "x");
        let status = Status::from(failure);
        assert_eq!(status.message(), "internal error");
        assert!(!String::from_utf8_lossy(status.details()).contains("hunter2"));
        let rendered = Rendered::of(&status);
        assert!(rendered.metadata.is_empty());

        let foreign = Status::internal("index out of bounds: src/orders.rs:12");
        assert_eq!(Rendered::of(&foreign).message, "internal error");
        assert_eq!(
            Rendered::of(&Status::unknown("boom")).message,
            "internal error"
        );
    }

    #[test]
    fn a_bare_status_is_read_by_its_code() {
        let rendered = Rendered::of(&Status::not_found("product 7 does not exist"));
        assert_eq!(rendered.reason, Reason::NotFound);
        assert_eq!(rendered.http_status(), 404);
        assert_eq!(rendered.seed_code(), "RESOURCE_NOT_FOUND");
        assert_eq!(rendered.message, "product 7 does not exist");
    }

    #[test]
    fn a_failed_call_can_be_passed_on() {
        let first =
            Failure::new(Reason::PromoInvalid, "expired").with_field("promo_code", "expired");
        let passed = Failure::from(Status::from(first));
        assert_eq!(passed.reason(), Reason::PromoInvalid);
        assert_eq!(passed.fields()[0].field, "promo_code");
    }
}
