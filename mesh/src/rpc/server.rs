//! The server layer: what happens around every handler, in this order.
//!
//! 1. the caller's role against the policy (the cheapest refusal first), then the call graph,
//! 2. the deadline, from here on,
//! 3. one whole message; a sender that is slow takes nobody's place,
//! 4. a place within the limit, then the message against the rules of the contract,
//! 5. the handler; a panic in it fails this call and nothing else,
//! 6. what it answered, stripped of internals, and counted.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::Instrument;

use super::{
    CallContext, RpcService,
    caller::{acting_as, permit},
    everywhere::contract_name,
    limit::{Admission, Sample},
    registry::{Method, Registry},
    stream::GuardedStream,
    wire::{FRAME_PREFIX, MAX_MESSAGE, failed_status, unary_message},
};
use crate::{
    error::{DOMAIN, Failure, Reason},
    policy::{MethodPolicy, Role},
    principal::Principal,
    telemetry::{conventions, within},
    validation::{Invalid, Validator},
};

/// What a caller that was turned away is told to wait.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// Serves one call of a service of this process.
pub(super) async fn serve(
    registry: &Registry,
    method: &Method,
    handler: &dyn RpcService,
    context: CallContext,
    request: Request<Body>,
) -> Response<Body> {
    let _in_flight = registry.in_flight.token();
    let started = registry.clock.monotonic();
    let span = tracing::info_span!(
        "rpc",
        method = %method.policy.path,
        request_id = context.request_id(),
        trace_id = %format_args!("{:032x}", context.trace().trace_number()),
    );
    let served = context.serving(&method.name, method.policy.deadline);
    let call = Call {
        registry,
        method,
        handler,
        caller: context.caller(),
        context: &served,
    };
    let mut recorded = conventions::rpc_server(served.trace(), &method.policy);
    let answering = async {
        match guarded(&call, request).await {
            Ok(response) => without_internals(response, &served),
            Err(failure) => refusal(failure, &served),
        }
    };
    // Boxed: a handler that calls a handler that calls another would hold them all in one future, and a debug
    // build moves futures through the stack.
    let response = within(served.trace(), Box::pin(answering.instrument(span))).await;
    let code = failed_status(&response).map_or(Code::Ok, |status| status.code());
    conventions::rpc_ended(&mut recorded, code);
    method
        .meters
        .observe(code, registry.clock.monotonic() - started);
    response
}

/// One call on its way to its handler.
struct Call<'a> {
    registry: &'a Registry,
    method: &'a Method,
    handler: &'a dyn RpcService,
    /// Who makes it; `None`: the program itself.
    caller: Option<&'a str>,
    /// What the handler gets: the caller there is the method itself.
    context: &'a CallContext,
}

/// A handler at work. One that is dropped before its end because the deadline has passed has overrun; a
/// caller that hung up says nothing.
struct AtWork<'a> {
    call: &'a Call<'a>,
    admission: Admission,
    started: Instant,
    ended: bool,
}

impl AtWork<'_> {
    fn end(mut self) {
        self.ended = true;
        let now = self.call.registry.clock.monotonic();
        let took = now.saturating_duration_since(self.started);
        let slowness = self.call.method.usual.compare(took);
        self.admission.learn(Sample::Slowness(slowness), now);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let Call {
            registry,
            method,
            context,
            ..
        } = *self.call;
        let now = registry.clock.monotonic();
        let had_its_time =
            now.saturating_duration_since(self.started) * 2 >= method.policy.deadline;
        if !self.ended && had_its_time && context.remaining().is_some_and(|left| left.is_zero()) {
            self.admission.learn(Sample::Overrun, now);
        }
    }
}

async fn guarded(call: &Call<'_>, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let Call {
        registry,
        method,
        handler,
        caller,
        context,
    } = *call;
    let policy = &method.policy;
    authorize(policy, context.principal())?;
    if let Some(caller) = caller {
        permit(caller, method)?;
    }
    let work = async {
        let (parts, body) = request.into_parts();
        let (body, message) = if policy.client_streaming {
            (body, None)
        } else {
            let message = whole(body).await?;
            (Body::new(Full::new(message.clone())), Some(message))
        };
        let admission = method.slot.limiter.admit(policy.priority).ok_or_else(|| {
            method.meters.shed();
            Failure::new(
                Reason::Overloaded,
                format!("{} is saturated", policy.service),
            )
            .with_retry_after(COOL_DOWN)
        })?;
        let at_work = AtWork {
            call,
            admission,
            started: registry.clock.monotonic(),
            ended: false,
        };
        if let Some(message) = message {
            check(&registry.validator, policy, &message)?;
        }
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(context.clone());
        let handled = async { acting_as(Arc::clone(&method.name), handler.serve(request)).await };
        let response = AssertUnwindSafe(handled)
            .catch_unwind()
            .await
            .map_err(|panic| Failure::internal(Panicked(panic_message(panic.as_ref()))));
        at_work.end();
        response
    };
    let remaining = context.remaining().unwrap_or(policy.deadline);
    if remaining.is_zero() {
        return Err(expired());
    }
    let response = registry
        .clock
        .timeout(remaining, work)
        .await
        .map_err(|_| expired())??;
    if !policy.server_streaming {
        return Ok(response);
    }
    let draining = registry.draining.clone();
    Ok(response.map(|body| Body::new(GuardedStream::of_call(body, context, draining))))
}

