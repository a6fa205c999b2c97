//! The REST face: `google.api.http` rules, JSON in and out, status codes of HTTP.

mod answer;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header, request::Parts};
use mesh::{CallContext, Failure, Reason, policy::Idempotency};
use transcoding::{Binding, Match, stream::StreamFormat};

use crate::{
    admission::Sharing,
    auth::{self, Caller, Via, cookies, csrf},
    body::{EdgeBody, Inbound, read_all},
    edge::{Edge, Notes},
    exchange::{Exchange, text},
    idempotency::{self, Keyed},
    refusal::Refusal,
    routes::Route,
    wire,
};

/// Headers of clients that mean something to a service.
const FORWARDED: [HeaderName; 1] = [HeaderName::from_static("stripe-signature")];
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Serves one request.
///
/// # Errors
/// Why it is not served.
pub async fn serve<B: Inbound>(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    parts: &Parts,
    body: B,
    notes: &mut Notes,
) -> Result<Response<EdgeBody>, Refusal> {
    let method = match parts.method {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    let matched = edge.transcoder.route(method, parts.uri.path())?;
    let route = edge
        .routes
        .get(matched.binding().grpc_path())
        .ok_or_else(|| Failure::internal("a binding without a policy"))?;
    notes.route = Some(Arc::clone(route));
    let request = Request {
        edge,
        exchange,
        parts,
        route,
        binding: matched.binding(),
    };
    if method == Method::GET
        && route.shared.is_some()
        && edge.shares()
        && !auth::has_credentials(&parts.headers)
    {
        return request.shared(&matched, body, notes).await;
    }
    request.own(&matched, body, notes).await
}

/// One request and the RPC that it is for.
struct Request<'a> {
    edge: &'a Arc<Edge>,
    exchange: &'a Exchange,
    parts: &'a Parts,
    route: &'a Arc<Route>,
    binding: &'a Binding,
}

