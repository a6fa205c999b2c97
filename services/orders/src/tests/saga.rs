//! What arrives from inventory, payments and shipping, on a real store: in any order, more than once, too
//! late or not at all.

use std::time::Duration;

use contracts::hub::{
    events::v1 as events,
    orders::v1::{
        CancelOrderRequest, CompensateSagaRequest, FulfillmentStatus, GetOrderForFulfilmentRequest,
        GetSagaRequest, ListSagasRequest, OrderStatus, PaymentStatus, RetrySagaRequest, Saga,
        SagaStep,
    },
    r#type::v1::Money,
};
use mesh::{
    Role,
    events::{Data, Envelope},
};
use proptest::prelude::*;

use super::{Shop, event, reason, request};
use crate::{deadlines::enforce, store::Progress};

fn usd(amount: &str) -> Option<Money> {
    Some(Money {
        amount: amount.into(),
        currency: "USD".into(),
    })
}

/// What other services can tell of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Reserved,
    Refused,
    Released,
    Expired,
    Paid,
    Declined,
    PartlyRefunded,
    Refunded,
    Scheduled,
    Unshippable,
    Stranded,
    PickedUp,
    InTransit,
    Delivered,
}

const ALL: [Told; 14] = [
    Told::Reserved,
    Told::Refused,
    Told::Released,
    Told::Expired,
    Told::Paid,
    Told::Declined,
    Told::PartlyRefunded,
    Told::Refunded,
    Told::Scheduled,
    Told::Unshippable,
    Told::Stranded,
    Told::PickedUp,
    Told::InTransit,
    Told::Delivered,
];

fn told(told: Told, order_id: &str) -> Envelope {
    let order_id = order_id.to_owned();
    let released = |reason: &str| {
        Data::InventoryReleased(events::InventoryReleased {
            order_id: order_id.clone(),
            reason: reason.into(),
            ..Default::default()
        })
    };
    let refund = |total: &str, fully_refunded| {
        Data::RefundProcessed(events::RefundProcessed {
            order_id: order_id.clone(),
            amount: usd("1.00"),
            total_refunded: usd(total),
            fully_refunded,
            ..Default::default()
        })
    };
    let scan = |status: &str| {
        Data::ShipmentStatusUpdated(events::ShipmentStatusUpdated {
            order_id: order_id.clone(),
            status: status.into(),
            location: "Tacoma".into(),
            ..Default::default()
        })
    };
    let data = match told {
        Told::Reserved => Data::InventoryReserved(events::InventoryReserved {
            order_id: order_id.clone(),
            ..Default::default()
        }),
        Told::Refused => Data::InventoryReservationFailed(events::InventoryReservationFailed {
            order_id: order_id.clone(),
            failed_items: vec![events::FailedItem {
                sku: "SKU-20".into(),
                requested: 1,
                ..Default::default()
            }],
        }),
        Told::Released => released("order_cancelled"),
        Told::Expired => released("expired"),
        Told::Paid => Data::PaymentProcessed(events::PaymentProcessed {
            order_id: order_id.clone(),
            payment_intent_id: "pi_1".into(),
            brand: "visa".into(),
            last4: "4242".into(),
            method: "card".into(),
            ..Default::default()
        }),
        Told::Declined => Data::PaymentFailed(events::PaymentFailed {
            order_id: order_id.clone(),
            reason: "The card was declined.".into(),
            ..Default::default()
        }),
        Told::PartlyRefunded => refund("1.00", false),
        Told::Refunded => refund("28.71", true),
        Told::Scheduled => Data::ShipmentScheduled(events::ShipmentScheduled {
            order_id: order_id.clone(),
            shipment_id: "s-1".into(),
            carrier: "summit-express".into(),
            ..Default::default()
        }),
        Told::Unshippable => Data::ShipmentFailed(events::ShipmentFailed {
            order_id: order_id.clone(),
            reason: "No carrier goes there.".into(),
        }),
        Told::Stranded => scan("cancelled"),
        Told::PickedUp => scan("picked_up"),
        Told::InTransit => scan("in_transit"),
        Told::Delivered => Data::DeliveryCompleted(events::DeliveryCompleted {
            order_id: order_id.clone(),
            ..Default::default()
        }),
    };
    event(&format!("{told:?}"), data)
}

impl Shop {
    pub(super) async fn placed(&self) -> String {
        *self.neighbours.lines.lock() = vec![(20, 1)];
        self.order(&self.customer("ada"), request())
            .await
            .unwrap()
            .order_id
    }

