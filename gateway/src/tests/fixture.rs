//! A gateway over services that answer as a test tells them to.

#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use contracts::hub::{
    cart::v1::Cart,
    catalog::v1::{Category, Product},
    identity::v1::{JsonWebKey, JsonWebKeySet, RefreshSessionRequest, Session, SessionUser},
    orders::v1::{Order, OrderEvent},
};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use mesh::{
    CallContext, Clock, Config, Failure, Hub, Reason, Service, Sources, store::ScratchDatabase,
};
use parking_lot::Mutex;
use prost::Message;
use serde_json::{Value, json};
use tonic::{Status, body::Body, server::NamedService};

use crate::{
    Gateway,
    auth::token::tests::{Issuer, issuer, now, sign},
    body::EdgeBody,
    pipeline, service, wire,
};

/// What the services have seen and shall do.
#[derive(Default)]
pub struct Script {
    /// Calls by method name.
    pub calls: HashMap<String, u32>,
    /// The context and headers of the last call by method name.
    pub last: HashMap<String, (CallContext, HeaderMap)>,
    /// What a method answers instead of its usual answer.
    pub failures: HashMap<String, Failure>,
}

type Shared = Arc<Mutex<Script>>;

macro_rules! stub {
    ($name:ident $service:literal) => {
        #[derive(Clone)]
        struct $name(Stub);

        impl NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl tower::Service<Request<Body>> for $name {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Self::Future {
                let stub = self.0.clone();
                Box::pin(async move { Ok(stub.serve(request).await) })
            }
        }
    };
}

stub!(Auth "hub.identity.v1.AuthService");
stub!(Users "hub.identity.v1.UserService");
stub!(Catalog "hub.catalog.v1.CatalogService");
stub!(Management "hub.catalog.v1.CatalogManagementService");
stub!(Carts "hub.cart.v1.CartService");
stub!(Orders "hub.orders.v1.OrderService");
stub!(Payments "hub.payments.v1.PaymentService");

#[derive(Clone)]
struct Stub {
    script: Shared,
    issuer: Arc<Mutex<Issuer>>,
}

impl Stub {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let context = request.extensions().get::<CallContext>().unwrap().clone();
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let headers = request.headers().clone();
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let message = wire::take_message(&mut BytesMut::from(&bytes[..]))
            .unwrap()
            .unwrap();
        let (count, failure) = {
            let mut script = self.script.lock();
            let count = script.calls.entry(method.clone()).or_insert(0);
            *count += 1;
            let count = *count;
            script
                .last
                .insert(method.clone(), (context.clone(), headers));
            (count, script.failures.get(&method).cloned())
        };
        if let Some(failure) = failure {
            return Status::from(failure).into_http();
        }
        match self.answer(&method, &message, &context, count) {
            Ok(messages) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let frames = messages
                    .iter()
                    .map(|message| Frame::data(wire::frame(message)))
                    .chain([Frame::trailers(trailers)])
                    .map(Ok::<Frame<Bytes>, Status>)
                    .collect::<Vec<_>>();
                let mut response =
                    Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))));
                response
                    .headers_mut()
                    .insert("content-type", HeaderValue::from_static("application/grpc"));
                response
            }
            Err(failure) => Status::from(failure).into_http(),
        }
    }

    fn answer(
        &self,
        method: &str,
        message: &[u8],
        context: &CallContext,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let one = |message: Vec<u8>| Ok(vec![message]);
        match method {
            "GetJwks" => {
                let issuer = self.issuer.lock();
                one(JsonWebKeySet {
                    keys: vec![JsonWebKey {
                        kty: "EC".into(),
                        crv: "P-256".into(),
                        x: issuer.point.0.clone(),
                        y: issuer.point.1.clone(),
                        kid: issuer.key_id.clone(),
                        alg: "ES256".into(),
                        r#use: "sig".into(),
                    }],
                }
                .encode_to_vec())
            }
            "Login" | "SignUp" => one(session("customer", "u-1", count).encode_to_vec()),
            "CreateGuestSession" => {
                one(session("guest", &format!("g-{count}"), count).encode_to_vec())
            }
            "RefreshSession" => {
                let request = RefreshSessionRequest::decode(message).unwrap();
                if request.refresh_token.is_empty() {
                    return Err(Failure::new(Reason::InvalidCredentials, "no refresh token"));
                }
                one(session("customer", &request.refresh_token, count).encode_to_vec())
            }
            "GetProduct" => one(Product {
                product_id: "p-1".into(),
                name: format!("call {count}"),
                ..Product::default()
            }
            .encode_to_vec()),
            "AddCartItem" | "GetCart" => one(Cart {
                cart_id: context.principal().subject().to_owned(),
                ..Cart::default()
            }
            .encode_to_vec()),
            "CreateOrder" | "GetOrder" | "CancelOrder" => one(Order {
                order_number: format!("HPH-{count}"),
                ..Order::default()
            }
            .encode_to_vec()),
            "StreamOrderEvents" => Ok((1..=2)
                .map(|number| {
                    OrderEvent {
                        event_id: format!("e-{number}"),
                        event_type: "OrderCreated".into(),
                        ..OrderEvent::default()
                    }
                    .encode_to_vec()
                })
                .collect()),
            "CreateCategory" => one(Category::default().encode_to_vec()),
            _ => one(Vec::new()),
        }
    }
}

