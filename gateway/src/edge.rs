//! Everything that requests are served with, put together once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderMap;
use mesh::{CallContext, Failure, Hub, Principal, rpc::GrpcRoutes};
use transcoding::{Options, Transcoder};

use crate::{
    GatewayError,
    admission::{Admission, Memory, Question, Sharing, Verdict},
    auth::{Authenticator, Caller, GuestDesk, cookies::CookieJar},
    call::Backend,
    config::{AuthConfig, GatewayConfig, Network},
    cors::Cors,
    exchange::Exchange,
    idempotency::Ledger,
    images::Images,
    limits::Standing,
    pages::Pages,
    routes::{Route, Routes},
    shared_cache::{Generation, SharedCache},
};

/// The parts of the edge.
pub struct Edge {
    pub hub: Hub,
    pub config: GatewayConfig,
    pub proxies: Vec<Network>,
    pub transcoder: Transcoder,
    pub routes: Routes,
    pub backend: Backend,
    pub grpc: GrpcRoutes,
    pub auth: Authenticator,
    pub guests: GuestDesk,
    pub cookies: CookieJar,
    pub admission: Admission,
    pub cors: Cors,
    pub shared: SharedCache,
    pub pages: Pages,
    pub images: Images,
    ledger: OnceLock<Arc<Ledger>>,
}

/// What serving a request has found out about it, for its response and for the log.
#[derive(Default)]
pub struct Notes {
    /// The RPC that it is for.
    pub route: Option<Arc<Route>>,
    /// Who sent it.
    pub caller: Option<Caller>,
    /// What is left of the caller's budget.
    pub standing: Option<Standing>,
    /// Headers for the response, whatever it will be.
    pub headers: HeaderMap,
}

impl Notes {
    /// Adds what was noted to the headers of the response.
    pub fn annotate(&self, headers: &mut HeaderMap) {
        if let Some(standing) = &self.standing {
            standing.decorate(headers);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}

impl Edge {
    /// Puts the edge of `hub` together.
    ///
    /// # Errors
    /// A configuration or a contract that cannot be used.
    pub fn new(hub: &Hub) -> Result<Self, GatewayError> {
        let config: GatewayConfig = hub.config("gateway")?;
        let auth: AuthConfig = hub.config("auth")?;
        auth.check(hub.profile())?;
        let transcoder = Transcoder::new(contracts::descriptor_pool(), Options::default())?;
        let routes = Routes::new(hub);
        let cookies = CookieJar::new(&auth, routes.refresh_paths(&transcoder));
        let clock = hub.clock().clone();
        Ok(Self {
            proxies: config.proxies()?,
            routes,
            backend: Backend::new(hub.channel()),
            grpc: hub.grpc_routes(),
            auth: Authenticator::new(hub, &auth),
            guests: GuestDesk::new(hub.channel()),
            cookies,
            admission: Admission::new(hub),
            cors: Cors::new(&config.origins(hub.profile()))?,
            shared: SharedCache::new(
                Memory::of(hub),
                config.cache_mebibytes.saturating_mul(1024 * 1024),
                Duration::from_secs(config.cache_seconds),
                clock,
            ),
            pages: Pages::new(hub),
            images: Images::new(hub.blobs().clone()),
            transcoder,
            ledger: OnceLock::new(),
            hub: hub.clone(),
            config,
        })
    }

    /// Gives the edge its ledger, which takes a store that is opened asynchronously.
    pub fn keep_books(&self, ledger: Ledger) {
        // A second one would be on the same store.
        let _ = self.ledger.set(Arc::new(ledger));
    }

    /// The ledger of idempotent requests.
    ///
    /// # Errors
    /// The edge is not serving yet.
    pub fn ledger(&self) -> Result<&Arc<Ledger>, Failure> {
        self.ledger
            .get()
            .ok_or_else(|| Failure::unavailable("the gateway is starting"))
    }

    /// Who sent a request to `route`; one request is taken out of the caller's budget.
    ///
    /// # Errors
    /// Credentials that prove nothing, or a budget that is used up. Who sends bad credentials draws
    /// from the budget of its address, so that guessing is no way around it.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        route: &Route,
        exchange: &Exchange,
        context: &CallContext,
        notes: &mut Notes,
    ) -> Result<Caller, Failure> {
        let rejected = match self.auth.caller(headers, context).await {
            Ok(proven) => {
                let verdict = self
                    .admission
                    .ask(Question {
                        class: route.policy.rate_class,
                        principal: &proven.caller.principal,
                        address: exchange.address(),
                        session: &proven.session,
                        sharing: Sharing::Own,
                    })
                    .await;
                if verdict.revoked {
                    proven.revoked()
                } else {
                    notes.caller = Some(proven.caller.clone());
                    notes.standing = verdict.standing;
                    self.admit(notes)?;
                    return Ok(proven.caller);
                }
            }
            Err(rejected) => rejected,
        };
        if rejected.is_worthless_cookie() {
            self.cookies.drop_access(&mut notes.headers);
        }
        let outcome = rejected.forgiven(route);
        if let Ok(caller) = &outcome {
            notes.caller = Some(caller.clone());
        }
        self.draw(route, exchange, Sharing::Own, notes).await?;
        outcome
    }

    /// Takes one request to `route` out of the budget of an anonymous caller. Gives the generation of
    /// shared answers.
    ///
    /// # Errors
    /// The budget is used up.
    pub async fn draw(
        &self,
        route: &Route,
        exchange: &Exchange,
        sharing: Sharing,
        notes: &mut Notes,
    ) -> Result<Generation, Failure> {
        let Verdict {
            standing,
            generation,
            ..
        } = self
            .admission
            .ask(Question {
                class: route.policy.rate_class,
                principal: &Principal::anonymous(),
                address: exchange.address(),
                session: "",
                sharing,
            })
            .await;
        notes.standing = standing;
        self.admit(notes)?;
        Ok(generation)
    }

    fn admit(&self, notes: &Notes) -> Result<(), Failure> {
        notes.standing.as_ref().map_or(Ok(()), Standing::admit)
    }

    /// Whether the hub drains.
    pub fn is_stopping(&self) -> bool {
        self.hub.shutdown_token().is_cancelled()
    }

    /// Whether answers are shared at all.
    pub fn shares(&self) -> bool {
        self.config.cache_seconds > 0
    }
}
