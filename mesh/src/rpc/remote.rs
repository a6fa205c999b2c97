//! A call to another process.
//!
//! Three things may send a request a second time, and each has its own licence. A request that nobody has
//! taken (no connection, a refused stream, a process that goes away) is sent to the next process, whatever
//! it does. One whose outcome is open is repeated only when the contract says that it is safe, and the retry
//! budget pays. And a read that the contract marks free of side effects is hedged: when it takes longer than
//! 95 of a hundred do, a second process is asked as well and the first answer wins (Dean and Barroso, "The
//! Tail at Scale", 2013); the same budget pays.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{HeaderMap, Request, Response, Uri, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use parking_lot::Mutex;
use tonic::{Code, Status, body::Body};

use super::{
    CallContext,
    breaker::Breaker,
    caller::{permit, refused},
    channel::{TRY_AGAIN, code_of, cut_off_failure, failed_on_purpose, report},
    peer::{Endpoint, Flight, Peer, SendError},
    registry::{Method, Registry},
    retry::backoff,
    server::{self, authorize, expired},
    wire::{FRAME_PREFIX, MAX_MESSAGE, write_context},
};
use crate::{
    error::{Failure, Reason},
    fault::{INJECTED, Kind, Rigged},
    policy::Retry,
};

/// The largest answer that is taken from another process.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// No hedge is sent sooner: on a quick network the second request would cost more than it saves.
const LEAST_HEDGE_DELAY: Duration = Duration::from_millis(2);

/// A call on its way to another process.
pub(super) struct Remote<'a> {
    pub(super) registry: &'a Registry,
    pub(super) method: &'a Method,
    pub(super) peer: &'a Peer,
    pub(super) breaker: &'a Breaker,
    pub(super) context: CallContext,
}

/// A request that can be sent more than once.
struct Template {
    parts: Parts,
    body: Bytes,
}

/// What became of one attempt.
enum Attempt {
    Answered(Response<Body>),
    /// Nobody has taken the request.
    NotTaken(SendError),
    /// Nobody knows.
    Lost(Failure),
}

