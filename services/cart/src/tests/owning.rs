//! Whose cart it is, for how long, and how a guest's becomes a customer's.

use std::time::Duration;

use contracts::hub::cart::v1::{Cart, MergeCartRequest, cart_service_server::CartService};
use mesh::Principal;
use tonic::Status;

use super::{World, by, content, customer, guest, refusal};
use crate::expiry;

const DAY: Duration = Duration::from_secs(86_400);

async fn merge(world: &World, token: &str) -> Result<Cart, Status> {
    let request = MergeCartRequest {
        guest_token: token.to_owned(),
    };
    world
        .carts
        .merge_cart(by(&customer(), request))
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_guests_cart_moves_to_the_customer() {
    let world = World::open().await;
    for name in ["sled", "mug", "lamp"] {
        world.shelf.put(name, 1_000, 50);
    }
    world.add(&guest(), "sled", 2).await.unwrap();
    world.add(&guest(), "mug", 1).await.unwrap();
    world.add(&customer(), "lamp", 1).await.unwrap();
    world.add(&customer(), "sled", 3).await.unwrap();
    let before = world.checkout(&guest()).await;
    let merged = merge(&world, "token-of-session-1").await.unwrap();
    let mut lines = content(&merged);
    lines.sort_unstable();
    assert_eq!(lines, [("lamp", 1), ("mug", 1), ("sled", 5)]);
    let after = world.checkout(&guest()).await;
    assert!(after.lines.is_empty() && after.version > before.version);
    assert_eq!(
        merge(&world, "token-of-session-1").await.unwrap(),
        merged,
        "twice is as good as once"
    );
    assert_eq!(
        refusal(&merge(&world, "forged").await.unwrap_err()),
        (400, "guest_token".to_owned())
    );
    assert_eq!(merge(&world, "token-of-nobody").await.unwrap(), merged);
}

#[tokio::test]
async fn carts_slide_and_expire() {
    let world = World::open().await;
    world.shelf.put("sled", 1_000, 50);
    for who in [guest(), customer()] {
        world.add(&who, "sled", 1).await.unwrap();
    }
    let first = world.get(&guest()).await.cart_id;
    world.clock.advance(13 * DAY);
    world.add(&guest(), "sled", 1).await.unwrap();
    world.clock.advance(13 * DAY);
    assert_eq!(
        content(&world.get(&guest()).await),
        [("sled", 2)],
        "a change postpones it"
    );
    world.clock.advance(DAY);
    assert_eq!(world.get(&guest()).await.cart_id, "");
    assert_eq!(content(&world.get(&customer()).await), [("sled", 1)]);
    let again = world.add(&guest(), "sled", 1).await.unwrap();
    assert_ne!(again.cart_id, first, "what has expired does not come back");
    assert_eq!(content(&again), [("sled", 1)]);

    world.clock.advance(90 * DAY);
    assert_eq!(
        expiry::sweep(&world.carts.store, &world.clock)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        expiry::sweep(&world.carts.store, &world.clock)
            .await
            .unwrap(),
        0
    );
    let row = world
        .carts
        .store
        .one("SELECT COUNT(*) FROM cart_items", mesh::args![])
        .await;
    assert_eq!(row.unwrap().unwrap().get::<i64>(0_usize).unwrap(), 0);
}

#[tokio::test]
async fn a_service_has_no_cart_of_its_own() {
    let world = World::open().await;
    world.shelf.put("sled", 1_000, 50);
    let service = Principal::service("orders");
    assert_eq!(
        refusal(&world.add(&service, "sled", 1).await.unwrap_err()).0,
        401
    );
    assert_eq!(world.get(&service).await.cart_id, "");
}

#[tokio::test]
async fn a_deleted_user_leaves_no_cart() {
    let world = World::open().await;
    world.shelf.put("sled", 1_000, 50);
    for who in [guest(), customer()] {
        world.add(&who, "sled", 1).await.unwrap();
    }
    world
        .carts
        .store
        .write(|tx: mesh::store::Tx| async move { crate::store::forget_owner(&tx, "user-1").await })
        .await
        .unwrap();
    assert_eq!(world.get(&customer()).await.cart_id, "");
    assert_eq!(world.get(&guest()).await.items.len(), 1);
}
