//! What the gateway registers with the hub: its store, and a consumer of product events.

use std::time::Duration;

use async_trait::async_trait;
use mesh::{
    Hub, Service, StartError,
    events::{Consumer, Effect, Envelope, ReactError},
};

use crate::{
    body::BoxError,
    config::{AuthConfig, GatewayConfig},
    cors::Cors,
    idempotency::{Ledger, MIGRATIONS},
    shared_cache::GenerationMark,
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
    let ledger = ledger(hub).await?;
    let store = hub.store(NAME, MIGRATIONS).await?;
    let clock = hub.clock().clone();
    Ok(Service::builder(NAME)
        .store(store)
        .consumer(ForgetSharedAnswers {
            generation: GenerationMark::new(hub.cache().clone(), hub.ids().clone()),
        })
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

/// The ledger in the gateway's store.
pub async fn ledger(hub: &Hub) -> Result<Ledger, StartError> {
    let config: GatewayConfig = hub.config(NAME)?;
    let store = hub.store(NAME, MIGRATIONS).await?;
    Ok(Ledger::new(
        store,
        hub.clock().clone(),
        hub.ids().clone(),
        config.idempotency_hours,
    ))
}

/// Products changed: answers that show them are not shared any more.
struct ForgetSharedAnswers {
    generation: GenerationMark,
}

#[async_trait]
impl Consumer for ForgetSharedAnswers {
    fn name(&self) -> &'static str {
        "gateway.forget-shared-answers"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["ProductCreated", "ProductUpdated", "ProductDeleted"]
    }

    async fn react(&self, _: &Envelope) -> Result<Effect, ReactError> {
        self.generation.advance().await;
        Ok(Effect::none())
    }
}
