#![allow(clippy::unwrap_used)]
//! Both agents through their RPCs, with shipping and orders beside them.

mod neighbours;

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::hub::{
    agents::v1::{
        ComputeEtaRequest, ComputeEtaResponse, SelectCarrierRequest,
        carrier_selection_service_client::CarrierSelectionServiceClient,
        carrier_selection_service_server::CarrierSelectionServiceServer,
        eta_service_client::EtaServiceClient, eta_service_server::EtaServiceServer,
    },
    events::v1::{ShipmentScheduled, ShipmentStatusUpdated},
    orders::v1::{Order, OrderStatus, order_service_server::OrderServiceServer},
    shipping::v1::{
        Shipment, ShipmentEvent, ShipmentStatus, shipment_service_server::ShipmentServiceServer,
    },
    r#type::v1::Address,
};
use mesh::{
    CallContext, Clock, Config, Hub, Ids, Principal, Role, Service, Sources,
    events::{Data, Emission},
    store::{Migration, ScratchDatabase, Store, StoreError, Tx},
};
use tonic::{Code, Status};

use self::neighbours::{ORDER, Orders, Shipping};
use super::{MIGRATION, carrier_selection::CarrierSelectionHandler, eta};
use crate::runtime::time::{instant, timestamp};

const MIGRATIONS: &[Migration] = &[MIGRATION];

struct World {
    hub: Hub,
    shipping: Arc<Shipping>,
    orders: Arc<Orders>,
    /// Where shipping's events come from.
    journal: Store,
    // Removed with the world.
    _folder: tempfile::TempDir,
    _database: Option<ScratchDatabase>,
}

/// Monday, 10:00 in Denver.
fn monday() -> DateTime<Utc> {
    "2026-11-16T17:00:00Z".parse().unwrap()
}

fn new_york() -> Address {
    Address {
        name: "Ada".to_owned(),
        line1: "1 Main St".to_owned(),
        city: "New York".to_owned(),
        state: "NY".to_owned(),
        postal_code: "10001".to_owned(),
        country: "US".to_owned(),
        ..Address::default()
    }
}

impl World {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(monday());
        let database = ScratchDatabase::create().await.unwrap();
        let sources = Sources {
            overrides: database.iter().map(ScratchDatabase::setting).collect(),
            ..Sources::default()
        };
        let builder = Hub::builder()
            .config(Config::load(&sources).unwrap())
            .data_dir(folder.path())
            .clock(clock.clone());
        let hub = builder
            .ids(Ids::seeded(clock.clone(), 3))
            .build()
            .await
            .unwrap();
        let shipping = Arc::new(Shipping::default());
        let orders = Arc::new(Orders {
            order: Mutex::new(Order {
                order_id: ORDER.to_owned(),
                user_id: "ada".to_owned(),
                email: "ada@example.com".to_owned(),
                status: OrderStatus::Paid.into(),
                shipping_address: Some(new_york()),
                updated_at: Some(timestamp(monday())),
                ..Order::default()
            }),
        });
        let store = hub.store("agents", MIGRATIONS).await.unwrap();
        let journal = hub.store("shipping", &[]).await.unwrap();
        let selection = CarrierSelectionHandler::new(hub.channel(), clock.clone());
        let eta = eta::EtaHandler::new(hub.channel(), store.clone(), clock);
        let services = vec![
            Service::builder("shipping")
                .store(journal.clone())
                .rpc(ShipmentServiceServer::from_arc(Arc::clone(&shipping)))
                .build(),
            Service::builder("orders")
                .rpc(OrderServiceServer::from_arc(Arc::clone(&orders)))
                .build(),
            Service::builder("agents")
                .rpc(CarrierSelectionServiceServer::new(selection))
                .rpc(EtaServiceServer::new(eta))
                .store(store)
                .consumer(eta::StageTimes)
                .build(),
        ];
        hub.start(services).await.unwrap();
        Self {
            hub,
            shipping,
            orders,
            journal,
            _folder: folder,
            _database: database,
        }
    }

    fn caller(&self, role: Role, name: &str) -> CallContext {
        let user = mesh::User {
            subject: name.to_owned(),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            session: String::new(),
        };
        CallContext::new(self.hub.clock().clone(), "request")
            .with_principal(Principal::user(role, user).unwrap())
    }

    async fn eta(
        &self,
        name: &str,
        request: ComputeEtaRequest,
    ) -> Result<ComputeEtaResponse, Status> {
        let ctx = self.caller(Role::Customer, name);
        let mut client = EtaServiceClient::new(self.hub.channel());
        Ok(client.compute_eta(ctx.call(request)).await?.into_inner())
    }

    fn ship(&self, scans: &[(ShipmentStatus, i64)]) {
        let status = scans.last().unwrap().0;
        let at = |hours: i64| Some(timestamp(monday() - TimeDelta::hours(hours)));
        let shipment = Shipment {
            shipment_id: "parcel".to_owned(),
            carrier: "alpha".to_owned(),
            service_level: "ground".to_owned(),
            status: status.into(),
            created_at: at(scans[0].1),
            updated_at: at(scans.last().unwrap().1),
            estimated_delivery: Some(timestamp(monday() + TimeDelta::hours(34))),
            events: scans
                .iter()
                .map(|(status, hours)| ShipmentEvent {
                    status: (*status).into(),
                    timestamp: at(*hours),
                    ..ShipmentEvent::default()
                })
                .collect(),
            ..Shipment::default()
        };
        *self.shipping.shipments.lock().unwrap() = vec![shipment];
    }
}