    pub(super) async fn hears(&self, order_id: &str, list: &[Told]) {
        for one in list {
            self.hear(&told(*one, order_id)).await;
        }
    }

    pub(super) async fn saga(&self, order_id: &str) -> Saga {
        let ctx = self.person(Role::Admin, "root");
        let request = GetSagaRequest {
            order_id: order_id.into(),
        };
        self.sagas()
            .get_saga(ctx.call(request))
            .await
            .unwrap()
            .into_inner()
    }

    pub(super) async fn cancellations(&self) -> usize {
        self.emitted()
            .await
            .iter()
            .filter(|event| matches!(event.data, Some(Data::OrderCancelled(_))))
            .count()
    }
}

#[tokio::test]
async fn the_happy_path_is_told_step_by_step() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Reserved, Told::Paid, Told::Scheduled])
        .await;
    let order = shop.stored(&order_id).await;
    assert_eq!(order.status, OrderStatus::Processing);
    assert_eq!(order.payment_status, PaymentStatus::Paid);
    assert_eq!(order.fulfillment_status, FulfillmentStatus::Scheduled);
    assert_eq!(
        (order.payment.brand.as_str(), order.payment.last4.as_str()),
        ("visa", "4242")
    );
    assert_eq!(order.shipment.carrier, "summit-express");
    assert!(order.paid_at.is_some());
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Completed);
    shop.hears(
        &order_id,
        &[Told::PickedUp, Told::InTransit, Told::Delivered],
    )
    .await;
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Delivered);
    // Later they may be gone: the outbox keeps what was relayed for a day.
    let before = updates(&shop).await;

    shop.means
        .clock
        .advance(Duration::from_secs(14 * 24 * 3600));
    assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 1);
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Completed);
    assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 0);

    let entries = crate::store::entries_after(&shop.store, &order_id, 0, 100)
        .await
        .unwrap();
    let types: Vec<&str> = entries
        .iter()
        .map(|entry| entry.event_type.as_str())
        .collect();
    assert_eq!(
        types,
        [
            "OrderCreated",
            "InventoryReserved",
            "PaymentProcessed",
            "ShipmentScheduled",
            "ShipmentStatusUpdated",
            "ShipmentStatusUpdated",
            "DeliveryCompleted",
            "OrderCompleted",
        ]
    );
    assert_eq!(
        before,
        ["reserved", "paid", "processing", "shipped", "delivered"]
    );
    assert_eq!(
        updates(&shop).await.last().map(String::as_str),
        Some("completed")
    );
}

/// The statuses that others were told of, as far as the outbox still has them.
async fn updates(shop: &Shop) -> Vec<String> {
    let events = shop.emitted().await;
    let statuses = events.into_iter().filter_map(|event| match event.data {
        Some(Data::OrderUpdated(updated)) => Some(updated.status),
        _ => None,
    });
    statuses.collect()
}

#[tokio::test]
async fn what_is_heard_twice_is_told_once() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    assert_eq!(
        shop.hear(&told(Told::Reserved, &order_id)).await,
        Progress::Moved
    );
    assert_eq!(
        shop.hear(&told(Told::Reserved, &order_id)).await,
        Progress::Known
    );
    let nobody = "01a3185c-5000-775c-844c-00000000dead";
    assert_eq!(
        shop.hear(&told(Told::Paid, nobody)).await,
        Progress::NoSuchOrder
    );
}

#[tokio::test]
async fn failures_end_in_their_status_and_are_undone() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Refused]).await;
    let order = shop.stored(&order_id).await;
    assert_eq!(order.status, OrderStatus::OutOfStock);
    assert_eq!(
        order.status_reason,
        "Out of stock: SKU-20 (1 wanted, 0 left)."
    );
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensated);
    assert_eq!(shop.cancellations().await, 0);

    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Reserved, Told::Declined])
        .await;
    assert_eq!(
        shop.stored(&order_id).await.status,
        OrderStatus::PaymentFailed
    );
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensation);
    shop.hears(&order_id, &[Told::Released]).await;
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensated);

    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Reserved, Told::Paid, Told::Unshippable])
        .await;
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Cancelled);
    assert_eq!(shop.cancellations().await, 1);
    shop.hears(&order_id, &[Told::Released]).await;
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensation);
    shop.hears(&order_id, &[Told::Refunded]).await;
    let saga = shop.saga(&order_id).await;
    assert_eq!(
        (saga.step(), saga.charged, saga.stock_held),
        (SagaStep::Compensated, false, false)
    );
    assert_eq!(
        shop.stored(&order_id).await.payment_status,
        PaymentStatus::Refunded
    );
}

