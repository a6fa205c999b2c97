//! The table of reasons.

use std::fmt;

use tonic::Code;

/// Why a call failed: the `reason` of `google.rpc.ErrorInfo`. Names are stable; clients match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each variant is described by its row in the table"
)]
pub enum Reason {
    InvalidArgument,
    InvalidJson,
    PayloadTooLarge,
    UnsupportedMediaType,
    MethodNotAllowed,
    NotAcceptable,
    Unauthenticated,
    TokenExpired,
    TokenRevoked,
    InvalidCredentials,
    CsrfRejected,
    PermissionDenied,
    CallUndeclared,
    NotFound,
    RouteNotFound,
    AlreadyExists,
    VersionConflict,
    InvalidTransition,
    Conflict,
    CartEmpty,
    CartAlreadyOrdered,
    OutOfStock,
    AlreadyRefunded,
    RefundExceedsPayment,
    PaymentDeclined,
    PromoInvalid,
    Unprocessable,
    WeakPassword,
    IdempotencyKeyReused,
    IdempotencyInProgress,
    IdempotencyKeyRequired,
    RateLimited,
    Internal,
    DataLoss,
    Unimplemented,
    Unavailable,
    DeadlineExceeded,
    Cancelled,
    Overloaded,
}

/// One row of the table: how a [`Reason`] looks on each face.
#[derive(Clone, Copy, Debug)]
pub struct ReasonSpec {
    /// The variant.
    pub reason: Reason,
    /// The stable name on the wire, in UPPER_SNAKE_CASE.
    pub name: &'static str,
    /// The gRPC status code.
    pub code: Code,
    /// The HTTP status on the REST face.
    pub http: u16,
    /// `error.code` of the REST error body.
    pub seed: &'static str,
    /// The message when nothing more specific is known or may be told.
    pub message: &'static str,
}

macro_rules! reasons {
    ($($reason:ident $name:literal $code:ident $http:literal $seed:literal $message:literal;)*) => {
        const TABLE: &[ReasonSpec] = &[$(ReasonSpec {
            reason: Reason::$reason,
            name: $name,
            code: Code::$code,
            http: $http,
            seed: $seed,
            message: $message,
        }),*];

        impl Reason {
            /// This reason's row of the table.
            pub const fn spec(self) -> &'static ReasonSpec {
                &TABLE[self as usize]
            }
        }
    };
}

// In the order of the enum, which `spec` indexes by; a test holds them together.
reasons! {
    InvalidArgument "INVALID_ARGUMENT" InvalidArgument 400 "INVALID_REQUEST" "the request is not valid";
    InvalidJson "INVALID_JSON" InvalidArgument 400 "INVALID_REQUEST" "the body is not valid JSON";
    PayloadTooLarge "PAYLOAD_TOO_LARGE" InvalidArgument 413 "INVALID_REQUEST" "the request body is too large";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" InvalidArgument 415 "INVALID_REQUEST" "the content type is not supported";
    MethodNotAllowed "METHOD_NOT_ALLOWED" Unimplemented 405 "INVALID_REQUEST" "the method is not allowed here";
    NotAcceptable "NOT_ACCEPTABLE" InvalidArgument 406 "INVALID_REQUEST" "no acceptable representation exists";
    Unauthenticated "UNAUTHENTICATED" Unauthenticated 401 "UNAUTHORIZED" "authentication is required";
    TokenExpired "TOKEN_EXPIRED" Unauthenticated 401 "UNAUTHORIZED" "the token has expired";
    TokenRevoked "TOKEN_REVOKED" Unauthenticated 401 "UNAUTHORIZED" "the token has been revoked";
    InvalidCredentials "INVALID_CREDENTIALS" Unauthenticated 401 "UNAUTHORIZED" "the credentials are not valid";
    CsrfRejected "CSRF_REJECTED" PermissionDenied 403 "FORBIDDEN" "the CSRF token is missing or does not match";
    PermissionDenied "PERMISSION_DENIED" PermissionDenied 403 "FORBIDDEN" "the caller may not do this";
    CallUndeclared "CALL_UNDECLARED" PermissionDenied 403 "FORBIDDEN" "the contract does not declare this call";
    NotFound "NOT_FOUND" NotFound 404 "RESOURCE_NOT_FOUND" "the resource does not exist";
    RouteNotFound "ROUTE_NOT_FOUND" NotFound 404 "RESOURCE_NOT_FOUND" "no such route";
    AlreadyExists "ALREADY_EXISTS" AlreadyExists 409 "CONFLICT" "the resource already exists";
    VersionConflict "VERSION_CONFLICT" Aborted 409 "CONFLICT" "the resource was changed by someone else";
    InvalidTransition "INVALID_TRANSITION" FailedPrecondition 409 "CONFLICT" "the resource's state does not allow this";
    Conflict "CONFLICT" FailedPrecondition 409 "CONFLICT" "the request conflicts with the resource's state";
    CartEmpty "CART_EMPTY" FailedPrecondition 409 "CONFLICT" "the cart is empty";
    CartAlreadyOrdered "CART_ALREADY_ORDERED" AlreadyExists 409 "CONFLICT" "the cart has already been ordered";
    OutOfStock "OUT_OF_STOCK" FailedPrecondition 409 "CONFLICT" "there is not enough stock";
    AlreadyRefunded "ALREADY_REFUNDED" FailedPrecondition 409 "CONFLICT" "the payment has already been refunded";
    RefundExceedsPayment "REFUND_EXCEEDS_PAYMENT" FailedPrecondition 409 "CONFLICT" "the refund exceeds what was paid";
    PaymentDeclined "PAYMENT_DECLINED" FailedPrecondition 402 "UNPROCESSABLE_ENTITY" "the payment was declined";
    PromoInvalid "PROMO_INVALID" FailedPrecondition 422 "UNPROCESSABLE_ENTITY" "the promo code cannot be applied";
    Unprocessable "UNPROCESSABLE" FailedPrecondition 422 "UNPROCESSABLE_ENTITY" "the request breaks a business rule";
    WeakPassword "WEAK_PASSWORD" InvalidArgument 422 "UNPROCESSABLE_ENTITY" "the password is too weak";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" FailedPrecondition 422 "UNPROCESSABLE_ENTITY" "the idempotency key was used for another request";
    IdempotencyInProgress "IDEMPOTENCY_IN_PROGRESS" Aborted 409 "CONFLICT" "the first request with this idempotency key is still running";
    IdempotencyKeyRequired "IDEMPOTENCY_KEY_REQUIRED" InvalidArgument 400 "INVALID_REQUEST" "the Idempotency-Key header is required";
    RateLimited "RATE_LIMITED" ResourceExhausted 429 "RATE_LIMIT_EXCEEDED" "too many requests";
    Internal "INTERNAL" Internal 500 "INTERNAL_SERVER_ERROR" "internal error";
    DataLoss "DATA_LOSS" DataLoss 500 "INTERNAL_SERVER_ERROR" "internal error";
    Unimplemented "UNIMPLEMENTED" Unimplemented 404 "RESOURCE_NOT_FOUND" "no such method";
    Unavailable "UNAVAILABLE" Unavailable 503 "SERVICE_UNAVAILABLE" "the service is not available";
    DeadlineExceeded "DEADLINE_EXCEEDED" DeadlineExceeded 503 "SERVICE_UNAVAILABLE" "the deadline passed before the call completed";
    Cancelled "CANCELLED" Cancelled 503 "SERVICE_UNAVAILABLE" "the call was cancelled";
    Overloaded "OVERLOADED" ResourceExhausted 503 "SERVICE_UNAVAILABLE" "the service is overloaded";
}

