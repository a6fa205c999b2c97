//! Payments: charges, refunds and saved payment methods.
//!
//! One rule stands above the others: nobody is charged twice, and nothing is kept of an order that does
//! not go through. [`flow`] moves the money in steps that can be repeated, [`ledger`] keeps the books and
//! cannot be brought out of balance, [`provider`] is whoever has the cards.

mod cause;
mod config;
mod consumers;
mod domain;
mod flow;
mod ledger;
mod migrations;
mod orders;
pub mod provider;
mod service;

use std::sync::Arc;

use contracts::hub::payments::v1::{
    payment_method_service_server::PaymentMethodServiceServer,
    payment_service_server::PaymentServiceServer,
};
use mesh::{Clock, Hub, Profile, Service, Shutdown, StartError, store::Store};

pub use config::{PaymentsConfig, ProviderKind};
pub use domain::{decline::Decline, method::Token};

use crate::{
    consumers::{Cancel, Charge},
    flow::{Desk, WebhookKey},
    orders::OrdersService,
    provider::{Provider, processor::TestProcessor, stripe::Stripe},
    service::{MethodsHandler, PaymentsHandler},
};

const NAME: &str = "payments";

/// Opens the store and registers the payment services on `hub`.
///
/// # Errors
/// A configuration or a store that cannot be used.
pub async fn register(hub: &Hub) -> Result<Service, StartError> {
    let config: PaymentsConfig = hub.config(NAME)?;
    let store = hub.store(NAME, migrations::ALL).await?;
    let provider = provider(&config, hub.profile(), &store, hub.clock())?;
    register_with(hub, provider).await
}

/// As [`register`], with another provider than the configured one.
///
/// # Errors
/// As [`register`].
pub async fn register_with(hub: &Hub, provider: Arc<dyn Provider>) -> Result<Service, StartError> {
    let config: PaymentsConfig = hub.config(NAME)?;
    let store = hub.store(NAME, migrations::ALL).await?;
    let desk = Desk {
        store: store.clone(),
        provider: Arc::clone(&provider),
        orders: Arc::new(OrdersService::new(hub.channel())),
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
    };
    let payments = PaymentsHandler {
        desk: desk.clone(),
        webhook_key: WebhookKey {
            secret: config.webhook_secret.clone(),
            tolerance_seconds: config.webhook_tolerance_seconds,
        },
    };
    let methods = MethodsHandler {
        store: store.clone(),
        provider,
        clock: hub.clock().clone(),
        ids: hub.ids().clone(),
    };
    let recovering = desk.clone();
    Ok(Service::builder(NAME)
        .rpc(PaymentServiceServer::new(payments))
        .rpc(PaymentMethodServiceServer::new(methods))
        .store(store)
        .consumer(Charge {
            desk: desk.clone(),
            hub: hub.clone(),
        })
        .consumer(Cancel { desk })
        .task("recovery", move |shutdown: Shutdown| async move {
            recovering.recover_regularly(shutdown).await;
        })
        .build())
}

/// The provider that the configuration names.
fn provider(
    config: &PaymentsConfig,
    profile: Profile,
    store: &Store,
    clock: &Clock,
) -> Result<Arc<dyn Provider>, StartError> {
    let test = || Arc::new(TestProcessor::new(store.clone(), clock.clone())) as Arc<dyn Provider>;
    match (config.provider, profile) {
        (ProviderKind::Stripe, _) => {
            let stripe = Stripe::new(
                &config.stripe_base_url,
                config.stripe_secret_key.clone(),
                config.provider_timeout(),
            )
            .map_err(|error| StartError::other(NAME, error))?;
            Ok(Arc::new(stripe))
        }
        (ProviderKind::Test, Profile::Production) => {
            tracing::warn!("payments go to the test processor: no card is really charged");
            Ok(test())
        }
        (ProviderKind::Test | ProviderKind::Auto, Profile::Embedded) => Ok(test()),
        (ProviderKind::Auto, Profile::Production) => Err(StartError::other(
            NAME,
            "payments.provider is not set: name stripe, or test to charge no real card",
        )),
    }
}
