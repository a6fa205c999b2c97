//! From a cart to an order, through the RPCs.

use contracts::hub::orders::v1::{
    ApplyPromoRequest, CancelOrderRequest, CreateOrderRequest, GetOrderRequest, ImportOrder,
    ImportOrdersRequest, ImportPromoCodesRequest, ListMyOrdersRequest, ListOrdersRequest, Order,
    OrderItem, OrderStatus, OrderTotals, PromoCode, PromoType, ShippingMethod,
    ValidateAddressRequest, ValidateCheckoutRequest,
};
use futures::future::join_all;
use mesh::{Principal, Rendered, Role, events::Data, store::Dialect};

use super::{Shop, neighbours::variant_id, reason, request};

fn amounts(order: &Order) -> [String; 5] {
    let totals = order.totals.clone().unwrap();
    [
        totals.subtotal,
        totals.discount,
        totals.shipping,
        totals.tax,
        totals.total,
    ]
    .map(|money| money.unwrap().amount)
}

fn promo(code: &str, change: impl FnOnce(&mut PromoCode)) -> PromoCode {
    let mut promo = PromoCode {
        code: code.into(),
        r#type: PromoType::Percent.into(),
        value: "10".into(),
        ..PromoCode::default()
    };
    change(&mut promo);
    promo
}

impl Shop {
    async fn promos(&self, codes: Vec<PromoCode>) {
        let ctx = self.anonymous().as_service("test");
        self.orders()
            .import_promo_codes(ctx.call(ImportPromoCodesRequest { codes }))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_cart_becomes_an_order_that_its_owner_sees() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 2), (5, 1)];
    let ada = shop.customer("ada");
    let order = shop.order(&ada, request()).await.unwrap();
    assert_eq!(order.order_number, "HPH-2027-000001");
    assert_eq!(order.status(), OrderStatus::Pending);
    assert_eq!(order.email, "ada@example.com");
    // 2 × 20.99 + 5.99 = 47.97; tax 3.46 + 0.49; standard 5.99.
    assert_eq!(amounts(&order), ["47.97", "0.00", "5.99", "3.95", "57.91"]);

    let events = shop.emitted().await;
    let Some(Data::OrderCreated(created)) = &events[0].data else {
        panic!("{events:?}");
    };
    assert_eq!(created.total.as_ref().unwrap().amount, "57.91");
    assert_eq!(created.items.len(), 2);
    assert_eq!(
        (created.cart_id.as_str(), created.cart_version),
        ("cart-ada", 1)
    );
    assert_eq!(events[0].correlation_id, order.order_id);

    let get = |email: &str| GetOrderRequest {
        order_id: order.order_id.clone(),
        email: email.into(),
    };
    let mut orders = shop.orders();
    assert_eq!(
        orders
            .get_order(ada.call(get("")))
            .await
            .unwrap()
            .into_inner(),
        order
    );
    let staff = shop.person(Role::Staff, "sam");
    assert!(orders.get_order(staff.call(get(""))).await.is_ok());
    let stranger = shop.customer("eve");
    let refused = orders
        .get_order(stranger.call(get("eve@example.com")))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "NOT_FOUND");
    let nobody = shop.anonymous();
    assert!(orders.get_order(nobody.call(get(""))).await.is_err());
    assert!(
        orders
            .get_order(nobody.call(get(" ADA@example.COM ")))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn one_cart_gives_one_order_and_one_key_the_same_order() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 1)];
    let ada = shop.customer("ada");
    let results = join_all((0..5).map(|_| shop.order(&ada, request()))).await;
    let placed: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().ok())
        .collect();
    assert_eq!(placed.len(), 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(reason(error), "CART_ALREADY_ORDERED");
        assert_eq!(Rendered::of(error).metadata["order_id"], placed[0].order_id);
    }

    let bob = shop.customer("bob").with_idempotency_key("k-1");
    let results = join_all((0..5).map(|_| shop.order(&bob, request()))).await;
    let first = results[0].as_ref().unwrap();
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap() == first)
    );
    match shop.store.dialect() {
        // A refused attempt uses no number up.
        Dialect::Sqlite => assert_eq!(first.order_number, "HPH-2027-000002"),
        // A sequence gives none back.
        Dialect::Postgres => assert!(first.order_number > placed[0].order_number),
    }
}

