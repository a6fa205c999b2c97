//! Following an order live.

use contracts::hub::{
    events::v1 as events,
    orders::v1::{CancelOrderRequest, GetOrderTrackingRequest, StreamOrderEventsRequest},
};
use futures::StreamExt;
use mesh::events::{Data, Emission};

use super::{Shop, reason, request};

fn follow(order_id: &str, after: &str) -> StreamOrderEventsRequest {
    StreamOrderEventsRequest {
        order_id: order_id.into(),
        after_event_id: after.into(),
        ..StreamOrderEventsRequest::default()
    }
}

#[tokio::test]
async fn a_follower_sees_what_was_what_comes_and_the_end() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 1)];
    let ada = shop.customer("ada");
    let order_id = shop.order(&ada, request()).await.unwrap().order_id;
    let mut stream = shop
        .orders()
        .stream_order_events(ada.call(follow(&order_id, "")))
        .await
        .unwrap()
        .into_inner();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.event_type, "OrderCreated");

    // The clock stands still: only the change itself can wake the follower.
    let cancel = CancelOrderRequest {
        order_id: order_id.clone(),
        ..CancelOrderRequest::default()
    };
    shop.orders().cancel_order(ada.call(cancel)).await.unwrap();
    let second = stream.next().await.unwrap().unwrap();
    assert_eq!(second.event_type, "OrderCancelled");
    // Through the bus, as inventory would tell it.
    let released = Data::InventoryReleased(events::InventoryReleased {
        order_id: order_id.clone(),
        reason: "order_cancelled".into(),
        ..Default::default()
    });
    let emission = Emission::new(&order_id, released);
    shop.store
        .write(move |tx: mesh::store::Tx| async move { tx.emit(emission).await })
        .await
        .unwrap();
    let third = stream.next().await.unwrap().unwrap();
    assert_eq!(third.event_type, "InventoryReleased");
    assert!(stream.next().await.is_none());

    let resumed: Vec<_> = shop
        .orders()
        .stream_order_events(ada.call(follow(&order_id, &first.event_id)))
        .await
        .unwrap()
        .into_inner()
        .map(|event| event.unwrap().event_type)
        .collect()
        .await;
    assert_eq!(resumed, ["OrderCancelled", "InventoryReleased"]);

    let eve = shop.customer("eve");
    let error = shop
        .orders()
        .stream_order_events(eve.call(follow(&order_id, "")))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "NOT_FOUND");
    let error = shop
        .orders()
        .stream_order_events(ada.call(follow(&order_id, "x")))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "INVALID_ARGUMENT");

    let tracking = GetOrderTrackingRequest {
        order_id,
        ..GetOrderTrackingRequest::default()
    };
    let tracking = shop
        .orders()
        .get_order_tracking(ada.call(tracking))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(tracking.events.len(), 3);
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 1)];
    let ada = shop.customer("ada");
    let order_id = shop.order(&ada, request()).await.unwrap().order_id;
    let hurried = ada.within(std::time::Duration::from_secs(20));
    let mut stream = shop
        .orders()
        .stream_order_events(hurried.call(follow(&order_id, "")))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.next().await.is_some());
    let clock = shop.means.clock.clone();
    let (end, ()) = tokio::join!(stream.next(), async {
        // Up to shortly before the deadline: the stream ends by itself.
        for _ in 0..199 {
            tokio::task::yield_now().await;
            clock.advance(std::time::Duration::from_millis(100));
        }
    });
    assert!(end.is_none(), "{end:?}");
}
