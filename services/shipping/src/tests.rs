#![allow(clippy::unwrap_used)]
//! An order from paid to delivered, with an adviser that is there, absent or wrong.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::DateTime;
use contracts::hub::{
    agents::v1::{
        AnswerNotes, CarrierChoice, CarrierOption, Factor, SelectCarrierRequest,
        SelectCarrierResponse,
    },
    events::v1::Envelope,
    shipping::v1::{
        GetShipmentRequest, ListCarriersRequest, ListOrderShipmentsRequest, ListShipmentsRequest,
        Shipment, ShipmentStatus, UpdateShipmentStatusRequest,
        shipment_service_server::ShipmentService,
    },
    r#type::v1::Address,
};
use mesh::{
    CallContext, Clock, Failure, Ids, Reason, Rendered, args,
    store::{Store, StoreError, Tx},
};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    consumers::{Asked, Dispatch},
    domain::{carriers::Carriers, choice::Method},
    migrations,
    orders::{Order, OrderBook},
    selection::{Adviser, Selection},
    service::ShipmentsHandler,
    store,
};

/// What orders says to a carrier who comes for a parcel.
#[derive(Clone, Debug, Default)]
enum Leave {
    #[default]
    Granted,
    /// The order was cancelled.
    Refused,
    /// Orders cannot be asked.
    Away,
    /// Granted, but staff cancel the shipment before the scan is noted.
    TooLate(Store, store::Moment),
}

/// Every order goes to the same place.
struct Book {
    open: AtomicBool,
    country: Mutex<&'static str>,
    leave: Mutex<Leave>,
    /// How often a carrier came.
    asked: AtomicUsize,
}

#[async_trait]
impl OrderBook for Book {
    async fn order(&self, _: &CallContext, order_id: &str) -> Result<Order, Failure> {
        Ok(Order {
            order_id: order_id.to_owned(),
            order_number: "HPH-2026-000001".to_owned(),
            user_id: "ada".to_owned(),
            shipping_address: Address {
                name: "Ada".to_owned(),
                state: "NY".to_owned(),
                postal_code: "10001".to_owned(),
                country: (*self.country.lock().unwrap()).to_owned(),
                ..Address::default()
            },
            method: Method::Standard,
            units: 2,
            value: None,
            open: self.open.load(Ordering::SeqCst),
        })
    }

    async fn hand_over(&self, _: &CallContext, order_id: &str) -> Result<(), Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let leave = self.leave.lock().unwrap().clone();
        match leave {
            Leave::Granted => Ok(()),
            Leave::Refused => Err(Failure::conflict(
                Reason::InvalidTransition,
                "The goods of the order must stay.",
            )),
            Leave::Away => Err(Failure::unavailable("orders is away")),
            Leave::TooLate(store, moment) => {
                let id = order_id.to_owned();
                store
                    .write(move |tx: Tx| async move {
                        store::close(&tx, &moment, &id, "damaged").await?;
                        Ok::<_, Failure>(())
                    })
                    .await
            }
        }
    }
}

/// Names a service, or nothing.
struct Advice(Option<(&'static str, &'static str)>);

#[async_trait]
impl Adviser for Advice {
    async fn advise(
        &self,
        _: &CallContext,
        request: SelectCarrierRequest,
    ) -> Result<SelectCarrierResponse, Status> {
        assert_eq!(
            (request.origin_location.as_str(), request.weight_grams),
            ("dc-east", 1400)
        );
        let (carrier, service) = self.0.ok_or_else(|| Status::unavailable("away"))?;
        let selected = CarrierOption {
            carrier_id: carrier.to_owned(),
            service_level: service.to_owned(),
            origin_location: "dc-central".to_owned(),
            ..CarrierOption::default()
        };
        Ok(SelectCarrierResponse {
            result: Some(CarrierChoice {
                feasible: true,
                selected: Some(selected),
                ..CarrierChoice::default()
            }),
            notes: Some(AnswerNotes {
                explanation: vec![Factor {
                    sentence: "It is rarely late.".to_owned(),
                    ..Factor::default()
                }],
                ..AnswerNotes::default()
            }),
        })
    }
}

struct World {
    dispatch: Dispatch,
    handler: ShipmentsHandler,
    book: Arc<Book>,
    clock: Clock,
}