#[tokio::test]
async fn what_cannot_be_ordered_is_refused_with_its_reason() {
    let shop = Shop::open().await;
    let ada = shop.customer("ada");
    let refused = |result: Result<Order, tonic::Status>| {
        let error = result.unwrap_err();
        (reason(&error), Rendered::of(&error))
    };
    assert_eq!(refused(shop.order(&ada, request()).await).0, "CART_EMPTY");

    *shop.neighbours.lines.lock() = vec![(20, 3), (7, 1)];
    shop.neighbours.stock.lock().insert(20, 2);
    let (why, rendered) = refused(shop.order(&ada, request()).await);
    assert_eq!(why, "OUT_OF_STOCK");
    assert_eq!(rendered.metadata["available.SKU-20"], "2");
    // With inventory down the catalog's numbers decide.
    *shop.neighbours.inventory_down.lock() = true;
    assert_eq!(refused(shop.order(&ada, request()).await).0, "OUT_OF_STOCK");
    shop.neighbours.stock.lock().clear();

    shop.neighbours.archived.lock().push(7);
    assert_eq!(refused(shop.order(&ada, request()).await).0, "CONFLICT");
    shop.neighbours.archived.lock().clear();

    let guest = shop.anonymous().with_principal(Principal::guest("g-1"));
    let (why, rendered) = refused(shop.order(&guest, request()).await);
    assert_eq!(
        (why, rendered.fields[0].field.as_str()),
        ("INVALID_ARGUMENT", "email")
    );
    let mut with_email = request();
    with_email.email = "Guest@Example.com".into();
    assert_eq!(
        shop.order(&guest, with_email).await.unwrap().email,
        "guest@example.com"
    );

    let mut elsewhere = request();
    elsewhere.shipping_address.as_mut().unwrap().postal_code = "9810".into();
    elsewhere.shipping_address.as_mut().unwrap().state = "Atlantis".into();
    let (_, rendered) = refused(shop.order(&ada, elsewhere).await);
    let fields: Vec<&str> = rendered
        .fields
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(
        fields,
        ["shipping_address.state", "shipping_address.postal_code"]
    );

    for number in [
        "4242424242424242",
        "4242 4242 4242 4242",
        "3782-822463-10005",
    ] {
        let mut by_number = request();
        by_number.payment_method = number.into();
        let (_, rendered) = refused(shop.order(&ada, by_number).await);
        assert_eq!(rendered.fields[0].field, "payment_method");
        assert!(!rendered.message.contains("4242"));
    }
    let mut other_cart = request();
    other_cart.cart_id = "somebody-elses".into();
    assert_eq!(refused(shop.order(&ada, other_cart).await).0, "NOT_FOUND");
    let mut unknown_code = request();
    unknown_code.promo_code = "NOPE".into();
    assert_eq!(
        refused(shop.order(&ada, unknown_code).await).0,
        "PROMO_INVALID"
    );
}

