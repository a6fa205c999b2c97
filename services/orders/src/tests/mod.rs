//! The service on a real store: its RPCs between stand-ins for cart, catalog and inventory, and the
//! effects of events in any order.

#![allow(clippy::unwrap_used)]

mod handing_over;
mod neighbours;
mod placing;
mod saga;
mod watching;

use std::sync::Arc;

use chrono::DateTime;
use contracts::hub::{
    orders::v1::{
        CreateOrderRequest, Order, ShippingMethod, checkout_service_client::CheckoutServiceClient,
        order_service_client::OrderServiceClient, saga_service_client::SagaServiceClient,
    },
    r#type::v1::Address,
};
use mesh::{
    CallContext, Channel, Clock, Config, Hub, Ids, Principal, Rendered, Role, Sources, User,
    events::{Data, Envelope},
    store::{ScratchDatabase, Store, Tx},
};
use prost::Message;
use tonic::Status;

use crate::{
    cause::Cause,
    config::OrdersConfig,
    events::heard,
    means::Means,
    store::{Progress, advance, find_order},
    watch::Watchers,
};
use neighbours::Neighbours;

/// Orders among stand-ins, on a clock that stands still.
struct Shop {
    hub: Hub,
    store: Store,
    means: Means,
    neighbours: Arc<Neighbours>,
    // Removed with the shop.
    _folder: tempfile::TempDir,
    _database: Option<ScratchDatabase>,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        // The tests look at deadlines themselves.
        let never = ("orders.deadline_interval_ms".into(), u32::MAX.to_string());
        let database = ScratchDatabase::create().await.unwrap();
        let config = Config::load(&Sources {
            overrides: database
                .iter()
                .map(ScratchDatabase::setting)
                .chain([never])
                .collect(),
            ..Sources::default()
        })
        .unwrap();
        let hub = Hub::builder()
            .config(config)
            .data_dir(folder.path())
            .clock(clock.clone())
            .ids(Ids::seeded(clock.clone(), 11))
            .build()
            .await
            .unwrap();
        let neighbours = Arc::new(Neighbours::default());
        let mut services = Neighbours::services(&neighbours);
        services.push(crate::register(&hub).await.unwrap());
        let store = hub.store("orders", crate::store::MIGRATIONS).await.unwrap();
        hub.start(services).await.unwrap();
        let means = Means {
            clock,
            ids: hub.ids().clone(),
            config: Arc::new(OrdersConfig::default()),
            watchers: Watchers::default(),
        };
        Self {
            hub,
            store,
            means,
            neighbours,
            _folder: folder,
            _database: database,
        }
    }

    fn orders(&self) -> OrderServiceClient<Channel> {
        OrderServiceClient::new(self.hub.channel())
    }

    fn checkout(&self) -> CheckoutServiceClient<Channel> {
        CheckoutServiceClient::new(self.hub.channel())
    }

    fn sagas(&self) -> SagaServiceClient<Channel> {
        SagaServiceClient::new(self.hub.channel())
    }

    fn anonymous(&self) -> CallContext {
        CallContext::new(self.means.clock.clone(), "request")
    }

    fn customer(&self, name: &str) -> CallContext {
        self.person(Role::Customer, name)
    }

    fn person(&self, role: Role, name: &str) -> CallContext {
        let user = User {
            subject: name.to_owned(),
            email: format!("{name}@Example.com"),
            name: name.to_owned(),
            session: String::new(),
        };
        self.anonymous()
            .with_principal(Principal::user(role, user).unwrap())
    }

    async fn order(&self, ctx: &CallContext, request: CreateOrderRequest) -> Result<Order, Status> {
        self.orders()
            .create_order(ctx.call(request))
            .await
            .map(tonic::Response::into_inner)
    }

    /// Lets an event have its effect, as the runtime would.
    async fn hear(&self, event: &Envelope) -> Progress {
        hear(&self.store, &self.means, event).await
    }

    async fn stored(&self, order_id: &str) -> crate::domain::order::Order {
        find_order(&self.store, order_id).await.unwrap().unwrap()
    }

    async fn emitted(&self) -> Vec<Envelope> {
        emitted(&self.store).await
    }
}

async fn hear(store: &Store, means: &Means, event: &Envelope) -> Progress {
    let (order_id, news) = heard(event).unwrap().unwrap();
    let moment = means.moment(Cause::event(event));
    store
        .write(move |tx: Tx| async move { advance(&tx, &moment, &order_id, news).await })
        .await
        .unwrap()
}

async fn emitted(store: &Store) -> Vec<Envelope> {
    let rows = store
        .all("SELECT envelope FROM outbox ORDER BY seq", mesh::args![])
        .await
        .unwrap();
    rows.iter()
        .map(|row| Envelope::decode(row.get::<&[u8]>("envelope").unwrap()).unwrap())
        .collect()
}

fn event(id: &str, data: Data) -> Envelope {
    Envelope {
        event_id: id.to_owned(),
        correlation_id: "01a3185c-5000-775c-844c-000000000000".to_owned(),
        data: Some(data),
        ..Envelope::default()
    }
}

fn request() -> CreateOrderRequest {
    CreateOrderRequest {
        shipping_address: Some(Address {
            name: "Ada Lovelace".into(),
            line1: "400 Broad St".into(),
            city: "Seattle".into(),
            state: "WA".into(),
            postal_code: "98109".into(),
            country: "US".into(),
            ..Address::default()
        }),
        shipping_method: ShippingMethod::Standard.into(),
        payment_method: "pm_card_visa".into(),
        ..CreateOrderRequest::default()
    }
}

fn reason(error: &Status) -> &'static str {
    Rendered::of(error).reason.as_str()
}
