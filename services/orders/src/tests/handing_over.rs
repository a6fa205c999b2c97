//! The moment after which an order cannot be cancelled any more: who may decide it, and that it is one.

use std::time::Duration;

use contracts::hub::{
    inventory::v1::CommitOutcome,
    orders::v1::{
        CancelOrderRequest, CompensateSagaRequest, HandOverOrderRequest, Order, OrderForFulfilment,
        OrderStatus, SagaStep,
    },
};
use mesh::{Rendered, Role};
use tonic::{Response, Status};

use super::{Shop, reason, saga::Told};
use crate::deadlines::enforce;

impl Shop {
    async fn hand_over(&self, order_id: &str) -> Result<OrderForFulfilment, Status> {
        let ctx = self.anonymous().as_service("shipping");
        let request = HandOverOrderRequest {
            order_id: order_id.into(),
        };
        let answer = self.orders().hand_over_order(ctx.call(request)).await;
        answer.map(Response::into_inner)
    }

    async fn cancel(&self, order_id: &str) -> Result<Order, Status> {
        let ctx = self.customer("ada");
        let request = CancelOrderRequest {
            order_id: order_id.into(),
            reason: "Wrong size".into(),
        };
        let answer = self.orders().cancel_order(ctx.call(request)).await;
        answer.map(Response::into_inner)
    }

    /// An order that waits for its carrier.
    async fn packed(&self) -> String {
        let order_id = self.placed().await;
        let list = [Told::Reserved, Told::Paid, Told::Scheduled];
        self.hears(&order_id, &list).await;
        order_id
    }
}

#[tokio::test]
async fn what_was_handed_over_cannot_be_cancelled() {
    let shop = Shop::open().await;
    let order_id = shop.packed().await;
    for _ in 0..3 {
        let order = shop.hand_over(&order_id).await.unwrap();
        assert_eq!(
            (order.status(), order.open),
            (OrderStatus::Processing, true)
        );
    }
    let late = Rendered::of(&shop.cancel(&order_id).await.unwrap_err());
    assert_eq!(late.reason.as_str(), "INVALID_TRANSITION");
    assert_eq!(late.metadata["status"], "processing");
    assert_eq!(late.metadata["allowed"], "shipped");
    assert!(late.message.contains("handed over"), "{}", late.message);
    let compensate = CompensateSagaRequest {
        order_id: order_id.clone(),
        reason: "fraud".into(),
    };
    let root = shop.person(Role::Admin, "root");
    let late = shop
        .sagas()
        .compensate_saga(root.call(compensate))
        .await
        .unwrap_err();
    assert_eq!(reason(&late), "INVALID_TRANSITION");
    assert_eq!(shop.cancellations().await, 0);

    let entries = crate::store::entries_after(&shop.store, &order_id, 0, 100)
        .await
        .unwrap();
    let told = entries
        .iter()
        .filter(|entry| entry.event_type == "OrderHandedOver");
    assert_eq!(told.count(), 1);

    shop.hears(&order_id, &[Told::PickedUp]).await;
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Shipped);
    shop.hand_over(&order_id).await.unwrap();
}

#[tokio::test]
async fn an_order_that_was_given_up_keeps_its_goods() {
    let shop = Shop::open().await;
    let order_id = shop.packed().await;
    shop.cancel(&order_id).await.unwrap();
    let refused = Rendered::of(&shop.hand_over(&order_id).await.unwrap_err());
    assert_eq!(refused.reason.as_str(), "INVALID_TRANSITION");
    assert_eq!(refused.metadata["status"], "cancelled");

    for end in [
        Told::Declined,
        Told::Refused,
        Told::Refunded,
        Told::Unshippable,
        Told::Stranded,
    ] {
        let shop = Shop::open().await;
        let order_id = shop.packed().await;
        shop.hears(&order_id, &[end]).await;
        let refused = shop.hand_over(&order_id).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_TRANSITION", "{end:?}");
    }
    let unknown = "01a3185c-5000-775c-844c-00000000dead";
    let unknown = shop.hand_over(unknown).await.unwrap_err();
    assert_eq!(reason(&unknown), "NOT_FOUND");
}

