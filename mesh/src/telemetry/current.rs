//! The span that is running, for code that is not handed a context.
//!
//! A store is called by handlers, consumers and tasks alike, and its interface should not carry a trace for
//! the few that are recorded. So the runtime notes the span around what it runs, per task. The note follows
//! a write closure onto the writer's thread, because it is part of the closure's future.

use std::{future::Future, sync::Arc};

use super::TraceContext;

tokio::task_local! {
    static CURRENT: Option<Current>;
}

/// What runs now.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) trace: TraceContext,
    /// Inside a transaction: the store.
    pub(crate) database: Option<Database>,
}

/// How a store calls itself in spans.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// `db.system.name`.
    pub(crate) system: &'static str,
    /// `db.namespace`: the name of the store.
    pub(crate) namespace: Arc<str>,
}

/// The running span of this task, if the runtime knows one.
pub fn current() -> Option<TraceContext> {
    CURRENT
        .try_with(|current| current.as_ref().map(|current| current.trace))
        .ok()
        .flatten()
}

/// What runs now, with its store.
pub(crate) fn surroundings() -> Option<Current> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `work` as part of the span `trace`: store statements become spans below it, and log lines carry its
/// ids.
pub fn within<F: Future>(trace: TraceContext, work: F) -> impl Future<Output = F::Output> {
    surrounded(
        Some(Current {
            trace,
            database: None,
        }),
        work,
    )
}

/// Writes log lines as part of the span `trace`, where nothing is awaited.
pub fn say_within<T>(trace: TraceContext, say: impl FnOnce() -> T) -> T {
    let current = Current {
        trace,
        database: None,
    };
    CURRENT.sync_scope(Some(current), say)
}

/// Runs `work` in `surroundings`.
pub(crate) fn surrounded<F: Future>(
    surroundings: Option<Current>,
    work: F,
) -> impl Future<Output = F::Output> {
    CURRENT.scope(surroundings, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_nearest_span_is_the_current_one() {
        assert_eq!(current(), None);
        let outer = TraceContext::generate();
        within(outer, async {
            assert_eq!(current(), Some(outer));
            within(outer.child(), async { assert_ne!(current(), Some(outer)) }).await;
            assert_eq!(current(), Some(outer));
            surrounded(None, async { assert_eq!(current(), None) }).await;
            say_within(outer.child(), || assert_ne!(current(), Some(outer)));
        })
        .await;
        assert_eq!(current(), None);
    }
}
