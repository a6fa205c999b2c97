//! Rate, errors and duration of each RPC.
//!
//! Handles are made once per method and code, so that counting a call takes no lookup by label.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram};
use tonic::Code;

use crate::policy::MethodPolicy;

const CODES: usize = 17;

pub(super) struct Meters {
    policy: Arc<MethodPolicy>,
    by_code: [OnceLock<Counter>; CODES],
    duration: OnceLock<Histogram>,
}

impl Meters {
    pub(super) fn new(policy: &Arc<MethodPolicy>) -> Self {
        Self {
            policy: Arc::clone(policy),
            by_code: [const { OnceLock::new() }; CODES],
            duration: OnceLock::new(),
        }
    }

    /// Counts a call that ended with `code` after `took`.
    pub(super) fn observe(&self, code: Code, took: Duration) {
        if let Some(counter) = self.by_code.get(code as usize) {
            counter
                .get_or_init(|| {
                    metrics::counter!(
                        "rpc_requests_total",
                        "service" => self.policy.service.clone(),
                        "method" => self.policy.method.clone(),
                        "code" => code_name(code),
                    )
                })
                .increment(1);
        }
        self.duration
            .get_or_init(|| {
                metrics::histogram!(
                    "rpc_duration_seconds",
                    "service" => self.policy.service.clone(),
                    "method" => self.policy.method.clone(),
                )
            })
            .record(took);
    }

    /// Counts a call that was turned away because the service is saturated.
    pub(super) fn shed(&self) {
        metrics::counter!(
            "hub_mesh_shed_total",
            "service" => self.policy.service.clone(),
            "priority" => self.policy.priority.as_str_name(),
        )
        .increment(1);
    }

    /// Counts a call that is sent again.
    pub(super) fn retried(&self) {
        metrics::counter!("hub_mesh_retried_total", "service" => self.policy.service.clone())
            .increment(1);
    }

    /// Counts a call that a second process was asked for as well, by who answered first.
    pub(super) fn hedged(&self, winner: &'static str) {
        metrics::counter!(
            "hub_mesh_hedged_total",
            "service" => self.policy.service.clone(),
            "winner" => winner,
        )
        .increment(1);
    }
}

/// The name of a code as gRPC writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