#[tokio::test]
async fn a_promo_code_is_used_as_often_as_it_may_be_and_given_back() {
    let shop = Shop::open().await;
    *shop.neighbours.lines.lock() = vec![(20, 1)];
    shop.promos(vec![
        promo("PEAK", |promo| promo.max_uses = 3),
        promo("ONCE", |promo| promo.max_uses_per_user = 1),
    ])
    .await;
    let with = |code: &str| CreateOrderRequest {
        promo_code: code.into(),
        ..request()
    };
    let shoppers: Vec<_> = (0..10)
        .map(|n| shop.customer(&format!("shopper-{n}")))
        .collect();
    let results = join_all(shoppers.iter().map(|ctx| shop.order(ctx, with("peak")))).await;
    let placed: Vec<(usize, &Order)> = results
        .iter()
        .enumerate()
        .filter_map(|(index, result)| Some((index, result.as_ref().ok()?)))
        .collect();
    assert_eq!(placed.len(), 3);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(reason(error), "PROMO_INVALID");
    }
    // 20.99 less 10 %; 2.099 is rounded half-even.
    assert_eq!(amounts(placed[0].1)[1], "2.10");

    let (index, order) = placed[0];
    let cancel = CancelOrderRequest {
        order_id: order.order_id.clone(),
        ..CancelOrderRequest::default()
    };
    for _ in 0..2 {
        let cancelled = shop
            .orders()
            .cancel_order(shoppers[index].call(cancel.clone()))
            .await;
        assert_eq!(
            cancelled.unwrap().into_inner().status(),
            OrderStatus::Cancelled
        );
    }
    let late = join_all((0..3).map(|n| {
        let ctx = shop.customer(&format!("late-{n}"));
        let shop = &shop;
        async move { shop.order(&ctx, with("PEAK")).await }
    }))
    .await;
    assert_eq!(late.iter().filter(|result| result.is_ok()).count(), 1);

    let fan = shop.customer("fan");
    shop.order(&fan, with("ONCE")).await.unwrap();
    let error = shop.order(&fan, with("ONCE")).await.unwrap_err();
    assert_eq!(reason(&error), "PROMO_INVALID");
}

#[tokio::test]
async fn the_checkout_says_what_an_order_would_cost() {
    let shop = Shop::open().await;
    shop.promos(vec![
        promo("PEAK", |_| {}),
        promo("SHIP", |promo| {
            promo.r#type = PromoType::FreeShipping.into();
            promo.value = String::new();
            promo.min_subtotal = "30".into();
        }),
    ])
    .await;
    let ada = shop.customer("ada");
    let apply = |code: &str| ApplyPromoRequest { code: code.into() };
    let error = shop
        .checkout()
        .apply_promo(ada.call(apply("PEAK")))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "CART_EMPTY");

    *shop.neighbours.lines.lock() = vec![(20, 1)];
    let applied = shop
        .checkout()
        .apply_promo(ada.call(apply(" peak ")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(applied.code, "PEAK");
    assert_eq!(applied.discount.unwrap().amount, "2.10");
    assert_eq!(shop.neighbours.promos.lock()["ada"], "PEAK");
    let error = shop
        .checkout()
        .apply_promo(ada.call(apply("SHIP")))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "PROMO_INVALID");
    let error = shop
        .checkout()
        .apply_promo(ada.call(apply("NOPE")))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "NOT_FOUND");

    let validate = ValidateCheckoutRequest {
        shipping_address: request().shipping_address,
        shipping_method: ShippingMethod::Express.into(),
        ..ValidateCheckoutRequest::default()
    };
    let answer = shop
        .checkout()
        .validate_checkout(ada.call(validate.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(answer.valid, "{answer:?}");
    let mut express = request();
    express.shipping_method = ShippingMethod::Express.into();
    let order = shop.order(&ada, express).await.unwrap();
    assert_eq!(answer.totals, order.totals);
    assert_eq!(answer.shipping_options.len(), 3);
    assert_eq!(order.promo_code, "PEAK");

    shop.neighbours.stock.lock().insert(20, 0);
    *shop.neighbours.lines.lock() = vec![(20, 1), (9, 1)];
    shop.neighbours.archived.lock().push(9);
    let mut bad = validate;
    bad.shipping_address.as_mut().unwrap().state = String::new();
    bad.promo_code = "SHIP".into();
    let answer = shop
        .checkout()
        .validate_checkout(ada.call(bad))
        .await
        .unwrap()
        .into_inner();
    let codes: Vec<&str> = answer
        .errors
        .iter()
        .map(|issue| issue.code.as_str())
        .collect();
    assert_eq!(
        codes,
        [
            "unavailable",
            "out_of_stock",
            "address_invalid",
            "promo_invalid"
        ]
    );
    assert!(!answer.valid);

    let address = ValidateAddressRequest {
        name: "A".into(),
        line1: "1 Main St".into(),
        city: "PORTLAND".into(),
        state: "oregon".into(),
        postal_code: "97201".into(),
        country: "usa".into(),
        ..ValidateAddressRequest::default()
    };
    let answer = shop
        .checkout()
        .validate_address(shop.anonymous().call(address))
        .await;
    let normal = answer.unwrap().into_inner().normalized.unwrap();
    assert_eq!(
        (
            normal.city.as_str(),
            normal.state.as_str(),
            normal.country.as_str()
        ),
        ("Portland", "OR", "US")
    );
}

fn past(key: u8, user: &str, status: OrderStatus) -> ImportOrder {
    let usd = |amount: &str| {
        Some(contracts::hub::r#type::v1::Money {
            amount: amount.into(),
            currency: "USD".into(),
        })
    };
    ImportOrder {
        import_key: format!("past-{key}"),
        order: Some(Order {
            status: status.into(),
            user_id: user.into(),
            items: vec![OrderItem {
                variant_id: variant_id(1),
                quantity: 2,
                unit_price: usd("10.00"),
                ..OrderItem::default()
            }],
            totals: Some(OrderTotals {
                subtotal: usd("20.00"),
                shipping: usd("5.99"),
                tax: usd("1.65"),
                total: usd("27.64"),
                discount: None,
            }),
            shipping_address: request().shipping_address,
            created_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000 + i64::from(key),
                nanos: 0,
            }),
            ..Order::default()
        }),
    }
}

