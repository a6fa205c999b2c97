//! Putting things in and taking them out.

use std::sync::atomic::Ordering;

use contracts::hub::cart::v1::{
    AddCartItemRequest, ClearCartRequest, GetCartRequest, RemoveCartItemRequest,
    UpdateCartItemRequest, cart_service_server::CartService,
};
use futures::future::join_all;
use mesh::{CallContext, Clock, Currency, Principal};

use super::{World, by, content, guest, refusal, subtotal};

#[tokio::test]
async fn a_cart_shows_the_prices_of_the_moment() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 50);
    world.shelf.put("mug", 1_250, 10);
    world.add(&guest(), "sled", 1).await.unwrap();
    let calls = world.shelf.calls.load(Ordering::SeqCst);
    let cart = world.add(&guest(), "mug", 2).await.unwrap();
    assert_eq!(
        world.shelf.calls.load(Ordering::SeqCst),
        calls + 1,
        "one call prices it all"
    );
    assert_eq!(content(&cart), [("sled", 1), ("mug", 2)]);
    assert_eq!(cart.items[1].line_total.as_ref().unwrap().amount, "25.00");
    let totals = cart.totals.clone().unwrap();
    assert_eq!(totals.subtotal.unwrap().amount, "114.00");
    // 7.3425 and 2.0625, each to the cent.
    assert_eq!(totals.tax_estimate.unwrap().amount, "9.40");
    assert_eq!(totals.total_estimate.unwrap().amount, "123.40");
    assert_eq!(world.get(&guest()).await, cart);

    world
        .shelf
        .change("mug", |offer| offer.unit_price.minor = 1_000);
    assert_eq!(subtotal(&world.get(&guest()).await), "109.00");
    world.shelf.change("mug", |offer| offer.active = false);
    let cart = world.get(&guest()).await;
    assert_eq!(
        (subtotal(&cart), cart.items[1].available),
        ("89.00".to_owned(), false)
    );
    world.shelf.offers.lock().remove("mug");
    let cart = world.get(&guest()).await;
    assert_eq!(
        (cart.items[1].sku.as_str(), cart.items[1].unit_price.clone()),
        ("mug", None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_adds_add_up() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 50);
    let who = guest();
    let adds = (0..30).map(|_| world.add(&who, "sled", 1));
    for cart in join_all(adds).await {
        cart.unwrap();
    }
    assert_eq!(content(&world.get(&guest()).await), [("sled", 30)]);
    assert_eq!(world.checkout(&guest()).await.version, 30);
}

#[tokio::test]
async fn more_than_there_is_cannot_be_added() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 3);
    world.add(&guest(), "sled", 2).await.unwrap();
    let refused = world.add(&guest(), "sled", 2).await.unwrap_err();
    assert_eq!(refusal(&refused), (409, "quantity".to_owned()));
    assert_eq!(content(&world.get(&guest()).await), [("sled", 2)]);
    assert_eq!(
        world.checkout(&guest()).await.version,
        1,
        "a refused change is no change"
    );
    world.shelf.change("sled", |offer| offer.stock = 1);
    assert!(!world.get(&guest()).await.items[0].available);
}

#[tokio::test]
async fn limits_and_unknown_things_are_refused_by_field() {
    let world = World::open().await;
    world.shelf.put("bolt", 10, 100_000);
    world.add(&guest(), "bolt", 999).await.unwrap();
    let refused = world.add(&guest(), "bolt", 1).await.unwrap_err();
    assert_eq!(refusal(&refused), (422, "quantity".to_owned()));
    let refused = world.add(&guest(), "nothing", 1).await.unwrap_err();
    assert_eq!(refusal(&refused), (404, "product_id".to_owned()));
    let request = AddCartItemRequest {
        product_id: "bolt".into(),
        variant_id: "nothing".into(),
        quantity: None,
    };
    let refused = world
        .carts
        .add_cart_item(by(&guest(), request))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused), (404, "variant_id".to_owned()));
    world.shelf.put_in(Currency::EUR, "euro", 100, 5);
    let refused = world.add(&guest(), "euro", 1).await.unwrap_err();
    assert_eq!(refusal(&refused), (422, "product_id".to_owned()));
    world.shelf.put("gone", 10, 5);
    world.shelf.change("gone", |offer| offer.active = false);
    assert_eq!(
        refusal(&world.add(&guest(), "gone", 1).await.unwrap_err()).0,
        404
    );
    for number in 1..100 {
        world.shelf.put(&format!("x{number}"), 10, 5);
        world.add(&guest(), &format!("x{number}"), 1).await.unwrap();
    }
    world.shelf.put("last", 10, 5);
    assert_eq!(
        refusal(&world.add(&guest(), "last", 1).await.unwrap_err()).0,
        422
    );
    assert_eq!(world.get(&guest()).await.items.len(), 100);
}