impl Remote<'_> {
    pub(super) async fn run(&self, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let policy = &self.method.policy;
        // The callee checks the same; what cannot pass there need not travel.
        authorize(policy, self.context.principal())?;
        match self.context.caller() {
            Some(caller) => permit(caller, self.method)?,
            None => {
                return Err(refused(
                    "",
                    self.method,
                    "a call to another process needs a caller",
                ));
            }
        }
        let (mut parts, body) = request.into_parts();
        // Extensions are of this process; the peer sends its own.
        parts.extensions.clear();
        parts.uri = path_only(&parts.uri);
        if policy.client_streaming {
            return self.stream(&parts, body).await;
        }
        let body = self
            .registry
            .clock
            .timeout(
                self.remaining(),
                Limited::new(body, MAX_MESSAGE + FRAME_PREFIX).collect(),
            )
            .await
            .map_err(|_| expired())?
            .map_err(server::unreadable)?
            .to_bytes();
        self.repeated(&Template { parts, body }).await
    }

    /// Sends the request, and again when that is safe and paid for.
    async fn repeated(&self, template: &Template) -> Result<Response<Body>, Failure> {
        let budget = &self.method.slot.budget;
        budget.earn();
        let mut attempt = 0;
        loop {
            let answer = self.admitted(template).await;
            // An open breaker has refused the call for good: waiting for it would only cost savings.
            let again = self.method.policy.retry == Retry::Safe
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
            self.registry.clock.sleep(wait).await;
            attempt += 1;
        }
    }

    /// Asks the breaker first and tells it the outcome.
    async fn admitted(&self, template: &Template) -> Result<Response<Body>, Failure> {
        self.breaker
            .admit()
            .map_err(|wait| cut_off_failure(self.method, wait))?;
        let started = self.registry.clock.monotonic();
        let limit = self.remaining();
        let answer = if limit.is_zero() {
            Err(expired())
        } else {
            self.registry
                .clock
                .timeout(limit, self.hedged(template))
                .await
                .unwrap_or_else(|_| Err(expired()))
        };
        let took = self.registry.clock.monotonic() - started;
        let code = code_of_outcome(&answer);
        if code == Code::Ok {
            self.method.latencies.observe(took);
        }
        report(self.breaker, self.method, code, took);
        answer
    }

    /// Asks a second process when the first is slow, if the contract allows it.
    async fn hedged(&self, template: &Template) -> Result<Response<Body>, Failure> {
        let tried = Tried::default();
        let Some(delay) = self.hedge_delay() else {
            return self.placed(template, &tried).await;
        };
        let first = std::pin::pin!(self.placed(template, &tried));
        let timer = std::pin::pin!(self.registry.clock.sleep(delay));
        let first = match select(first, timer).await {
            Either::Left((answer, _)) => return answer,
            Either::Right(((), first)) => first,
        };
        let another = tried
            .last()
            .is_some_and(|busy| self.peer.has_another(&busy));
        if !another || !self.method.slot.budget.spend() {
            return first.await;
        }
        let second = std::pin::pin!(self.placed(template, &tried));
        let (answer, winner) = match select(first, second).await {
            Either::Left((answer, second)) if is_unavailable(&answer) => (second.await, "second"),
            Either::Left((answer, _)) => (answer, "first"),
            Either::Right((answer, first)) if is_unavailable(&answer) => (first.await, "first"),
            Either::Right((answer, _)) => (answer, "second"),
        };
        self.method.meters.hedged(winner);
        answer
    }

    fn hedge_delay(&self) -> Option<Duration> {
        let policy = &self.method.policy;
        if !policy.side_effect_free || policy.server_streaming || !self.peer.is_several() {
            return None;
        }
        let delay = self.method.latencies.p95()?.max(LEAST_HEDGE_DELAY);
        (delay < self.remaining()).then_some(delay)
    }

    /// Finds a process that takes the request. When none does, a required target is waited for, as far as
    /// the patience and the deadline go: a process that is being replaced is back soon.
    async fn placed(&self, template: &Template, tried: &Tried) -> Result<Response<Body>, Failure> {
        let clock = &self.registry.clock;
        let patience = clock.monotonic() + self.patience();
        let mut round = 0;
        if !self.peer.is_known() {
            self.peer.refresh().await;
        }
        let mut last = None;
        loop {
            while let Some(endpoint) = self.peer.pick(&tried.all()) {
                tried.add(&endpoint);
                let body = Body::new(Full::new(template.body.clone()));
                match self.attempt(&endpoint, &template.parts, body).await {
                    Attempt::Answered(response) => return Ok(response),
                    Attempt::Lost(failure) => return Err(failure),
                    Attempt::NotTaken(error) => {
                        self.peer.resent();
                        last = Some(error);
                    }
                }
            }
            let wait = backoff(round, &self.registry.ids);
            if clock.monotonic() + wait >= patience {
                return Err(self.unreachable(last));
            }
            clock.sleep(wait).await;
            round += 1;
            tried.forget();
        }
    }

    /// Sends a request whose body is a stream, which cannot be repeated.
    async fn stream(&self, parts: &Parts, body: Body) -> Result<Response<Body>, Failure> {
        self.breaker
            .admit()
            .map_err(|wait| cut_off_failure(self.method, wait))?;
        if !self.peer.is_known() {
            self.peer.refresh().await;
        }
        let started = self.registry.clock.monotonic();
        let answer = match self.peer.pick(&[]) {
            None => Err(self.unreachable(None)),
            Some(endpoint) => {
                let attempt = self.attempt(&endpoint, parts, body);
                match self.registry.clock.timeout(self.remaining(), attempt).await {
                    Ok(Attempt::Answered(response)) => Ok(response),
                    Ok(Attempt::Lost(failure)) => Err(failure),
                    Ok(Attempt::NotTaken(error)) => Err(self.unreachable(Some(error))),
                    Err(_) => Err(expired()),
                }
            }
        };
        let took = self.registry.clock.monotonic() - started;
        report(self.breaker, self.method, code_of_outcome(&answer), took);
        answer
    }

    /// Sends the request to one process and takes its answer.
    async fn attempt(&self, endpoint: &Arc<Endpoint>, parts: &Parts, body: Body) -> Attempt {
        let clock = &self.registry.clock;
        let request = match self.request(parts, body) {
            Ok(request) => request,
            Err(failure) => return Attempt::Lost(failure),
        };
        let flight = self.peer.begin(endpoint);
        let started = clock.monotonic();
        let settle = Settle {
            remote: self,
            flight: &flight,
            started,
        };
        let sent = match self.method.faults.rigged() {
            None => self.peer.send(&flight, request).await,
            Some(rigged) => Box::pin(self.send_rigged(rigged, &flight, request)).await,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error @ SendError::NotTaken(_)) => {
                settle.with(Code::Unavailable);
                return Attempt::NotTaken(error);
            }
            Err(error) => {
                settle.with(Code::Unavailable);
                return Attempt::Lost(self.broke_off(error));
            }
        };
        let answer = if self.method.policy.server_streaming {
            Ok(response)
        } else {
            self.whole(response).await
        };
        settle.with(code_of_outcome(&answer));
        match answer {
            Ok(response) => Attempt::Answered(response),
            Err(failure) => Attempt::Lost(failure),
        }
    }

    /// Sends the request with what is made to go wrong on the way: below retries, hedges and breakers, so that
    /// they see it.
    async fn send_rigged(
        &self,
        rigged: &Rigged,
        flight: &Flight,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        let blow = rigged.strike().await;
        if blow == Some(Kind::Fail) {
            return Ok(failed_on_purpose(self.method));
        }
        let sent = self.peer.send(flight, request).await;
        match (blow, sent) {
            (Some(Kind::Cut), Ok(response)) => {
                // The answer has come to its end, so the callee has done its work.
                if !self.method.policy.server_streaming {
                    let _ = self.whole(response).await;
                }
                Err(SendError::Broken(INJECTED.into()))
            }
            (_, sent) => sent,
        }
    }

    fn request(&self, parts: &Parts, body: Body) -> Result<Request<Body>, Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = HeaderMap::clone(&parts.headers);
        // The remaining time is written anew for each attempt.
        write_context(&self.context, &self.registry.seal, request.headers_mut())?;
        Ok(request)
    }

    /// A unary answer is taken whole, so that the deadline and the breaker see its end too.
    async fn whole(&self, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let (mut parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| self.broke_off(error))?;
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
    }

    /// The time that is left; zero when the deadline has passed.
    fn remaining(&self) -> Duration {
        self.context
            .remaining()
            .unwrap_or(self.method.policy.deadline)
    }

    /// How long a process is waited for when none can be reached. Whoever can do without a target is told
    /// at once that it is not there.
    fn patience(&self) -> Duration {
        if self.method.slot.optional {
            Duration::ZERO
        } else {
            self.registry.patience
        }
    }

    fn unreachable(&self, cause: Option<SendError>) -> Failure {
        let failure =
            Failure::unavailable(format!("{} cannot be reached", self.method.slot.target))
                .with_retry_after(TRY_AGAIN);
        match cause {
            Some(error) => failure.caused_by(error),
            None => failure,
        }
    }

    fn broke_off(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        Failure::unavailable(format!("{} broke off", self.method.slot.target))
            .with_retry_after(TRY_AGAIN)
            .caused_by(error)
    }
}