/// Checks the role. Who could still become somebody by signing in is told to; everybody else is told
/// no. An RPC of services is for services only, however trusted the person.
pub(super) fn authorize(policy: &MethodPolicy, principal: &Principal) -> Result<(), Failure> {
    if principal.at_least(policy.role) {
        return Ok(());
    }
    if principal.is_anonymous() && policy.role != Role::Service {
        return Err(Failure::unauthenticated(
            Reason::Unauthenticated.spec().message,
        ));
    }
    Err(Failure::permission_denied(
        Reason::PermissionDenied.spec().message,
    ))
}

/// The whole body of a unary request.
async fn whole(body: Body) -> Result<Bytes, Failure> {
    Ok(Limited::new(body, MAX_MESSAGE + FRAME_PREFIX)
        .collect()
        .await
        .map_err(unreadable)?
        .to_bytes())
}

/// Checks the one message in `body` against the rules of the contract.
fn check(validator: &Validator, policy: &MethodPolicy, body: &Bytes) -> Result<(), Failure> {
    let message = unary_message(body)?;
    validator
        .check_method(&contract_name(&policy.path), &message)
        .map_err(|invalid| match invalid {
            Invalid::Malformed => {
                Failure::new(Reason::InvalidArgument, "the message cannot be decoded")
            }
            Invalid::Violations(violations) => {
                let message = violations.first().map_or_else(String::new, |first| {
                    if first.field.is_empty() {
                        first.message.clone()
                    } else {
                        format!("{}: {}", first.field, first.message)
                    }
                });
                violations.into_iter().fold(
                    Failure::new(Reason::InvalidArgument, message),
                    |failure, violation| failure.with_field(violation.field, violation.message),
                )
            }
        })
}

/// The failure of a call whose deadline has passed.
pub(super) fn expired() -> Failure {
    Failure::new(
        Reason::DeadlineExceeded,
        Reason::DeadlineExceeded.spec().message,
    )
}

/// The failure of a call whose message did not arrive whole.
pub(super) fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    if error.is::<http_body_util::LengthLimitError>() {
        return Failure::new(
            Reason::PayloadTooLarge,
            format!("the message is larger than {MAX_MESSAGE} bytes"),
        );
    }
    Failure::new(Reason::Cancelled, "the request ended early").caused_by(error)
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// The answer of a call that never reached its handler, or died in it.
fn refusal(failure: Failure, context: &CallContext) -> Response<Body> {
    if failure.reason().is_internal() {
        // Logs the cause on the way.
        let _ = Status::from(failure);
        return internal(context).into_http();
    }
    Status::from(failure).into_http()
}

/// Replaces what a handler said about an internal error by the request id; the log gets the rest.
fn without_internals(response: Response<Body>, context: &CallContext) -> Response<Body> {
    match failed_status(&response).and_then(|status| shown_instead(&status, context)) {
        Some(shown) => shown.into_http(),
        None => response,
    }
}

/// What the client gets to see instead of `status`, if it speaks of our internals; the log gets the rest.
pub(super) fn shown_instead(status: &Status, context: &CallContext) -> Option<Status> {
    if !matches!(
        status.code(),
        Code::Internal | Code::Unknown | Code::DataLoss
    ) {
        return None;
    }
    if status.message() != Reason::Internal.spec().message {
        tracing::error!(
            request_id = context.request_id(),
            code = ?status.code(),
            message = status.message(),
            "internal failure"
        );
    }
    Some(internal(context))
}

fn internal(context: &CallContext) -> Status {
    let spec = Reason::Internal.spec();
    let mut details =
        ErrorDetails::with_error_info(spec.name, DOMAIN, std::collections::HashMap::new());
    details.set_request_info(context.request_id(), "");
    Status::with_error_details(spec.code, spec.message, details)
}