impl Reason {
    /// The whole table, one row per reason.
    pub const fn table() -> &'static [ReasonSpec] {
        TABLE
    }

    /// The stable name on the wire, for example `OUT_OF_STOCK`.
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// The reason with the wire name `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.reason)
    }

    /// The gRPC code.
    pub const fn code(self) -> Code {
        self.spec().code
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        self.spec().http
    }

    /// `error.code` of the REST error body.
    pub const fn seed_code(self) -> &'static str {
        self.spec().seed
    }

    /// Whether the message of such a failure speaks of our internals and must not reach a client.
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::Internal | Self::DataLoss)
    }

    /// The reason that stands for a bare status code, of a status that names none.
    pub const fn of_code(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::ResourceExhausted => Self::RateLimited,
            Code::FailedPrecondition => Self::Conflict,
            Code::Aborted => Self::VersionConflict,
            Code::Unimplemented => Self::Unimplemented,
            Code::Unavailable => Self::Unavailable,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::Cancelled => Self::Cancelled,
            Code::DataLoss => Self::DataLoss,
            Code::Ok | Code::Unknown | Code::Internal => Self::Internal,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        let mut names = HashSet::new();
        for row in Reason::table() {
            assert_eq!(row.reason.spec().name, row.name);
            assert_eq!(Reason::from_name(row.name), Some(row.reason));
            assert!(names.insert(row.name), "{} twice", row.name);
            assert!(row.code != Code::Ok);
        }
    }

    #[test]
    fn the_error_page_has_every_row() {
        let page = include_str!("../../../docs/ERRORS.md");
        for row in Reason::table() {
            let found = page.lines().any(|line| {
                line.starts_with(&format!("| `{}` |", row.name))
                    && line.contains(&format!("| {} | `{}` |", row.http, row.seed))
            });
            assert!(found, "docs/ERRORS.md lacks {row:?}");
        }
    }

    #[test]
    fn seed_codes_agree_with_the_http_status() {
        for row in Reason::table() {
            let expected: &[u16] = match row.seed {
                "INVALID_REQUEST" => &[400, 405, 406, 413, 415],
                "UNAUTHORIZED" => &[401],
                "FORBIDDEN" => &[403],
                "RESOURCE_NOT_FOUND" => &[404],
                "CONFLICT" => &[409],
                "UNPROCESSABLE_ENTITY" => &[402, 422],
                "RATE_LIMIT_EXCEEDED" => &[429],
                "INTERNAL_SERVER_ERROR" => &[500],
                "SERVICE_UNAVAILABLE" => &[503],
                other => panic!("unknown seed code {other}"),
            };
            assert!(expected.contains(&row.http), "{row:?}");
        }
    }

    #[test]
    fn every_code_has_a_reason_of_its_own_code() {
        for number in 1..=16 {
            let code = Code::from_i32(number);
            let reason = Reason::of_code(code);
            if !matches!(code, Code::Unknown | Code::OutOfRange) {
                assert_eq!(reason.code(), code);
            }
        }
    }
}