#[tokio::test]
async fn lines_are_changed_and_taken_out() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 5);
    let cart = world.add(&guest(), "sled", 1).await.unwrap();
    let cart_item_id = cart.items[0].cart_item_id.clone();
    let update = async |quantity| {
        let request = UpdateCartItemRequest {
            cart_item_id: cart_item_id.clone(),
            quantity,
        };
        world
            .carts
            .update_cart_item(by(&guest(), request))
            .await
            .map(tonic::Response::into_inner)
    };
    assert_eq!(content(&update(4).await.unwrap()), [("sled", 4)]);
    assert_eq!(refusal(&update(6).await.unwrap_err()).0, 409);
    world.shelf.change("sled", |offer| offer.active = false);
    assert_eq!(
        content(&update(2).await.unwrap()),
        [("sled", 2)],
        "fewer is always possible"
    );
    assert_eq!(refusal(&update(3).await.unwrap_err()).0, 409);

    let other = Principal::guest("session-9");
    let remove = RemoveCartItemRequest {
        cart_item_id: cart_item_id.clone(),
    };
    let refused = world
        .carts
        .remove_cart_item(by(&other, remove.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused).0,
        404,
        "somebody else's line is not there"
    );
    let change = UpdateCartItemRequest {
        cart_item_id: cart_item_id.clone(),
        quantity: 1,
    };
    let refused = world
        .carts
        .update_cart_item(by(&other, change))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).0, 404);
    let cart = world
        .carts
        .remove_cart_item(by(&guest(), remove))
        .await
        .unwrap()
        .into_inner();
    assert!(cart.items.is_empty());
    world.shelf.change("sled", |offer| offer.active = true);
    world.add(&guest(), "sled", 1).await.unwrap();
    let cart = world
        .carts
        .clear_cart(by(&guest(), ClearCartRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert!(cart.items.is_empty());
    assert_eq!(subtotal(&cart), "0.00");
}

#[tokio::test]
async fn without_a_session_there_is_an_empty_cart_and_nothing_to_change() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 5);
    let nobody = Principal::anonymous();
    let cart = world
        .carts
        .get_cart(by(&nobody, GetCartRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((cart.cart_id.as_str(), cart.items.len()), ("", 0));
    assert_eq!(subtotal(&cart), "0.00");
    assert_eq!(
        refusal(&world.add(&nobody, "sled", 1).await.unwrap_err()).0,
        401
    );
    let cleared = world
        .carts
        .clear_cart(by(&nobody, ClearCartRequest {}))
        .await
        .unwrap();
    assert_eq!(cleared.into_inner(), cart);
    let remove = RemoveCartItemRequest {
        cart_item_id: uuid::Uuid::nil().to_string(),
    };
    let refused = world
        .carts
        .remove_cart_item(by(&nobody, remove))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).0, 404);
}

#[tokio::test]
async fn a_call_repeated_with_its_key_adds_nothing_more() {
    let world = World::open().await;
    world.shelf.put("sled", 8_900, 50);
    let add = async |key: &str| {
        let request = AddCartItemRequest {
            product_id: "sled".into(),
            ..AddCartItemRequest::default()
        };
        let call = CallContext::new(Clock::system(), "request")
            .with_principal(guest())
            .with_idempotency_key(key);
        let answer = world.carts.add_cart_item(call.call(request)).await;
        answer.unwrap().into_inner()
    };
    assert_eq!(content(&add("k-1").await), [("sled", 1)]);
    assert_eq!(content(&add("k-1").await), [("sled", 1)]);
    assert_eq!(content(&add("k-2").await), [("sled", 2)]);
}
