//! What happens to a cart around an order.

use contracts::hub::{
    cart::v1::{CheckoutCart, SetPromoCodeRequest, cart_service_server::CartService},
    events::v1::{Envelope, OrderCreated, OrderLine},
};
use mesh::{events::Data, store::Tx};
use proptest::prelude::*;
use tonic::Request;

use super::{World, content, customer, guest, refusal};
use crate::store::{self, Ordered};

fn ordered(cart: &CheckoutCart) -> Ordered {
    Ordered {
        cart_id: cart.cart_id.clone(),
        version: cart.version,
        lines: cart
            .lines
            .iter()
            .map(|line| (line.variant_id.clone(), line.quantity))
            .collect(),
        promo_code: cart.promo_code.clone(),
    }
}

async fn take(world: &World, what: Ordered) {
    let now = world.clock.now();
    world
        .carts
        .store
        .write(move |tx: Tx| async move { store::take_ordered(&tx, &what, now).await })
        .await
        .unwrap();
}

async fn note(world: &World, owner_id: &str, code: &str) -> Result<CheckoutCart, tonic::Status> {
    let request = SetPromoCodeRequest {
        owner_id: owner_id.to_owned(),
        promo_code: code.to_owned(),
    };
    world
        .carts
        .set_promo_code(Request::new(request))
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_ordered_cart_is_empty() {
    let world = World::open().await;
    world.shelf.put("sled", 1_000, 50);
    world.add(&customer(), "sled", 2).await.unwrap();
    note(&world, "user-1", "PEAK20").await.unwrap();
    let cart = world.checkout(&customer()).await;
    assert_eq!((cart.version, cart.promo_code.as_str()), (2, "PEAK20"));
    take(&world, ordered(&cart)).await;
    let after = world.checkout(&customer()).await;
    assert!(after.lines.is_empty() && after.promo_code.is_empty());
    assert_eq!(
        (after.cart_id.as_str(), after.version),
        (cart.cart_id.as_str(), 3)
    );
}

#[tokio::test]
async fn what_was_added_after_the_order_stays() {
    let world = World::open().await;
    world.shelf.put("sled", 1_000, 50);
    world.shelf.put("mug", 1_000, 50);
    world.add(&customer(), "sled", 2).await.unwrap();
    world.add(&customer(), "mug", 1).await.unwrap();
    let cart = world.checkout(&customer()).await;
    world.add(&customer(), "sled", 1).await.unwrap();
    take(&world, ordered(&cart)).await;
    assert_eq!(content(&world.get(&customer()).await), [("sled", 1)]);
}

#[tokio::test]
async fn the_event_names_cart_and_version() {
    use mesh::events::Consumer;
    let world = World::open().await;
    let consumer = crate::events::EmptyOrdered::new(world.clock.clone());
    let order = OrderCreated {
        cart_id: "cart".into(),
        cart_version: 3,
        items: vec![OrderLine::default()],
        ..OrderCreated::default()
    };
    let event = Envelope {
        data: Some(Data::OrderCreated(order)),
        ..Envelope::default()
    };
    let effect = consumer.react(&event).await.unwrap();
    assert_eq!(format!("{effect:?}"), "Effect::write");
    let without = Envelope {
        data: Some(Data::OrderCreated(OrderCreated::default())),
        ..event
    };
    let effect = consumer.react(&without).await.unwrap();
    assert_eq!(format!("{effect:?}"), "Effect::none");
}

#[tokio::test]
async fn a_code_needs_a_cart() {
    let world = World::open().await;
    assert_eq!(
        refusal(&note(&world, "user-1", "PEAK20").await.unwrap_err()).0,
        409
    );
    assert_eq!(note(&world, "user-1", "").await.unwrap().cart_id, "");
    world.shelf.put("sled", 1_000, 50);
    world.add(&guest(), "sled", 1).await.unwrap();
    let expires = world.get(&guest()).await.expires_at;
    let noted = note(&world, "session-1", "PEAK20").await.unwrap();
    assert_eq!(noted.version, 2);
    assert_eq!(
        note(&world, "session-1", "PEAK20").await.unwrap().version,
        2,
        "no change, no version"
    );
    let cart = world.get(&guest()).await;
    assert_eq!(
        (cart.promo_code.as_str(), cart.expires_at),
        ("PEAK20", expires)
    );
}

#[test]
fn what_is_left_is_what_was_not_ordered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names = ["a", "b", "c"];
    let adds = || prop::collection::vec((0..names.len(), 1..20_i64), 0..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(adds(), adds()), |(before, after)| {
            runtime.block_on(async {
                let world = World::open().await;
                for name in names {
                    world.shelf.put(name, 100, 1_000);
                }
                for (name, quantity) in before {
                    world.add(&customer(), names[name], quantity).await.unwrap();
                }
                let cart = world.checkout(&customer()).await;
                let mut expected = std::collections::BTreeMap::new();
                for (name, quantity) in after {
                    world.add(&customer(), names[name], quantity).await.unwrap();
                    *expected.entry(names[name]).or_insert(0) += quantity;
                }
                if !cart.cart_id.is_empty() {
                    take(&world, ordered(&cart)).await;
                }
                let left = world.get(&customer()).await;
                let left: std::collections::BTreeMap<&str, i64> =
                    content(&left).into_iter().collect();
                assert_eq!(left, expected);
            });
            Ok(())
        })
        .unwrap();
}
