//! What the gateway registers with the hub: its store, and what it hears of products and sessions.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::DateTime;
use mesh::{
    Hub, Service, StartError,
    events::{Audience, Consumer, Data, Effect, Envelope, ReactError},
};

use crate::{
    admission::Memory,
    body::BoxError,
    config::{AuthConfig, GatewayConfig},
    cors::Cors,
    idempotency::{Ledger, MIGRATIONS},
};

/// Name of the gateway among the services, and of its store.
pub const NAME: &str = "gateway";
/// How often expired answers are purged.
const PURGE: Duration = Duration::from_secs(300);

/// Opens the gateway's store and registers what runs beside the listener.
///
/// # Errors
/// The store or the configuration cannot be used.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    // Read here too, so that a mistake in them is found before anything is seeded or served.
    let config: GatewayConfig = hub.config(NAME)?;
    let auth: AuthConfig = hub.config("auth")?;
    let wrong = |setting: &str, error: BoxError| StartError::other(setting, error);
    config
        .proxies()
        .map_err(|error| wrong("gateway.trusted_proxies", error.into()))?;
    Cors::new(&config.origins(hub.profile()))
        .map_err(|error| wrong("gateway.cors_origins", error.into()))?;
    auth.check(hub.profile())
        .map_err(|error| wrong("auth", error.into()))?;
    warn_of_a_lonely_ledger(hub);
    let ledger = ledger(hub).await?;
    let store = hub.store(NAME, MIGRATIONS).await?;
    let clock = hub.clock().clone();
    Ok(Service::builder(NAME)
        .edge()
        .store(store)
        .consumer(ForgetSharedAnswers {
            memory: Memory::of(hub),
        })
        .consumer(RefuseEndedSessions::of(hub))
        .task("purge-idempotency", move |shutdown| async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), StartError>(()),
                    () = clock.sleep(PURGE) => {}
                }
                match ledger.purge().await {
                    Ok(0) => {}
                    Ok(removed) => {
                        tracing::debug!(removed, "expired idempotent answers were purged")
                    }
                    // The next round tries again; nothing else suffers.
                    Err(error) => {
                        tracing::warn!(%error, "expired idempotent answers were not purged")
                    }
                }
            }
        })
        .build())
}

/// Redis means several processes. With a file for a store each gateway among them would have a ledger of
/// its own, and a request that is sent again to another one would be run again.
fn warn_of_a_lonely_ledger(hub: &Hub) {
    let settings = hub.settings();
    if !settings.redis_url.expose().is_empty() && settings.database_url.expose().is_empty() {
        tracing::warn!(
            "idempotency keys are kept by this gateway alone; run one gateway, or set DATABASE_URL for all"
        );
    }
}

/// The ledger in the gateway's store.
pub async fn ledger(hub: &Hub) -> Result<Ledger, StartError> {
    let config: GatewayConfig = hub.config(NAME)?;
    let store = hub.store(NAME, MIGRATIONS).await?;
    Ok(Ledger::new(
        store,
        hub.cache(),
        hub.clock().clone(),
        hub.ids().clone(),
        config.idempotency_hours,
    ))
}

/// Products changed: answers that show them are not shared any more.
struct ForgetSharedAnswers {
    memory: Arc<Memory>,
}

#[async_trait]
impl Consumer for ForgetSharedAnswers {
    fn name(&self) -> &'static str {
        "gateway.forget-shared-answers"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["ProductCreated", "ProductUpdated", "ProductDeleted"]
    }

    fn audience(&self) -> Audience {
        Audience::EveryProcess
    }

    async fn missed(&self) {
        self.memory.generation.advance().await;
    }

    async fn react(&self, _: &Envelope) -> Result<Effect, ReactError> {
        self.memory.generation.advance().await;
        Ok(Effect::none())
    }
}

/// Sessions ended: their tokens are refused, whatever the shared memory of the gateways knows.
pub struct RefuseEndedSessions {
    memory: Arc<Memory>,
}

impl RefuseEndedSessions {
    /// For the gateway of `hub`.
    pub fn of(hub: &Hub) -> Self {
        Self {
            memory: Memory::of(hub),
        }
    }
}

#[async_trait]
impl Consumer for RefuseEndedSessions {
    fn name(&self) -> &'static str {
        "gateway.refuse-ended-sessions"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["SessionsEnded"]
    }

    fn audience(&self) -> Audience {
        Audience::EveryProcess
    }

    async fn react(&self, event: &Envelope) -> Result<Effect, ReactError> {
        let Some(Data::SessionsEnded(ended)) = &event.data else {
            return Err(ReactError::reject("not the payload of SessionsEnded"));
        };
        let until = ended
            .tokens_until
            .as_ref()
            .and_then(|at| DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?))
            .ok_or_else(|| ReactError::reject("SessionsEnded without tokens_until"))?;
        for session in &ended.session_ids {
            self.memory.revocations.hear(session, until);
        }
        Ok(Effect::none())
    }
}