#[tokio::test]
async fn goods_leave_only_when_they_are_paid_and_committed() {
    let shop = Shop::open().await;
    let order_id = shop.placed().await;
    shop.hears(&order_id, &[Told::Reserved]).await;
    let early = Rendered::of(&shop.hand_over(&order_id).await.unwrap_err());
    assert_eq!(early.reason.as_str(), "CONFLICT");
    assert_eq!(early.retry_after, Some(Duration::from_secs(1)));
    shop.hears(&order_id, &[Told::Paid]).await;
    for (outcome, refused) in [
        (CommitOutcome::Awaited, "CONFLICT"),
        (CommitOutcome::Lost, "INVALID_TRANSITION"),
    ] {
        *shop.neighbours.committed.lock() = Some(outcome);
        let error = shop.hand_over(&order_id).await.unwrap_err();
        assert_eq!(reason(&error), refused, "{outcome:?}");
    }
    *shop.neighbours.committed.lock() = None;
    *shop.neighbours.inventory_down.lock() = true;
    let away = shop.hand_over(&order_id).await.unwrap_err();
    assert_eq!(reason(&away), "UNAVAILABLE");
    *shop.neighbours.inventory_down.lock() = false;

    // Nothing was decided so far. Now it is, and the deadline of a shipment that is not heard of yet does not
    // end the order.
    shop.hand_over(&order_id).await.unwrap();
    shop.means.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(enforce(&shop.store, &shop.means).await.unwrap(), 0);
    let saga = shop.saga(&order_id).await;
    assert_eq!(saga.step(), SagaStep::Completed);
    assert_eq!(saga.order_status(), OrderStatus::Processing);
}

#[tokio::test]
async fn a_parcel_that_nobody_came_for_can_be_given_up_by_cancelling_its_shipment() {
    let shop = Shop::open().await;
    let order_id = shop.packed().await;
    shop.hand_over(&order_id).await.unwrap();
    shop.hears(&order_id, &[Told::Stranded]).await;
    assert_eq!(shop.stored(&order_id).await.status, OrderStatus::Cancelled);
    assert_eq!(shop.cancellations().await, 1);
    let gone = shop.hand_over(&order_id).await.unwrap_err();
    assert_eq!(reason(&gone), "INVALID_TRANSITION");
    shop.hears(&order_id, &[Told::Released, Told::Refunded])
        .await;
    assert_eq!(shop.saga(&order_id).await.step(), SagaStep::Compensated);
}

/// Both at the same time, again and again: one of them wins, and the other is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cancellation_and_a_hand_over_exactly_one_wins() {
    let shop = Shop::open().await;
    let mut cancelled = 0;
    for round in 0..24 {
        *shop.neighbours.lines.lock() = vec![(20, 1)];
        let name = format!("ada-{round}");
        let ctx = shop.customer(&name);
        let order_id = shop.order(&ctx, super::request()).await.unwrap().order_id;
        let list = [Told::Reserved, Told::Paid, Told::Scheduled];
        shop.hears(&order_id, &list).await;

        let mut orders = shop.orders();
        let request = ctx.call(CancelOrderRequest {
            order_id: order_id.clone(),
            reason: String::new(),
        });
        let cancel = tokio::spawn(async move { orders.cancel_order(request).await });
        let mut orders = shop.orders();
        let request = shop
            .anonymous()
            .as_service("shipping")
            .call(HandOverOrderRequest {
                order_id: order_id.clone(),
            });
        let hand_over = tokio::spawn(async move { orders.hand_over_order(request).await });

        let (cancel, hand_over) = (cancel.await.unwrap(), hand_over.await.unwrap());
        let order = shop.stored(&order_id).await;
        match (cancel, hand_over) {
            (Ok(_), Err(refused)) => {
                assert_eq!(reason(&refused), "INVALID_TRANSITION");
                assert_eq!(order.status, OrderStatus::Cancelled);
                cancelled += 1;
            }
            (Err(refused), Ok(_)) => {
                assert_eq!(reason(&refused), "INVALID_TRANSITION");
                assert_eq!(order.status, OrderStatus::Processing);
            }
            both => panic!("round {round}: {both:?}"),
        }
    }
    assert_eq!(shop.cancellations().await, cancelled);
}
