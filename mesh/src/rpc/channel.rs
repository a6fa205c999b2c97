//! [`Channel`]: what generated clients are built on.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, Uri, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{
    CallContext,
    breaker::Breaker,
    caller::refused,
    peer::Peer,
    registry::{Method, Registry},
    retry::backoff,
    server::{self, expired},
    wire::{FRAME_PREFIX, MAX_MESSAGE, failed_status, timeout_of, write_context},
};
use crate::{
    error::{Failure, Reason},
    policy::Retry,
    telemetry::conventions,
};

/// The largest answer that is taken from another process.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// A callee that has not answered after this time is slow, whatever the caller asked for.
const FAIR_CHANCE: Duration = Duration::from_secs(1);

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
                None => server::serve(registry, method, handler.as_ref(), context, request).await,
                Some(breaker) => {
                    if let Err(wait) = breaker.admit() {
                        return cut_off(method, wait);
                    }
                    let started = registry.clock.monotonic();
                    let response =
                        server::serve(registry, method, handler.as_ref(), context, request).await;
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
                let response = call
                    .run(request)
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
        if let Err(failure) = admit_from_outside(method, &context) {
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

/// A call to another process.
struct Remote<'a> {
    registry: &'a Registry,
    method: &'a Method,
    peer: &'a Peer,
    breaker: &'a Breaker,
    context: CallContext,
}

impl Remote<'_> {
    async fn run(&self, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let policy = &self.method.policy;
        let (mut parts, body) = request.into_parts();
        // Extensions are of this process; the peer sends its own.
        parts.extensions.clear();
        parts.uri = path_only(&parts.uri);
        if policy.client_streaming {
            return self.attempt(&parts.headers, &parts, body).await;
        }
        let clock = &self.registry.clock;
        let body = clock
            .timeout(
                self.remaining(),
                Limited::new(body, MAX_MESSAGE + FRAME_PREFIX).collect(),
            )
            .await
            .map_err(|_| expired())?
            .map_err(server::unreadable)?
            .to_bytes();
        let budget = &self.method.slot.budget;
        budget.earn();
        let headers = parts.headers.clone();
        let mut attempt = 0;
        loop {
            let answer = self
                .attempt(
                    &headers,
                    &parts,
                    Body::new(Full::<Bytes>::new(body.clone())),
                )
                .await;
            // An open breaker has refused the call for good: waiting for it would only cost savings.
            let again = policy.retry == Retry::Safe
                && attempt < self.registry.retries
                && is_unavailable(&answer)
                && !self.breaker.is_open()
                && budget.spend();
            if !again {
                return answer;
            }
            let wait = backoff(attempt, &self.registry.ids);
            if self.context.remaining().is_some_and(|left| left <= wait) {
                return answer;
            }
            self.method.meters.retried();
            clock.sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        headers: &HeaderMap,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Failure> {
        self.breaker
            .admit()
            .map_err(|wait| cut_off_failure(self.method, wait))?;
        let started = self.registry.clock.monotonic();
        let answer = self.send(headers, parts, body).await;
        let code = match &answer {
            Ok(response) => code_of(response),
            Err(failure) => failure.reason().code(),
        };
        let took = self.registry.clock.monotonic() - started;
        report(self.breaker, self.method, code, took);
        answer
    }

    /// The time that is left; zero when the deadline has passed.
    fn remaining(&self) -> Duration {
        self.context
            .remaining()
            .unwrap_or(self.method.policy.deadline)
    }

    async fn send(
        &self,
        headers: &HeaderMap,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Failure> {
        let remaining = self.remaining();
        if remaining.is_zero() {
            return Err(expired());
        }
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = headers.clone();
        write_context(&self.context, &self.registry.seal, request.headers_mut())?;
        let exchange = async {
            let response = self.peer.send(request).await.map_err(|error| {
                Failure::unavailable(format!("{} cannot be reached", self.method.slot.target))
                    .caused_by(error)
            })?;
            if self.method.policy.server_streaming {
                return Ok(response);
            }
            // A unary answer is taken whole, so that the deadline and the breaker see its end too.
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| {
                    Failure::unavailable(format!("{} broke off", self.method.slot.target))
                        .caused_by(error)
                })?;
            let mut parts = parts;
            // A failure after the headers is moved into them, where every reader looks first.
            if let Some(status) = body
                .trailers()
                .and_then(Status::from_header_map)
                .filter(|status| status.code() != Code::Ok)
            {
                status
                    .add_header(&mut parts.headers)
                    .map_err(Failure::from)?;
                return Ok(Response::from_parts(parts, Body::empty()));
            }
            Ok(Response::from_parts(parts, Body::new(body)))
        };
        self.registry
            .clock
            .timeout(remaining, exchange)
            .await
            .map_err(|_| expired())?
    }
}

/// Tells the breaker how a call ended. A deadline that passed before the callee had a fair chance is the
/// caller's own: otherwise anybody could cut a service off for all by sending calls without patience.
fn report(breaker: &Breaker, method: &Method, code: Code, took: Duration) {
    if code == Code::DeadlineExceeded && took < FAIR_CHANCE.min(method.policy.deadline) {
        breaker.withdraw();
    } else {
        breaker.report(code);
    }
}

/// Whether another process says who calls. That the caller declares the call is checked with its role.
fn admit_from_outside(method: &Method, context: &CallContext) -> Result<(), Failure> {
    match context.caller() {
        Some(_) => Ok(()),
        None => Err(refused("", method, "another process must say who calls")),
    }
}

fn path_only(uri: &Uri) -> Uri {
    uri.path_and_query()
        .map(|path| Uri::from(path.clone()))
        .unwrap_or_default()
}

fn code_of(response: &Response<Body>) -> Code {
    failed_status(response).map_or(Code::Ok, |status| status.code())
}

fn is_unavailable(answer: &Result<Response<Body>, Failure>) -> bool {
    match answer {
        Ok(response) => code_of(response) == Code::Unavailable,
        Err(failure) => failure.reason() == Reason::Unavailable,
    }
}

fn cut_off(method: &Method, wait: Duration) -> Response<Body> {
    Status::from(cut_off_failure(method, wait)).into_http()
}

fn cut_off_failure(method: &Method, wait: Duration) -> Failure {
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