impl Request<'_> {
    /// A read without credentials, whose answer others may share.
    async fn shared<B: Inbound>(
        &self,
        matched: &Match<'_>,
        body: B,
        notes: &mut Notes,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let generation = self
            .edge
            .draw(self.route, self.exchange, Sharing::Shared, notes)
            .await?;
        // A body is refused by the transcoder, so it must not hide behind a hit.
        let target = match body.size_hint().exact() {
            Some(0) => self
                .parts
                .uri
                .path_and_query()
                .map(http::uri::PathAndQuery::as_str),
            _ => None,
        };
        let Some(target) = target else {
            return self
                .call(
                    matched,
                    body,
                    self.exchange.context(self.edge.hub.clock()),
                    notes,
                )
                .await;
        };
        if let Some(entry) = self.edge.shared.get(target, &generation) {
            return Ok(self.shared_answer(&entry));
        }
        let message = self.read(matched, body).await?;
        let context = self
            .exchange
            .context(self.edge.hub.clock())
            .within(self.route.policy.deadline);
        let reply = self
            .edge
            .backend
            .unary(&self.route.policy.path, &message, self.metadata(), context)
            .await?;
        let entry = self.shared_entry(&reply)?;
        let life = self.route.shared.unwrap_or_default();
        let entry = self.edge.shared.put(target, generation, life, entry);
        Ok(self.shared_answer(&entry))
    }

    /// A request on the caller's own account.
    async fn own<B: Inbound>(
        &self,
        matched: &Match<'_>,
        body: B,
        notes: &mut Notes,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let headers = &self.parts.headers;
        let context = self.exchange.context(self.edge.hub.clock());
        let policy = &self.route.policy;
        let caller = self
            .edge
            .identify(headers, self.route, self.exchange, &context, notes)
            .await?;
        if caller.via == Via::Cookie {
            csrf::check(&self.parts.method, headers)?;
        }
        if !self.route.opens_guest_session {
            auth::admit(policy, &caller.principal)?;
        }
        let context = context
            .with_principal(caller.principal)
            .within(policy.deadline);
        self.call(matched, body, context, notes).await
    }

    /// The call itself, with an idempotency key if there is one.
    async fn call<B: Inbound>(
        &self,
        matched: &Match<'_>,
        body: B,
        mut context: CallContext,
        notes: &mut Notes,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let policy = &self.route.policy;
        let key = auth::idempotency_key(&self.parts.headers)?;
        let key = idempotency::require(self.idempotency(), key)?;
        let body = self.body(body).await?;
        let message = self.transcode(matched, &body)?;
        let message = self.with_refresh_cookie(message)?;
        if self.route.opens_guest_session && context.principal().is_anonymous() {
            context = self.as_guest(&context, notes).await?;
        }
        if let Some(key) = key {
            context = context.with_idempotency_key(key);
        }
        if policy.server_streaming {
            return self.stream(message, context).await;
        }
        let Some(key) = key else {
            let reply = self
                .edge
                .backend
                .unary(&policy.path, &message, self.metadata(), context)
                .await?;
            return self.answer(&reply, notes).await;
        };
        let outcome = {
            let owner = match context.principal().subject() {
                "" => self.exchange.address().to_string(),
                subject => subject.to_owned(),
            };
            let target = self
                .parts
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str());
            let keyed = Keyed::new(&owner, &policy.path, key, &[target.as_bytes(), &body]);
            let (backend, path, metadata) = (
                self.edge.backend.clone(),
                policy.path.clone(),
                self.metadata(),
            );
            let call = async move { backend.unary(&path, &message, metadata, context).await };
            idempotency::once(self.edge.ledger()?, keyed, policy.deadline, call).await?
        };
        if outcome.replayed {
            notes
                .headers
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        self.answer(&outcome.answer?, notes).await
    }

    /// Keys are for POST; methods that are idempotent by themselves need none.
    fn idempotency(&self) -> Idempotency {
        if self.parts.method == Method::POST {
            self.route.policy.idempotency
        } else {
            Idempotency::Unspecified
        }
    }

    async fn read<B: Inbound>(&self, matched: &Match<'_>, body: B) -> Result<Bytes, Refusal> {
        let body = self.body(body).await?;
        self.transcode(matched, &body)
    }

    async fn body<B: Inbound>(&self, body: B) -> Result<Bytes, Refusal> {
        if text(&self.parts.headers, &header::CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity")
        {
            let failure = Failure::new(
                Reason::UnsupportedMediaType,
                "bodies must not be compressed",
            );
            return Err(failure.into());
        }
        let config = &self.edge.config;
        Ok(read_all(
            body,
            config.body_limit_bytes,
            config.body_timeout(),
            self.edge.hub.clock(),
        )
        .await?)
    }

    fn transcode(&self, matched: &Match<'_>, body: &[u8]) -> Result<Bytes, Refusal> {
        let content_type = text(&self.parts.headers, &header::CONTENT_TYPE);
        Ok(self.edge.transcoder.read_request(
            matched,
            self.parts.uri.query(),
            content_type,
            body,
        )?)
    }

    /// On the web the refresh token is in its cookie, where no script can read it to put it into the
    /// body. Relying on a cookie needs the CSRF proof.
    fn with_refresh_cookie(&self, message: Bytes) -> Result<Bytes, Refusal> {
        let headers = &self.parts.headers;
        let (Some(field), Some(token)) = (
            self.route.refresh_token,
            cookies::find(headers, cookies::REFRESH),
        ) else {
            return Ok(message);
        };
        if wire::text_field(&message, field).is_some() {
            return Ok(message);
        }
        csrf::check(&self.parts.method, headers)?;
        Ok(wire::with_text_field(&message, field, token))
    }

    async fn as_guest(
        &self,
        context: &CallContext,
        notes: &mut Notes,
    ) -> Result<CallContext, Refusal> {
        let (session, guest) = self.edge.guests.open(context).await?;
        notes.headers.remove(header::SET_COOKIE);
        self.edge.cookies.open(&session, &mut notes.headers);
        auth::announce(&session, &mut notes.headers);
        notes.caller = Some(Caller {
            principal: guest.clone(),
            via: Via::Nothing,
        });
        Ok(context.with_principal(guest))
    }

    async fn stream(
        &self,
        message: Bytes,
        context: CallContext,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let headers = &self.parts.headers;
        let format = StreamFormat::negotiate(text(headers, &header::ACCEPT));
        let message = match (self.route.resumes_after, text(headers, &LAST_EVENT_ID)) {
            (Some(field), Some(last)) if wire::text_field(&message, field).is_none() => {
                wire::with_text_field(&message, field, last)
            }
            _ => message,
        };
        let path = &self.route.policy.path;
        let response = self
            .edge
            .backend
            .open(path, &message, self.metadata(), context)
            .await?;
        Ok(stream::respond(
            self.edge,
            self.exchange,
            self.route,
            self.binding,
            format,
            response.into_body(),
        ))
    }

    fn metadata(&self) -> HeaderMap {
        let mut metadata = HeaderMap::new();
        for name in FORWARDED {
            if let Some(value) = self.parts.headers.get(&name) {
                metadata.insert(name, value.clone());
            }
        }
        metadata
    }
}