fn session(role: &str, id: &str, count: u32) -> Session {
    Session {
        access_token: format!("access-{count}"),
        token_type: "Bearer".into(),
        expires_in: 900,
        refresh_token: format!("refresh-{count}"),
        user: Some(SessionUser {
            user_id: id.to_owned(),
            role: role.to_owned(),
            ..SessionUser::default()
        }),
    }
}

/// A gateway and the services behind it.
pub struct Fixture {
    _dir: tempfile::TempDir,
    pub hub: Hub,
    pub gateway: Gateway,
    pub script: Shared,
    pub clock: Clock,
    issuer: Arc<Mutex<Issuer>>,
    peers: AtomicU32,
    // Dropped after the hub.
    _database: Option<ScratchDatabase>,
}

/// A response that has been read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn cookies(&self) -> Vec<&str> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    /// The reason in an error of the house format.
    pub fn reason(&self) -> String {
        self.json()["error"]["details"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings such as `("gateway.cache_seconds", "0")`.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::over(
            Stub {
                script: Shared::default(),
                issuer: Arc::new(Mutex::new(issuer())),
            },
            settings,
        )
        .await
    }

    /// Another gateway over the same services.
    pub async fn beside(&self, settings: &[(&str, &str)]) -> Self {
        let stub = Stub {
            script: Arc::clone(&self.script),
            issuer: Arc::clone(&self.issuer),
        };
        Self::over(stub, settings).await
    }

    async fn over(stub: Stub, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(now());
        let database = ScratchDatabase::create().await.unwrap();
        let sources = Sources {
            overrides: settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .chain(database.iter().map(ScratchDatabase::setting))
                .collect(),
            ..Sources::default()
        };
        let hub = Hub::builder()
            .config(Config::load(&sources).unwrap())
            .data_dir(dir.path())
            .clock(clock.clone())
            .build()
            .await
            .unwrap();
        let services = Service::builder("stubs")
            .rpc(Auth(stub.clone()))
            .rpc(Users(stub.clone()))
            .rpc(Catalog(stub.clone()))
            .rpc(Management(stub.clone()))
            .rpc(Carts(stub.clone()))
            .rpc(Orders(stub.clone()))
            .rpc(Payments(stub.clone()))
            .build();
        let own = service::register(&hub).await.unwrap();
        hub.start(vec![services, own]).await.unwrap();
        let gateway = Gateway::new(&hub).unwrap();
        gateway
            .edge
            .keep_books(service::ledger(&hub).await.unwrap());
        Self {
            _dir: dir,
            hub,
            gateway,
            script: stub.script,
            clock,
            issuer: stub.issuer,
            peers: AtomicU32::new(1),
            _database: database,
        }
    }

    /// A good access token.
    pub fn token(&self, role: &str, subject: &str) -> String {
        self.token_with(role, subject, |_| {})
    }

    pub fn token_with(&self, role: &str, subject: &str, change: impl FnOnce(&mut Value)) -> String {
        let at = self.clock.now().timestamp();
        let mut claims = json!({
            "iss": "hub", "aud": "hub", "sub": subject, "role": role, "sid": format!("s-{subject}"),
            "iat": at, "exp": at + 900,
        });
        change(&mut claims);
        sign(&self.issuer.lock(), &claims)
    }

    /// The issuer signs with another key from now on.
    pub fn rotate_key(&self) {
        let mut next = issuer();
        next.key_id = "k-2".to_owned();
        *self.issuer.lock() = next;
    }

    pub fn calls(&self, method: &str) -> u32 {
        self.script.lock().calls.get(method).copied().unwrap_or(0)
    }

    pub fn last(&self, method: &str) -> (CallContext, HeaderMap) {
        self.script.lock().last.get(method).unwrap().clone()
    }

    pub fn fail(&self, method: &str, failure: Failure) {
        self.script
            .lock()
            .failures
            .insert(method.to_owned(), failure);
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Sends a request from an address of its own, so that tests do not share a budget.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let peer = self.peers.fetch_add(1, Ordering::Relaxed);
        self.send_from(peer, request, body).await
    }

    pub async fn send_from(
        &self,
        peer: u32,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Answer {
        let response = self.open(peer, request, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let mut headers = parts.headers;
        if let Some(trailers) = body.trailers() {
            headers.extend(trailers.clone());
        }
        Answer {
            status: parts.status.as_u16(),
            headers,
            body: body.to_bytes(),
        }
    }

    pub async fn open(
        &self,
        peer: u32,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response<EdgeBody> {
        let peer = (std::net::Ipv4Addr::from(0x0a00_0000 + peer), 4000).into();
        let request = request.body(Full::new(body.into())).unwrap();
        // Boxed, as hyper boxes it: the pipeline's futures are too deep to be part of every test's.
        Box::pin(pipeline::serve(&self.gateway.edge, peer, request)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(json_post(path), body.to_string()).await
    }
}

pub fn json_post(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

/// An order that passes validation.
pub fn order() -> Value {
    let address = json!({
        "name": "A", "line1": "1 Main", "city": "X", "state": "NY", "postal_code": "10001", "country": "US",
    });
    json!({"shipping_address": address, "shipping_method": "standard", "payment_method": "pm_card_visa"})
}

pub const PRODUCT: &str = "0190b0f2-7e2b-7c3a-8000-000000000001";

pub fn cart_item() -> Value {
    json!({"product_id": PRODUCT, "quantity": 1})
}
