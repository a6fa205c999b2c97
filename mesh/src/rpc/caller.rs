//! Who is at work: the RPC, consumer or task of the call graph on whose behalf calls are made.
//!
//! A handler gets its identity with its [`CallContext`](super::CallContext), which travels with the calls it
//! makes. Consumers and tasks begin call chains of their own; the runtime runs them inside
//! [`acting_as`], so that every context made in them knows whose it is and none of them has to say so.

use std::{future::Future, sync::Arc};

use super::registry::Method;
use crate::error::{Failure, Reason};

tokio::task_local! {
    static ACTING: Arc<str>;
}

/// Runs `work` as the consumer, task or RPC `caller` of the call graph.
pub(crate) async fn acting_as<F: Future>(caller: Arc<str>, work: F) -> F::Output {
    ACTING.scope(caller, work).await
}

/// Who is at work in this task, if the runtime knows.
pub(super) fn acting() -> Option<Arc<str>> {
    ACTING.try_with(Arc::clone).ok()
}

/// Refuses and logs a call that `caller` does not declare.
///
/// # Errors
/// `CALL_UNDECLARED`.
pub(super) fn permit(caller: &str, method: &Method) -> Result<(), Failure> {
    if method.callers.contains(caller) {
        return Ok(());
    }
    Err(refused(caller, method, "the contract does not declare it"))
}

/// The refusal of a call, logged with both names and the reason, which the caller is not told.
pub(super) fn refused(caller: &str, method: &Method, why: &str) -> Failure {
    let rpc = method.policy.name();
    tracing::error!(caller, rpc, why, "a call was refused");
    metrics::counter!(
        "hub_mesh_refused_calls_total",
        "caller" => caller.to_owned(),
        "method" => rpc.to_owned(),
    )
    .increment(1);
    Failure::new(
        Reason::CallUndeclared,
        Reason::CallUndeclared.spec().message,
    )
}