impl World {
    async fn new(advice: Option<(&'static str, &'static str)>) -> Self {
        // Monday 23 November 2026, 10:00 in New York.
        let clock = Clock::manual(
            "2026-11-23T15:00:00Z"
                .parse::<DateTime<chrono::Utc>>()
                .unwrap(),
        );
        let ids = Ids::seeded(clock.clone(), 7);
        let store = Store::scratch("shipping", migrations::ALL, clock.clone(), ids.clone())
            .await
            .unwrap();
        let book = Arc::new(Book {
            open: AtomicBool::new(true),
            country: Mutex::new("US"),
            leave: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let carriers = Arc::new(Carriers::load().unwrap());
        let handler = ShipmentsHandler::new(
            store.clone(),
            Arc::clone(&book) as Arc<dyn OrderBook>,
            clock.clone(),
            ids.clone(),
            &carriers,
        );
        let dispatch = Dispatch {
            store,
            orders: Arc::clone(&book) as Arc<dyn OrderBook>,
            selection: Selection {
                carriers,
                adviser: Arc::new(Advice(advice)),
            },
            clock: clock.clone(),
            ids,
        };
        Self {
            dispatch,
            handler,
            book,
            clock,
        }
    }

    /// The saga's step as the consumer does it.
    async fn schedule(&self, order_id: &str) {
        self.schedule_as(order_id, Asked::First).await;
    }

    async fn schedule_as(&self, order_id: &str, asked: Asked) {
        let moment = self.dispatch.moment(&Envelope::default());
        let context = CallContext::new(self.clock.clone(), "e-1");
        let plan = self
            .dispatch
            .plan(&context, order_id, order_id, asked, &moment)
            .await
            .unwrap();
        if let Some(plan) = plan {
            self.dispatch
                .store
                .write(move |tx: Tx| async move { plan.write(&tx, &moment).await })
                .await
                .unwrap();
        }
    }

    async fn cancel(&self, order_id: &str) {
        let moment = self.dispatch.moment(&Envelope::default());
        let id = order_id.to_owned();
        self.dispatch
            .store
            .write(move |tx: Tx| async move {
                store::close(&tx, &moment, &id, "changed my mind").await?;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }

    async fn of_order(&self, order_id: &str) -> Option<Shipment> {
        let request = Request::new(ListOrderShipmentsRequest {
            order_id: order_id.to_owned(),
        });
        let answer = self.handler.list_order_shipments(request).await.unwrap();
        answer.into_inner().items.pop()
    }

    async fn scan(&self, shipment: &Shipment, to: ShipmentStatus) -> Result<Shipment, Status> {
        let request = Request::new(UpdateShipmentStatusRequest {
            shipment_id: shipment.shipment_id.clone(),
            new_status: to.into(),
            location: "Newark".to_owned(),
            notes: String::new(),
        });
        Ok(self
            .handler
            .update_shipment_status(request)
            .await?
            .into_inner())
    }

    async fn events(&self, kind: &str) -> i64 {
        let row = self
            .dispatch
            .store
            .one(
                "SELECT count(*) AS n FROM outbox WHERE event_type = $1",
                args![kind],
            )
            .await
            .unwrap();
        row.unwrap().get("n").unwrap()
    }
}

fn order_id() -> String {
    Uuid::from_u128(1).to_string()
}

#[tokio::test]
async fn a_paid_order_is_scheduled_once_as_advised() {
    let world = World::new(Some(("summit-express", "ground"))).await;
    let order = order_id();
    for _ in 0..2 {
        world.schedule(&order).await;
    }
    let shipment = world.of_order(&order).await.unwrap();
    assert_eq!(
        (shipment.carrier.as_str(), shipment.service_level.as_str()),
        ("summit-express", "ground")
    );
    // The price is from our rate card: zone 6 from Kansas City, 1.4 kg.
    assert_eq!(shipment.origin_location, "dc-central");
    assert_eq!(shipment.cost.unwrap().amount, "20.55");
    assert_eq!(shipment.selection_reason, "It is rarely late.");
    assert!(shipment.tracking_number.starts_with("SX"));
    assert_eq!(shipment.events.len(), 1);
    assert_eq!(world.events("ShipmentScheduled").await, 1);
    world.schedule_as(&order, Asked::Again).await;
    assert_eq!(world.events("ShipmentScheduled").await, 2);
}

#[tokio::test]
async fn an_adviser_that_is_away_or_wrong_stops_nothing() {
    for advice in [
        None,
        Some(("pigeon-post", "ground")),
        Some(("polar-post", "overnight")),
    ] {
        let world = World::new(advice).await;
        world.schedule(&order_id()).await;
        let shipment = world.of_order(&order_id()).await.unwrap();
        assert_eq!(
            (shipment.carrier.as_str(), shipment.origin_location.as_str()),
            ("polar-post", "dc-east")
        );
        assert!(
            shipment.selection_reason.contains("cheapest"),
            "{}",
            shipment.selection_reason
        );
    }
}

#[tokio::test]
async fn where_nobody_goes_the_order_fails_once() {
    let world = World::new(None).await;
    *world.book.country.lock().unwrap() = "AQ";
    for _ in 0..2 {
        world.schedule(&order_id()).await;
    }
    assert!(world.of_order(&order_id()).await.is_none());
    assert_eq!(world.events("ShipmentFailed").await, 1);
    world.schedule_as(&order_id(), Asked::Again).await;
    assert_eq!(world.events("ShipmentFailed").await, 2);
}

#[tokio::test]
async fn a_cancelled_order_does_not_travel() {
    let world = World::new(None).await;
    let (early, closed, late, gone) = (
        order_id(),
        Uuid::from_u128(2),
        Uuid::from_u128(3),
        Uuid::from_u128(4),
    );
    world.cancel(&early).await;
    world.schedule(&early).await;
    assert!(world.of_order(&early).await.is_none());

    world.book.open.store(false, Ordering::SeqCst);
    world.schedule(&closed.to_string()).await;
    assert!(world.of_order(&closed.to_string()).await.is_none());
    world.book.open.store(true, Ordering::SeqCst);

    world.schedule(&late.to_string()).await;
    for _ in 0..2 {
        world.cancel(&late.to_string()).await;
    }
    let shipment = world.of_order(&late.to_string()).await.unwrap();
    assert_eq!(shipment.status(), ShipmentStatus::Cancelled);
    assert_eq!(world.events("ShipmentStatusUpdated").await, 1);

    world.schedule(&gone.to_string()).await;
    let shipment = world.of_order(&gone.to_string()).await.unwrap();
    world
        .scan(&shipment, ShipmentStatus::PickedUp)
        .await
        .unwrap();
    world.cancel(&gone.to_string()).await;
    let shipment = world.of_order(&gone.to_string()).await.unwrap();
    assert_eq!(shipment.status(), ShipmentStatus::PickedUp);
}

#[tokio::test]
async fn a_parcel_leaves_only_with_the_leave_of_orders() {
    let world = World::new(None).await;
    world.schedule(&order_id()).await;
    let shipment = world.of_order(&order_id()).await.unwrap();
    let asked = || world.book.asked.load(Ordering::SeqCst);

    // Nothing is noted while nobody can decide: the carrier scans again.
    *world.book.leave.lock().unwrap() = Leave::Away;
    for _ in 0..2 {
        let away = world.scan(&shipment, ShipmentStatus::PickedUp).await;
        assert_eq!(Rendered::of(&away.unwrap_err()).reason, Reason::Unavailable);
    }
    *world.book.leave.lock().unwrap() = Leave::Refused;
    let refused = world.scan(&shipment, ShipmentStatus::PickedUp).await;
    let refused = Rendered::of(&refused.unwrap_err());
    assert_eq!(refused.reason, Reason::InvalidTransition);
    assert_eq!(refused.metadata["allowed"], "cancelled");
    let waiting = world.of_order(&order_id()).await.unwrap();
    assert_eq!(waiting.status(), ShipmentStatus::LabelCreated);
    assert_eq!(waiting.events.len(), 1);
    assert_eq!(world.events("ShipmentStatusUpdated").await, 0);

    *world.book.leave.lock().unwrap() = Leave::Granted;
    assert_eq!(asked(), 3);
    for _ in 0..2 {
        world
            .scan(&shipment, ShipmentStatus::PickedUp)
            .await
            .unwrap();
    }
    assert_eq!(world.events("ShipmentStatusUpdated").await, 1);
    // Only who does not have it yet asks for it.
    world
        .scan(&shipment, ShipmentStatus::InTransit)
        .await
        .unwrap();
    world
        .scan(&shipment, ShipmentStatus::PickedUp)
        .await
        .unwrap_err();
    assert_eq!(asked(), 4);
}

#[tokio::test]
async fn a_shipment_that_is_cancelled_while_its_carrier_asks_stays() {
    let world = World::new(None).await;
    world.schedule(&order_id()).await;
    let shipment = world.of_order(&order_id()).await.unwrap();
    let moment = world.dispatch.moment(&Envelope::default());
    *world.book.leave.lock().unwrap() = Leave::TooLate(world.dispatch.store.clone(), moment);
    let late = world.scan(&shipment, ShipmentStatus::PickedUp).await;
    let late = Rendered::of(&late.unwrap_err());
    assert_eq!(late.reason, Reason::InvalidTransition);
    assert_eq!(late.metadata["from"], "cancelled");
    let shipment = world.of_order(&order_id()).await.unwrap();
    assert_eq!(shipment.status(), ShipmentStatus::Cancelled);
}

#[tokio::test]
async fn a_shipment_is_followed_to_the_door() {
    let world = World::new(None).await;
    world.schedule(&order_id()).await;
    let shipment = world.of_order(&order_id()).await.unwrap();
    let illegal = world
        .scan(&shipment, ShipmentStatus::Delivered)
        .await
        .unwrap_err();
    let illegal = Rendered::of(&illegal);
    assert_eq!(illegal.reason, Reason::InvalidTransition);
    assert_eq!(illegal.metadata["allowed"], "picked_up,cancelled");
    for to in [
        ShipmentStatus::PickedUp,
        ShipmentStatus::PickedUp,
        ShipmentStatus::InTransit,
        ShipmentStatus::Exception,
        ShipmentStatus::InTransit,
        ShipmentStatus::OutForDelivery,
    ] {
        world.clock.advance(Duration::from_secs(3600));
        assert_eq!(world.scan(&shipment, to).await.unwrap().status(), to);
    }
    let delivered = world
        .scan(&shipment, ShipmentStatus::Delivered)
        .await
        .unwrap();
    assert!(delivered.actual_delivery.is_some());
    assert_eq!(delivered.events.len(), 7);
    assert_eq!(world.events("ShipmentStatusUpdated").await, 6);
    assert_eq!(world.events("DeliveryCompleted").await, 1);
    world
        .scan(&shipment, ShipmentStatus::Exception)
        .await
        .unwrap_err();

    let carriers = world
        .handler
        .list_carriers(Request::new(ListCarriersRequest {}))
        .await
        .unwrap();
    let carriers = carriers.into_inner().items;
    let service = carriers
        .iter()
        .find(|carrier| carrier.carrier_id == delivered.carrier)
        .and_then(|carrier| {
            carrier
                .services
                .iter()
                .find(|s| s.service_level == delivered.service_level)
        })
        .unwrap();
    assert_eq!(
        (service.on_time_count, service.delivered_count),
        (152_341, 164_871)
    );

    let unknown = Request::new(GetShipmentRequest {
        shipment_id: Uuid::nil().to_string(),
    });
    let unknown = world.handler.get_shipment(unknown).await.unwrap_err();
    assert_eq!(Rendered::of(&unknown).reason, Reason::NotFound);
}

#[tokio::test]
async fn the_list_is_walked_by_token_and_by_page() {
    let world = World::new(None).await;
    for n in 0..7 {
        world.schedule(&Uuid::from_u128(n).to_string()).await;
    }
    let first = world
        .of_order(&Uuid::from_u128(0).to_string())
        .await
        .unwrap();
    world.scan(&first, ShipmentStatus::PickedUp).await.unwrap();
    let list = async |request: ListShipmentsRequest| {
        world
            .handler
            .list_shipments(Request::new(request))
            .await
            .unwrap()
            .into_inner()
    };
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = list(ListShipmentsRequest {
            limit: Some(3),
            page_token,
            ..Default::default()
        })
        .await;
        assert_eq!(page.total, 7);
        seen.extend(page.items.into_iter().map(|shipment| shipment.shipment_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b));
    let second = list(ListShipmentsRequest {
        limit: Some(3),
        page: Some(2),
        ..Default::default()
    })
    .await;
    let ids: Vec<String> = second
        .items
        .into_iter()
        .map(|shipment| shipment.shipment_id)
        .collect();
    assert_eq!(ids, seen[3..6]);
    for (status, carrier, expected) in [
        (ShipmentStatus::PickedUp, "", 1),
        (ShipmentStatus::LabelCreated, "", 6),
        (ShipmentStatus::LabelCreated, "polar-post", 6),
        (ShipmentStatus::Unspecified, "polar-post", 7),
        (ShipmentStatus::Unspecified, "summit-express", 0),
    ] {
        let request = ListShipmentsRequest {
            status: status.into(),
            carrier: carrier.to_owned(),
            ..Default::default()
        };
        let page = list(request).await;
        assert_eq!(
            (page.total, page.items.len()),
            (expected, usize::try_from(expected).unwrap())
        );
    }
}