#[tokio::test]
async fn cancelling_is_possible_until_the_goods_leave() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Reserved, Told::Paid, Told::Scheduled])
        .await;
    let cancel = CancelOrderRequest {
        order_id: order_id.clone(),
        reason: "Wrong size".into(),
    };
    let eve = shop.customer("eve");
    let error = shop
        .orders()
        .cancel_order(eve.call(cancel.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "NOT_FOUND");
    let ada = shop.customer("ada");
    for _ in 0..3 {
        let order = shop
            .orders()
            .cancel_order(ada.call(cancel.clone()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (order.status(), order.status_reason.as_str()),
            (OrderStatus::Cancelled, "Wrong size")
        );
    }
    assert_eq!(shop.cancellations().await, 1);

    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(
        &order_id,
        &[Told::Reserved, Told::Paid, Told::Scheduled, Told::PickedUp],
    )
    .await;
    let cancel = CancelOrderRequest { order_id, ..cancel };
    let ada = shop.customer("ada");
    let error = shop
        .orders()
        .cancel_order(ada.call(cancel))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "INVALID_TRANSITION");
    assert!(error.message().contains("shipped"), "{error}");
}

#[tokio::test]
async fn every_waiting_step_runs_out_of_time() {
    for (heard, wait) in [
        (&[][..], 30),
        (&[Told::Reserved][..], 60),
        (&[Told::Reserved, Told::Paid][..], 300),
    ] {
        let shop = Shop::open().await;
        let order_id = shop.placed().await;
        shop.hears(&order_id, heard).await;
        shop.means.clock.advance(Duration::from_secs(wait - 1));
        assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 0);
        shop.means.clock.advance(Duration::from_secs(1));
        assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 1);
        let saga = shop.saga(&order_id).await;
        assert_eq!(saga.order_status(), OrderStatus::Cancelled);
        assert_eq!(saga.step(), SagaStep::Compensation);
        assert_eq!(
            (saga.notes[0].actor.as_str(), saga.notes[0].action.as_str()),
            ("timer", "deadline")
        );
        // Nobody confirms: they are told again, each time after a longer while.
        for (attempt, wait) in [(1, 60), (2, 60), (3, 120)] {
            shop.means.clock.advance(Duration::from_secs(wait));
            assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 1);
            assert_eq!(shop.saga(&order_id).await.attempts, attempt);
        }
        assert_eq!(shop.cancellations().await, 4);
        let refund = if heard.contains(&Told::Paid) {
            &[Told::Refunded][..]
        } else {
            &[]
        };
        shop.hears(&order_id, &[Told::Released]).await;
        shop.hears(&order_id, refund).await;
        assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensated);
    }
}

#[tokio::test]
async fn who_pays_in_the_browser_has_as_long_as_the_stock_is_held() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 1)];
    let mut by_intent = request();
    by_intent.payment_method = "intent".into();
    let order = shop.order(&shop.customer("ada"), by_intent).await.unwrap();
    let expires_at = shop.means.clock.now() + chrono::TimeDelta::seconds(700);
    let held = Data::InventoryReserved(events::InventoryReserved {
        order_id: order.order_id.clone(),
        expires_at: Some(crate::wire::timestamp(expires_at)),
        ..Default::default()
    });
    shop.hear(&event("e-1", held)).await;
    let deadline = shop.saga(&order.order_id).await.deadline.unwrap();
    assert_eq!(deadline.seconds, expires_at.timestamp());
    // The hold ends early: a payment on its way still has half a minute.
    shop.hears(&order.order_id, &[Told::Expired]).await;
    let deadline = shop.saga(&order.order_id).await.deadline.unwrap();
    assert_eq!(deadline.seconds, shop.means.clock.now().timestamp() + 30);
}

#[tokio::test]
async fn deadlines_that_passed_while_nothing_ran_are_put_off() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.means.clock.advance(Duration::from_secs(3600));
    let now = shop.means.clock.now();
    crate::store::grant_grace(&shop.store, now, chrono::TimeDelta::seconds(30))
        .await
        .unwrap();
    assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 0);
    shop.hears(&order_id, &[Told::Reserved]).await;
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Reserved);
}

