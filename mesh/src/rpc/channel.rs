//! [`Channel`]: what generated clients are built on.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{
    CallContext, RpcService,
    breaker::Breaker,
    caller::refused,
    everywhere::TargetChannel,
    registry::{Method, Registry},
    remote::Remote,
    server,
    wire::{failed_status, timeout_of},
};
use crate::{
    error::{Failure, Reason},
    fault::{INJECTED, Kind},
    telemetry::conventions,
    tls::PeerIdentity,
};

/// A callee that has not answered after this time is slow, whatever the caller asked for.
pub(super) const FAIR_CHANCE: Duration = Duration::from_secs(1);
/// What a caller is told to wait when nobody can be reached.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Reaches every RPC service of the contracts, in this process or in another. Cheap to clone.
///
/// It implements the service that tonic's generated clients are generic over and never fails itself:
/// every failure is an answer with a gRPC status.
#[derive(Clone)]
pub struct Channel {
    registry: Arc<Registry>,
}

impl Channel {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Reaches the services that every target has in the target called `target`.
    pub fn at(&self, target: &str) -> TargetChannel {
        TargetChannel::new(self.clone(), target)
    }

    /// Makes one call. The request is an HTTP/2 gRPC request, its path `/package.Service/Method`, with
    /// the [`CallContext`] among its extensions; without one the caller is anonymous.
    pub async fn dispatch(&self, request: Request<Body>) -> Response<Body> {
        let registry = &*self.registry;
        let Some(method) = registry.method(request.uri().path()) else {
            return unknown(request.uri().path());
        };
        let context = self.context(&request);
        if let Some(handler) = method.slot.local.get() {
            return match &method.slot.breaker {
                None => answer_here(registry, method, handler.as_ref(), context, request).await,
                Some(breaker) => {
                    if let Err(wait) = breaker.admit() {
                        return cut_off(method, wait);
                    }
                    let started = registry.clock.monotonic();
                    let response =
                        answer_here(registry, method, handler.as_ref(), context, request).await;
                    let took = registry.clock.monotonic() - started;
                    report(breaker, method, code_of(&response), took);
                    response
                }
            };
        }
        match (&method.slot.peer, &method.slot.breaker) {
            (Some(peer), Some(breaker)) => {
                let call = Remote {
                    registry,
                    method,
                    peer,
                    breaker,
                    context: context.within(method.policy.deadline),
                };
                let mut span = conventions::rpc_client(call.context.trace(), &method.policy);
                // Boxed: the futures of a call to another process are deep, and every caller would hold them.
                let response = Box::pin(call.run(request))
                    .await
                    .unwrap_or_else(|failure| Status::from(failure).into_http());
                conventions::rpc_ended(&mut span, code_of(&response));
                response
            }
            _ => Status::from(Failure::unavailable(format!(
                "{} does not run in this process and [peers] does not say where it is",
                method.slot.target
            )))
            .into_http(),
        }
    }

    /// Makes one call to a service of this process, never forwarding to another.
    pub(super) async fn dispatch_local(&self, request: Request<Body>) -> Response<Body> {
        let registry = &*self.registry;
        let local = registry
            .method(request.uri().path())
            .and_then(|method| Some((method, method.slot.local.get()?)));
        let Some((method, handler)) = local else {
            return unknown(request.uri().path());
        };
        let context = self.context(&request);
        let identity = request.extensions().get::<PeerIdentity>();
        if let Err(failure) = admit_from_outside(registry, method, &context, identity) {
            return Status::from(failure).into_http();
        }
        server::serve(registry, method, handler.as_ref(), context, request).await
    }

    fn context(&self, request: &Request<Body>) -> CallContext {
        let context = request.extensions().get().cloned().unwrap_or_else(|| {
            let registry = &self.registry;
            CallContext::new(registry.clock.clone(), registry.ids.uuid().to_string())
        });
        let context = context.with_trace(context.trace().child());
        match timeout_of(request.headers()) {
            Some(limit) => context.within(limit),
            None => context,
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.clone();
        Box::pin(async move { Ok(channel.dispatch(request).await) })
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}

/// Makes a call to a service of this process, with what is made to go wrong on the way.
async fn answer_here(
    registry: &Registry,
    method: &Method,
    handler: &dyn RpcService,
    context: CallContext,
    request: Request<Body>,
) -> Response<Body> {
    let Some(rigged) = method.faults.rigged() else {
        return server::serve(registry, method, handler, context, request).await;
    };
    let rigged = Box::pin(async {
        let blow = rigged.strike().await;
        if blow == Some(Kind::Fail) {
            return failed_on_purpose(method);
        }
        let response = server::serve(registry, method, handler, context, request).await;
        match blow {
            Some(Kind::Cut) => failed_on_purpose(method),
            _ => response,
        }
    });
    rigged.await
}

/// The answer of a call that was made to fail.
pub(super) fn failed_on_purpose(method: &Method) -> Response<Body> {
    let failure = Failure::unavailable(format!("{} broke off", method.slot.target))
        .with_retry_after(TRY_AGAIN)
        .caused_by(INJECTED);
    Status::from(failure).into_http()
}

/// Tells the breaker how a call ended. A deadline that passed before the callee had a fair chance is the
/// caller's own: otherwise anybody could cut a service off for all by sending calls without patience.
pub(super) fn report(breaker: &Breaker, method: &Method, code: Code, took: Duration) {
    if code == Code::DeadlineExceeded && took < FAIR_CHANCE.min(method.policy.deadline) {
        breaker.withdraw();
    } else {
        breaker.report(code);
    }
}

/// Whether another process may say that it calls as it does: it must name a caller, and that caller must run
/// in a target that the process's certificate speaks for. That the caller declares the call is checked with
/// its role.
fn admit_from_outside(
    registry: &Registry,
    method: &Method,
    context: &CallContext,
    identity: Option<&PeerIdentity>,
) -> Result<(), Failure> {
    let Some(caller) = context.caller() else {
        return Err(refused("", method, "another process must say who calls"));
    };
    let its_own = identity.is_none_or(|identity| {
        registry
            .target_of(caller)
            .is_some_and(|target| identity.runs(target))
    });
    if its_own {
        Ok(())
    } else {
        Err(refused(
            caller,
            method,
            "the certificate is of another target",
        ))
    }
}

pub(super) fn code_of(response: &Response<Body>) -> Code {
    failed_status(response).map_or(Code::Ok, |status| status.code())
}

fn cut_off(method: &Method, wait: Duration) -> Response<Body> {
    Status::from(cut_off_failure(method, wait)).into_http()
}

pub(super) fn cut_off_failure(method: &Method, wait: Duration) -> Failure {
    Failure::unavailable(format!("{} is failing; not asked now", method.slot.target))
        .with_retry_after(wait)
}

fn unknown(path: &str) -> Response<Body> {
    Status::from(Failure::new(
        Reason::Unimplemented,
        format!("there is no method {path}"),
    ))
    .into_http()
}
