//! How orders refuses what an order's state does not allow.

use mesh::{Failure, Reason};

use crate::domain::{order::status_name, saga::Facts};

/// An order cannot be `participle` (`cancelled`, `given up`) any more: with its status, and with the
/// statuses that may still follow, if any may.
pub(super) fn too_late(facts: &Facts, participle: &str) -> Failure {
    let state = status_name(facts.status());
    let allowed: Vec<&str> = facts
        .next_statuses()
        .iter()
        .map(|status| status_name(*status))
        .collect();
    let why = if facts.is_handed_over() {
        " and is being handed over to the carrier"
    } else {
        ""
    };
    let failure = Failure::conflict(
        Reason::InvalidTransition,
        format!("An order that is {state}{why} cannot be {participle}."),
    )
    .with_metadata("status", state);
    // Nothing is left out rather than said: Envoy's transcoder does not survive an empty value in error details.
    match allowed.as_slice() {
        [] => failure,
        allowed => failure.with_metadata("allowed", allowed.join(",")),
    }
}