fn of_order() -> ComputeEtaRequest {
    ComputeEtaRequest {
        order_id: ORDER.to_owned(),
        ..ComputeEtaRequest::default()
    }
}

#[tokio::test]
async fn a_carrier_is_chosen_for_staff() {
    let world = World::open().await;
    let mut client = CarrierSelectionServiceClient::new(world.hub.channel());
    let request = SelectCarrierRequest {
        destination: Some(new_york()),
        weight_grams: 800,
        shipping_method: "standard".to_owned(),
        ..SelectCarrierRequest::default()
    };
    let customer = world.caller(Role::Customer, "ada");
    let refused = client
        .select_carrier(customer.call(request.clone()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let staff = world.caller(Role::Staff, "sam");
    let answer = client
        .select_carrier(staff.call(request.clone()))
        .await
        .unwrap()
        .into_inner();
    let (result, notes) = (answer.result.unwrap(), answer.notes.unwrap());
    let selected = result.selected.unwrap();
    assert_eq!(
        (
            selected.carrier_id.as_str(),
            selected.service_level.as_str()
        ),
        ("alpha", "ground")
    );
    assert_eq!(
        (selected.origin_location.as_str(), selected.pareto_optimal),
        ("dc-east", true)
    );
    assert_eq!(result.options[0], selected);
    assert!(result.feasible && result.options.len() > 3);
    assert!(!notes.explanation[0].sentence.is_empty());
    assert_eq!(
        (
            notes.algorithm.as_str(),
            notes.data_sources[0].system.as_str()
        ),
        ("carrier-topsis@1", "shipping")
    );
    let elsewhere = SelectCarrierRequest {
        origin_location: "moon".to_owned(),
        ..request.clone()
    };
    let unknown = client
        .select_carrier(staff.call(elsewhere))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
    let abroad = Address {
        country: "BR".to_owned(),
        ..new_york()
    };
    let nobody = SelectCarrierRequest {
        destination: Some(abroad),
        ..request
    };
    let result = client
        .select_carrier(staff.call(nobody))
        .await
        .unwrap()
        .into_inner()
        .result
        .unwrap();
    assert_eq!(
        (result.feasible, result.selected, result.rejected.len()),
        (false, None, 6)
    );
}

#[tokio::test]
async fn only_who_may_see_an_order_learns_when_it_comes() {
    let world = World::open().await;
    world.ship(&[
        (ShipmentStatus::LabelCreated, 20),
        (ShipmentStatus::PickedUp, 14),
        (ShipmentStatus::InTransit, 8),
    ]);
    let stranger = world.eta("eve", of_order()).await.unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound);
    let with_email = ComputeEtaRequest {
        email: "ada@example.com".to_owned(),
        ..of_order()
    };
    assert!(world.eta("eve", with_email).await.is_ok());
    let result = world.eta("ada", of_order()).await.unwrap().result.unwrap();
    assert_eq!(result.state, "estimated");
    let names: Vec<&str> = result
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(names, ["in_transit", "out_for_delivery"]);
    let times = [
        result.earliest,
        result.median,
        result.latest,
        result.promise,
    ];
    assert!(times.map(|time| instant(time.as_ref())).is_sorted());
}

#[tokio::test]
async fn what_is_not_on_its_way() {
    let world = World::open().await;
    // Paid and not planned yet: as if it left now.
    let answer = world.eta("ada", of_order()).await.unwrap();
    assert_eq!(answer.result.unwrap().stages.len(), 4);
    world.ship(&[
        (ShipmentStatus::OutForDelivery, 6),
        (ShipmentStatus::Delivered, 2),
    ]);
    let result = world.eta("ada", of_order()).await.unwrap().result.unwrap();
    assert_eq!(result.state, "delivered");
    assert_eq!(
        instant(result.median.as_ref()),
        monday() - TimeDelta::hours(2)
    );
    world.ship(&[
        (ShipmentStatus::LabelCreated, 6),
        (ShipmentStatus::Cancelled, 2),
    ]);
    let answer = world.eta("ada", of_order()).await.unwrap();
    assert_eq!(answer.result.unwrap().state, "unknown");
    assert!(
        answer
            .notes
            .unwrap()
            .degraded
            .contains(&"no_shipment".to_owned())
    );
    world.shipping.shipments.lock().unwrap().clear();
    world.orders.order.lock().unwrap().status = OrderStatus::Cancelled.into();
    let result = world.eta("ada", of_order()).await.unwrap().result.unwrap();
    assert_eq!((result.state.as_str(), result.promise), ("unknown", None));
}

#[tokio::test]
async fn without_an_order_a_parcel_leaves_now() {
    let world = World::open().await;
    let asked = |destination: Option<Address>, method: &str| ComputeEtaRequest {
        destination,
        shipping_method: method.to_owned(),
        ..ComputeEtaRequest::default()
    };
    let missing = world.eta("eve", asked(None, "standard")).await.unwrap_err();
    assert_eq!(missing.code(), Code::InvalidArgument);
    let far = Address {
        postal_code: "58501".to_owned(),
        state: "ND".to_owned(),
        ..new_york()
    };
    let mut medians = Vec::new();
    for method in ["overnight", "standard"] {
        let answer = world
            .eta("eve", asked(Some(far.clone()), method))
            .await
            .unwrap();
        let result = answer.result.unwrap();
        assert_eq!(
            (result.state.as_str(), result.stages.len()),
            ("estimated", 4)
        );
        assert_eq!(answer.notes.unwrap().algorithm, "eta-stage-convolution@1");
        medians.push(instant(result.median.as_ref()));
    }
    assert!(medians[0] < medians[1], "{medians:?}");
    let abroad = Address {
        country: "BR".to_owned(),
        ..new_york()
    };
    assert_eq!(
        world
            .eta("eve", asked(Some(abroad), ""))
            .await
            .unwrap()
            .result
            .unwrap()
            .state,
        "unknown"
    );
}

#[tokio::test]
async fn what_happens_to_parcels_is_learnt() {
    let world = World::open().await;
    world.ship(&[(ShipmentStatus::LabelCreated, 1)]);
    let emit = |data: Data| {
        world.journal.write(move |tx: Tx| async move {
            tx.emit(Emission::new("order", data)).await?;
            Ok::<_, StoreError>(())
        })
    };
    for shipment_id in ["one", "two"] {
        let scheduled = ShipmentScheduled {
            shipment_id: shipment_id.to_owned(),
            carrier: "alpha".to_owned(),
            service_level: "ground".to_owned(),
            estimated_delivery: Some(timestamp(monday() + TimeDelta::days(2))),
            ..ShipmentScheduled::default()
        };
        emit(Data::ShipmentScheduled(scheduled)).await.unwrap();
        for status in ["picked_up", "in_transit", "out_for_delivery", "delivered"] {
            let moved = ShipmentStatusUpdated {
                shipment_id: shipment_id.to_owned(),
                status: status.to_owned(),
                ..ShipmentStatusUpdated::default()
            };
            emit(Data::ShipmentStatusUpdated(moved)).await.unwrap();
        }
    }
    loop {
        let result = world.eta("ada", of_order()).await.unwrap().result.unwrap();
        if result.stages.iter().all(|stage| stage.samples == 2) {
            break;
        }
        tokio::task::yield_now().await;
    }
}