#[tokio::test]
async fn operators_see_retry_and_compensate() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    let root = shop.person(Role::Admin, "root");
    let retry = RetrySagaRequest {
        order_id: order_id.clone(),
        reason: "inventory was down".into(),
    };
    let expected = ["OrderCreated", "InventoryReserved", "PaymentProcessed"];
    for (step, event_type) in [Told::Reserved, Told::Paid, Told::Scheduled]
        .into_iter()
        .zip(expected)
    {
        let saga = shop
            .sagas()
            .retry_saga(root.call(retry.clone()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(saga.attempts, 1);
        let events = shop.emitted().await;
        assert_eq!(events.last().unwrap().event_type, event_type);
        shop.hears(&order_id, &[step]).await;
    }
    let error = shop.sagas().retry_saga(root.call(retry)).await.unwrap_err();
    assert_eq!(reason(&error), "INVALID_TRANSITION");
    assert_eq!(shop.saga(&order_id).await.notes.len(), 3);

    let list = |step: SagaStep, overdue| ListSagasRequest {
        step: step.into(),
        overdue,
        ..ListSagasRequest::default()
    };
    let total = async |request: ListSagasRequest| {
        shop.sagas()
            .list_sagas(root.call(request))
            .await
            .unwrap()
            .into_inner()
            .total
    };
    assert_eq!(total(list(SagaStep::Unspecified, false)).await, 1);
    assert_eq!(total(list(SagaStep::Completed, false)).await, 1);
    assert_eq!(total(list(SagaStep::Payment, false)).await, 0);
    assert_eq!(total(list(SagaStep::Unspecified, true)).await, 0);

    let compensate = CompensateSagaRequest {
        order_id: order_id.clone(),
        reason: "fraud".into(),
    };
    let saga = shop
        .sagas()
        .compensate_saga(root.call(compensate.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(saga.step(), SagaStep::Compensation);
    assert_eq!(shop.cancellations().await, 1);
    // Again: they are told again.
    shop.sagas()
        .compensate_saga(root.call(compensate))
        .await
        .unwrap();
    assert_eq!(shop.cancellations().await, 2);
    assert_eq!(total(list(SagaStep::Compensation, false)).await, 1);
}

#[tokio::test]
async fn a_step_learns_whether_the_order_is_still_wanted() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    let ctx = shop.anonymous().as_service("payments");
    let ask = async || {
        let request = GetOrderForFulfilmentRequest {
            order_id: order_id.clone(),
        };
        shop.orders()
            .get_order_for_fulfilment(ctx.call(request))
            .await
            .unwrap()
            .into_inner()
    };
    let wanted = ask().await;
    assert!(wanted.open);
    assert_eq!(wanted.total.unwrap().amount, "28.71");
    assert_eq!(wanted.payment_method, "pm_card_visa");
    shop.hears(&order_id, &[Told::Declined]).await;
    assert!(!ask().await.open);
}

fn histories() -> impl Strategy<Value = (Vec<Told>, Vec<Told>)> {
    prop::collection::vec(prop::sample::select(ALL.to_vec()), 1..8).prop_flat_map(|history| {
        let twice: Vec<Told> = history.iter().chain(&history).copied().collect();
        (Just(history), Just(twice).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The rows end the same whatever the order of arrival, and what is said again tells nothing new.
    #[test]
    fn any_order_of_arrival_ends_the_same((history, shuffled) in histories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shop = Shop::open().await;
            let mut ends = Vec::new();
            for (name, list) in [("ada", &history), ("bob", &shuffled)] {
                *shop.neighbours.lines.lock() = vec![(20, 1)];
                let order_id = shop.order(&shop.customer(name), request()).await.unwrap().order_id;
                shop.hears(&order_id, list).await;
                let order = shop.stored(&order_id).await;
                let saga = shop.saga(&order_id).await;
                let entries = crate::store::entries_after(&shop.store, &order_id, 0, 100).await.unwrap();
                // One entry per fact that was new, numbered without gaps.
                assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
                ends.push((
                    order.status,
                    order.payment_status,
                    order.fulfillment_status,
                    order.payment,
                    order.shipment,
                    saga.step,
                    saga.charged,
                    saga.stock_held,
                ));
            }
            assert_eq!(ends[0], ends[1]);
        });
    }
}
