//! The gRPC and gRPC-Web faces: the same authentication, policy and limits as for REST, then straight
//! to the mesh.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use contracts::hub::identity::v1::Session;
use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use mesh::{Failure, Reason, principal::Role, rpc::strip_internal_headers};
use prost::Message;
use tonic::{Status, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    auth::{self, Caller, Via, cookies, csrf},
    body::{Bounded, EdgeBody, Inbound},
    edge::{Edge, Notes},
    exchange::{Exchange, text},
    pipeline,
    refusal::Refusal,
    routes::{Route, SessionEffect},
    wire,
};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The protocol that a content type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `application/grpc`: native clients. They have no cookies and get none.
    Grpc,
    /// `application/grpc-web`, `application/grpc-web-text`: browsers.
    GrpcWeb,
    /// Anything else.
    Rest,
}

impl Face {
    /// The face for a request with `headers`.
    pub fn of(headers: &HeaderMap) -> Self {
        let content_type = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.strip_prefix("application/grpc") {
            Some("") => Self::Grpc,
            Some(rest) if rest.starts_with('+') => Self::Grpc,
            Some("-web" | "-web+proto" | "-web-text" | "-web-text+proto") => Self::GrpcWeb,
            _ => Self::Rest,
        }
    }

    /// Name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Rest => "rest",
        }
    }
}