/// Notes the outcome of an attempt at the process that it went to. One that is given up at the deadline
/// counts as failed there, if the process had a fair chance; one that a faster process has overtaken does
/// not count.
struct Settle<'a> {
    remote: &'a Remote<'a>,
    flight: &'a Flight,
    started: std::time::Instant,
}

impl Settle<'_> {
    fn with(self, code: Code) {
        let took = self.took();
        self.remote.peer.finish(self.flight, code, took);
        std::mem::forget(self);
    }

    fn took(&self) -> Duration {
        self.remote
            .registry
            .clock
            .monotonic()
            .saturating_duration_since(self.started)
    }
}

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        let took = self.took();
        if self.remote.remaining().is_zero() && took >= super::channel::FAIR_CHANCE {
            self.remote
                .peer
                .finish(self.flight, Code::DeadlineExceeded, took);
        }
    }
}

/// The processes that a call has been sent to.
#[derive(Default)]
struct Tried(Mutex<Vec<Arc<Endpoint>>>);

impl Tried {
    fn all(&self) -> Vec<Arc<Endpoint>> {
        self.0.lock().clone()
    }

    fn last(&self) -> Option<Arc<Endpoint>> {
        self.0.lock().last().cloned()
    }

    fn add(&self, endpoint: &Arc<Endpoint>) {
        self.0.lock().push(Arc::clone(endpoint));
    }

    fn forget(&self) {
        self.0.lock().clear();
    }
}

fn path_only(uri: &Uri) -> Uri {
    uri.path_and_query()
        .map(|path| Uri::from(path.clone()))
        .unwrap_or_default()
}

fn code_of_outcome(answer: &Result<Response<Body>, Failure>) -> Code {
    match answer {
        Ok(response) => code_of(response),
        Err(failure) => failure.reason().code(),
    }
}

fn is_unavailable(answer: &Result<Response<Body>, Failure>) -> bool {
    match answer {
        Ok(response) => code_of(response) == Code::Unavailable,
        Err(failure) => failure.reason() == Reason::Unavailable,
    }
}
