//! [`CallContext`]: what travels with a call besides its message.
//!
//! Inside a process the context is a value in the request's extensions; tonic carries extensions from
//! its requests to `http` requests and back, so a call that never leaves the process loses nothing
//! and serialises nothing. Between processes the same facts become headers (see [`super::wire`]).

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::Request;

use super::caller::acting;
use crate::{
    clock::Clock,
    hub::Hub,
    principal::Principal,
    telemetry::{self, TraceContext},
};

/// The caller, the trace and the deadline of a call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallContext(Arc<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    principal: Principal,
    caller: Option<Arc<str>>,
    request_id: Arc<str>,
    trace: TraceContext,
    deadline: Option<Instant>,
    clock: Clock,
    client: Arc<Client>,
    idempotency_key: Option<Arc<str>>,
}

/// What is known about the program at the far end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Address of the client, as the edge saw it.
    pub ip: Option<IpAddr>,
    /// Its `User-Agent`; empty when it sent none.
    pub user_agent: String,
}

impl CallContext {
    /// The start of a call chain: an anonymous caller, no deadline yet, the trace of the work that is
    /// running, or a new one.
    pub fn new(clock: Clock, request_id: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Facts {
            principal: Principal::anonymous(),
            caller: acting(),
            request_id: request_id.into(),
            trace: telemetry::current().unwrap_or_else(TraceContext::unstarted),
            deadline: None,
            clock,
            client: Arc::default(),
            idempotency_key: None,
        }))
    }

    /// The context of work that no request started: a consumer or a task of service `name`.
    pub fn background(name: &str, hub: &Hub) -> Self {
        Self::new(hub.clock().clone(), hub.ids().uuid().to_string())
            .with_principal(Principal::service(name))
    }

    /// The context of a request that a handler received. A request that came without one (a unit test
    /// that calls a handler directly) is anonymous.
    pub fn of<T>(request: &Request<T>) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::detached)
    }

    /// A context of no caller: what a request without one is served with.
    pub(crate) fn detached() -> Self {
        Self::new(Clock::system(), "")
    }

    /// The RPC, consumer or task of the call graph that makes calls with this context. `None`: the program
    /// itself, outside of all of them (a test, the seeding of the demo shop); its calls stay in the process.
    pub fn caller(&self) -> Option<&str> {
        self.0.caller.as_deref()
    }

    /// On whose behalf calls are made: a person, a guest, a service.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The id of the request at the edge that all of this is part of.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The span of the work that has this context.
    pub fn trace(&self) -> TraceContext {
        self.0.trace
    }

    /// The W3C `traceparent` of the current span.
    pub fn traceparent(&self) -> String {
        self.0.trace.to_string()
    }

    /// When the caller stops waiting, on [`CallContext::clock`]'s monotonic time.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The time that is left, if there is a deadline; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.0
            .deadline
            .map(|deadline| deadline.saturating_duration_since(self.0.clock.monotonic()))
    }

    /// The clock that the deadline is on.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Address of the client, as the edge saw it.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.0.client.ip
    }

    /// The client's `User-Agent`; empty when it sent none.
    pub fn user_agent(&self) -> &str {
        &self.0.client.user_agent
    }

    /// The `Idempotency-Key` that the client sent.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.0.idempotency_key.as_deref()
    }

    /// A request that carries this context on: the same caller and trace, what is left of the time. The
    /// call gets a span of its own where it is made.
    pub fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(self.clone());
        request
    }

    /// The same call chain, but acting as service `name` on its own account: for RPCs that only
    /// services may call. The client's idempotency key stays behind.
    #[must_use]
    pub fn as_service(&self, name: &str) -> Self {
        self.change(|facts| {
            facts.principal = Principal::service(name);
            facts.idempotency_key = None;
        })
    }

    /// As the node `caller` of the call graph. Handlers, consumers and tasks have theirs from the runtime.
    #[must_use]
    pub fn with_caller(&self, caller: impl Into<Arc<str>>) -> Self {
        self.change(|facts| facts.caller = Some(caller.into()))
    }

    /// As the handler of an RPC that may take `limit` in all.
    pub(super) fn serving(&self, rpc: &Arc<str>, limit: Duration) -> Self {
        let end = self.0.clock.monotonic().checked_add(limit);
        self.change(|facts| {
            facts.caller = Some(Arc::clone(rpc));
            facts.deadline = match (facts.deadline, end) {
                (Some(known), Some(end)) => Some(known.min(end)),
                (known, end) => known.or(end),
            };
        })
    }

    /// With another principal.
    #[must_use]
    pub fn with_principal(&self, principal: Principal) -> Self {
        self.change(|facts| facts.principal = principal)
    }

    /// With the request id of an earlier request, for work that it caused.
    #[must_use]
    pub fn with_request_id(&self, request_id: impl Into<Arc<str>>) -> Self {
        self.change(|facts| facts.request_id = request_id.into())
    }

    /// As the span `trace`: calls become its children.
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        self.change(|facts| facts.trace = trace)
    }

    /// Continues the trace of a `traceparent`, for example of the event that is reacted to; one that
    /// is not valid is ignored. Where a span of that trace is running already, as in a consumer, calls
    /// are children of that span.
    #[must_use]
    pub fn with_traceparent(&self, traceparent: &str) -> Self {
        let Ok(sent) = traceparent.parse::<TraceContext>() else {
            return self.clone();
        };
        let running = telemetry::current().filter(|running| running.is_same_trace(&sent));
        self.with_trace(running.unwrap_or(sent))
    }

    /// With a deadline no later than `limit` from now. It never moves a deadline back.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        let Some(end) = self.0.clock.monotonic().checked_add(limit) else {
            return self.clone();
        };
        if self.0.deadline.is_some_and(|deadline| deadline <= end) {
            return self.clone();
        }
        self.change(|facts| facts.deadline = Some(end))
    }

    /// With what the edge knows about the client.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        self.change(|facts| facts.client = Arc::new(client))
    }

    /// With the client's `Idempotency-Key`.
    #[must_use]
    pub fn with_idempotency_key(&self, key: impl Into<Arc<str>>) -> Self {
        self.change(|facts| facts.idempotency_key = Some(key.into()))
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) -> Self {
        let mut facts = Facts::clone(&self.0);
        change(&mut facts);
        Self(Arc::new(facts))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;

    use super::*;
    use crate::principal::Role;

    fn context() -> (Clock, CallContext) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        (clock.clone(), CallContext::new(clock, "r-1"))
    }

    #[test]
    fn a_call_carries_the_context_on() {
        let (_, context) = context();
        let context = context
            .with_principal(Principal::guest("g-1"))
            .with_idempotency_key("k");
        let seen = CallContext::of(&context.call(()));
        assert_eq!(seen.principal().subject(), "g-1");
        assert_eq!(seen.request_id(), "r-1");
        assert_eq!(seen.idempotency_key(), Some("k"));
        assert_eq!(seen.trace().trace_id(), context.trace().trace_id());
        assert_eq!(seen.trace(), context.trace());

        let service = context.as_service("orders");
        assert!(service.principal().is_service());
        assert_eq!(service.idempotency_key(), None);
    }

    #[test]
    fn deadlines_only_shrink() {
        let (clock, context) = context();
        let context = context.within(Duration::from_secs(5));
        clock.advance(Duration::from_secs(2));
        assert_eq!(context.remaining(), Some(Duration::from_secs(3)));
        assert_eq!(
            context.within(Duration::from_secs(10)).remaining(),
            Some(Duration::from_secs(3))
        );
        assert_eq!(
            context.within(Duration::from_secs(1)).remaining(),
            Some(Duration::from_secs(1))
        );
        clock.advance(Duration::from_secs(9));
        assert_eq!(context.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn a_request_without_context_is_anonymous() {
        let seen = CallContext::of(&Request::new(()));
        assert_eq!(seen.principal().role(), Role::Anonymous);
    }
}