/// Serves one request on `face`; a refusal is a gRPC status like any other.
pub async fn serve<B: Inbound>(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    request: Request<B>,
    face: Face,
    notes: &mut Notes,
) -> Response<EdgeBody> {
    let config = &edge.config;
    let request = request.map(|body| {
        Body::new(Bounded::new(
            body,
            // The services have the exact limit; this one only has to end what never ends, also when
            // it comes in base64.
            mesh::rpc::MAX_MESSAGE * 2,
            config.body_timeout(),
            edge.hub.clock().clone(),
        ))
    });
    let response = match face {
        Face::GrpcWeb => {
            // tonic-web wants an owned service, so the notes travel through it and back.
            let (edge, exchange) = (Arc::clone(edge), exchange.clone());
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let mut sender = Some(sender);
            let service = service_fn(move |request: Request<Body>| {
                let (edge, exchange, sender) = (Arc::clone(&edge), exchange.clone(), sender.take());
                async move {
                    let mut notes = Notes::default();
                    let response =
                        respond(&edge, &exchange, request, Face::GrpcWeb, &mut notes).await;
                    if let Some(sender) = sender {
                        let _ = sender.send(notes);
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            let Ok(response) = GrpcWebLayer::new().layer(service).oneshot(request).await;
            if let Ok(inner) = receiver.await {
                *notes = inner;
            }
            response
        }
        Face::Grpc | Face::Rest => respond(edge, exchange, request, face, notes).await,
    };
    response.map(EdgeBody::Grpc)
}

async fn respond(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    request: Request<Body>,
    face: Face,
    notes: &mut Notes,
) -> Response<Body> {
    match pass(edge, exchange, request, face, notes).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_status().into_http(),
    }
}

async fn pass(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    mut request: Request<Body>,
    face: Face,
    notes: &mut Notes,
) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::POST {
        return Err(Reason::MethodNotAllowed.into());
    }
    let path = request.uri().path();
    if is_infrastructure(path) {
        request
            .extensions_mut()
            .insert(exchange.context(edge.hub.clock()));
        strip_internal_headers(request.headers_mut());
        let Ok(response) = edge.grpc.clone().call(request).await;
        return Ok(response);
    }
    if edge.is_stopping() {
        return Err(pipeline::stopping().into());
    }
    let unknown = || Failure::new(Reason::Unimplemented, format!("there is no method {path}"));
    let route = Arc::clone(edge.routes.get(path).ok_or_else(unknown)?);
    if route.policy.role == Role::Service {
        // To the outside it does not exist.
        return Err(unknown().into());
    }
    notes.route = Some(Arc::clone(&route));

    let mut context = exchange.context(edge.hub.clock());
    if face == Face::Grpc {
        // Cookies are for browsers; one that a proxy adds must not make a native call depend on CSRF.
        request.headers_mut().remove(header::COOKIE);
    }
    let caller = edge
        .identify(request.headers(), &route, exchange, &context, notes)
        .await?;
    if caller.via == Via::Cookie {
        csrf::check(request.method(), request.headers())?;
    }
    if !route.opens_guest_session {
        auth::admit(&route.policy, &caller.principal)?;
    }
    context = context
        .with_principal(caller.principal)
        .within(route.policy.deadline);
    if let Some(limit) = text(request.headers(), &TIMEOUT).and_then(timeout) {
        context = context.within(limit);
    }
    if route.opens_guest_session && context.principal().is_anonymous() {
        let (session, guest) = edge.guests.open(&context).await?;
        auth::announce(&session, &mut notes.headers);
        if face == Face::GrpcWeb {
            notes.headers.remove(header::SET_COOKIE);
            edge.cookies.open(&session, &mut notes.headers);
        }
        notes.caller = Some(Caller {
            principal: guest.clone(),
            via: Via::Nothing,
        });
        context = context.with_principal(guest);
    }
    if let Some(key) = auth::idempotency_key(request.headers())? {
        context = context.with_idempotency_key(key);
    }
    if face == Face::GrpcWeb {
        request = with_refresh_cookie(&route, request).await?;
    }
    for name in [header::AUTHORIZATION, header::COOKIE] {
        request.headers_mut().remove(name);
    }
    strip_internal_headers(request.headers_mut());
    request.extensions_mut().insert(context);
    let response = edge.hub.channel().dispatch(request).await;
    if route.stales_shared && crate::call::failed(response.headers()).is_none() {
        edge.shared.advance().await;
    }
    if face == Face::GrpcWeb {
        return with_session_cookies(edge, &route, response, notes).await;
    }
    Ok(response)
}

/// Health and reflection, which are not in the contract and open to everybody.
fn is_infrastructure(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")
}

/// As on the REST face: the refresh token may be in its cookie.
async fn with_refresh_cookie(
    route: &Route,
    request: Request<Body>,
) -> Result<Request<Body>, Refusal> {
    let (Some(field), Some(token)) = (
        route.refresh_token,
        cookies::find(request.headers(), cookies::REFRESH).map(str::to_owned),
    ) else {
        return Ok(request);
    };
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let mut buffer = bytes::BytesMut::from(&bytes[..]);
    let message = wire::take_message(&mut buffer)
        .ok()
        .flatten()
        .ok_or_else(|| Failure::new(Reason::InvalidArgument, "the body is not one gRPC message"))?;
    let body = if wire::text_field(&message, field).is_some() {
        bytes
    } else {
        csrf::check(&parts.method, &parts.headers)?;
        wire::frame(&wire::with_text_field(&message, field, &token))
    };
    Ok(Request::from_parts(parts, Body::new(Full::new(body))))
}

/// Browsers keep their session in cookies on this face too.
async fn with_session_cookies(
    edge: &Edge,
    route: &Route,
    response: Response<Body>,
    notes: &mut Notes,
) -> Result<Response<Body>, Refusal> {
    if route.session == SessionEffect::None || crate::call::failed(response.headers()).is_some() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let whole = body.collect().await?;
    let trailers = whole.trailers().cloned();
    let bytes = whole.to_bytes();
    let succeeded = trailers.as_ref().and_then(crate::call::failed).is_none();
    if succeeded {
        notes.headers.remove(header::SET_COOKIE);
        match route.session {
            SessionEffect::Opens => {
                let message = bytes.get(wire::FRAME_PREFIX..).unwrap_or_default();
                let session = Session::decode(message).map_err(Failure::internal)?;
                edge.cookies.open(&session, &mut notes.headers);
            }
            SessionEffect::Ends => edge.cookies.close(&mut notes.headers),
            SessionEffect::None => {}
        }
    }
    let frames = [Some(Frame::data(bytes)), trailers.map(Frame::trailers)]
        .into_iter()
        .flatten()
        .map(Ok::<Frame<Bytes>, Status>);
    Ok(Response::from_parts(
        parts,
        Body::new(StreamBody::new(futures::stream::iter(frames))),
    ))
}

/// Reads a gRPC timeout: at most eight digits and a unit. What is not one is no limit.
fn timeout(text: &str) -> Option<Duration> {
    let digits = text.get(..text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match text.as_bytes().last()? {
        b'H' => Some(Duration::from_secs(value * 3600)),
        b'M' => Some(Duration::from_secs(value * 60)),
        b'S' => Some(Duration::from_secs(value)),
        b'm' => Some(Duration::from_millis(value)),
        b'u' => Some(Duration::from_micros(value)),
        b'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderValue;

    use super::*;

    fn face(content_type: &'static str) -> Face {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Face::of(&headers)
    }

    #[test]
    fn the_content_type_tells_the_face() {
        assert_eq!(face("application/grpc"), Face::Grpc);
        assert_eq!(face("application/grpc+proto"), Face::Grpc);
        assert_eq!(face("application/grpc-web"), Face::GrpcWeb);
        assert_eq!(
            face("application/grpc-web-text+proto; charset=utf-8"),
            Face::GrpcWeb
        );
        assert_eq!(face("application/json"), Face::Rest);
        assert_eq!(face("application/grpcx"), Face::Rest);
        assert_eq!(Face::of(&HeaderMap::new()), Face::Rest);
    }

    #[test]
    fn timeouts_are_read() {
        assert_eq!(timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        for nonsense in ["", "S", "5", "-5S", "123456789S", "5x", "5\u{fc}"] {
            assert_eq!(timeout(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn health_and_reflection_are_open() {
        assert!(is_infrastructure("/grpc.health.v1.Health/Check"));
        assert!(is_infrastructure(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        ));
        assert!(!is_infrastructure("/hub.orders.v1.OrderService/GetOrder"));
    }
}