#[tokio::test]
async fn past_orders_are_imported_once_and_listed_in_pages() {
    let shop = Shop::open().await;
    let import = ImportOrdersRequest {
        orders: (0..7)
            .map(|key| {
                past(
                    key,
                    "ada",
                    if key % 2 == 0 {
                        OrderStatus::Delivered
                    } else {
                        OrderStatus::Cancelled
                    },
                )
            })
            .chain([past(100, "bob", OrderStatus::Refunded)])
            .collect(),
    };
    let service = shop.anonymous().as_service("test");
    let answer = shop
        .orders()
        .import_orders(service.call(import.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.created, answer.skipped), (8, 0));
    let answer = shop
        .orders()
        .import_orders(service.call(import))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.created, answer.skipped), (0, 8));
    assert!(shop.emitted().await.is_empty());

    let ada = shop.customer("ada");
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListMyOrdersRequest {
            limit: Some(3),
            page_token: token,
            ..ListMyOrdersRequest::default()
        };
        let page = shop
            .orders()
            .list_my_orders(ada.call(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(page.total, 7);
        seen.extend(
            page.items
                .iter()
                .map(|order| order.created_at.unwrap().seconds - 1_700_000_000),
        );
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
    let request = ListMyOrdersRequest {
        status: OrderStatus::Cancelled.into(),
        limit: Some(2),
        page: Some(2),
        ..ListMyOrdersRequest::default()
    };
    let page = shop
        .orders()
        .list_my_orders(ada.call(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((page.total, page.items.len()), (3, 1));

    let staff = shop.person(Role::Staff, "sam");
    for (status, user_id, total) in [
        (OrderStatus::Unspecified, "", 8),
        (OrderStatus::Refunded, "", 1),
        (OrderStatus::Unspecified, "bob", 1),
        (OrderStatus::Delivered, "bob", 0),
    ] {
        let request = ListOrdersRequest {
            status: status.into(),
            user_id: user_id.into(),
            ..ListOrdersRequest::default()
        };
        let page = shop
            .orders()
            .list_orders(staff.call(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!((page.total, page.items.len() as i64), (total, total));
    }
    let customer = shop
        .orders()
        .list_orders(ada.call(ListOrdersRequest::default()))
        .await;
    assert_eq!(reason(&customer.unwrap_err()), "PERMISSION_DENIED");

    let mut unbalanced = past(50, "ada", OrderStatus::Delivered);
    unbalanced
        .order
        .as_mut()
        .unwrap()
        .totals
        .as_mut()
        .unwrap()
        .tax = None;
    let request = ImportOrdersRequest {
        orders: vec![unbalanced],
    };
    let error = shop
        .orders()
        .import_orders(service.call(request))
        .await
        .unwrap_err();
    assert_eq!(
        Rendered::of(&error).fields[0].field,
        "orders[0].order.totals.total"
    );
}
