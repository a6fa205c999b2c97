//! Plain gRPC with generated clients, and what operators' tools ask: health and reflection.

use contracts::hub::{
    cart::v1::{AddCartItemRequest, cart_service_client::CartServiceClient},
    catalog::v1::{SearchProductsRequest, catalog_service_client::CatalogServiceClient},
    identity::v1::{LoginRequest, SignUpRequest, auth_service_client::AuthServiceClient},
    orders::v1::{
        CreateOrderRequest, GetOrderRequest, ListOrdersRequest, OrderStatus, ShippingMethod,
        StreamOrderEventsRequest, order_service_client::OrderServiceClient,
    },
    r#type::v1::Address,
};
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use crate::shared::{PRODUCT, api, fresh_email};

async fn channel() -> Channel {
    let endpoint = Endpoint::from_shared(api().await.url("")).unwrap();
    endpoint.connect().await.unwrap()
}

/// A request with a bearer token.
fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn address() -> Address {
    Address {
        name: "Ada Caller".into(),
        line1: "1 Socket Street".into(),
        city: "Denver".into(),
        state: "CO".into(),
        postal_code: "80202".into(),
        country: "US".into(),
        phone: "+1 303 555 0133".into(),
        ..Address::default()
    }
}

async fn sign_up(channel: &Channel) -> String {
    let request = SignUpRequest {
        name: "Ada Caller".into(),
        email: fresh_email(),
        password: "quiet-larch-hollow-7".into(),
        newsletter_opt_in: false,
    };
    let session = AuthServiceClient::new(channel.clone())
        .sign_up(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(session.token_type, "Bearer");
    session.access_token
}

#[tokio::test]
async fn an_order_from_search_to_processing() {
    let channel = channel().await;
    let token = sign_up(&channel).await;
    let search = SearchProductsRequest {
        q: "snwboard".into(),
        ..Default::default()
    };
    let found = CatalogServiceClient::new(channel.clone())
        .search_products(search)
        .await
        .unwrap();
    assert!(found.into_inner().total > 0);

    let item = AddCartItemRequest {
        product_id: PRODUCT.into(),
        quantity: Some(2),
        ..Default::default()
    };
    let mut carts = CartServiceClient::new(channel.clone());
    let cart = carts
        .add_cart_item(with_token(&token, item))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cart.items[0].quantity, 2);

    let mut orders = OrderServiceClient::new(channel);
    let order = CreateOrderRequest {
        shipping_address: Some(address()),
        shipping_method: ShippingMethod::Express.into(),
        payment_method: "pm_card_visa".into(),
        ..Default::default()
    };
    let order = orders
        .create_order(with_token(&token, order))
        .await
        .unwrap()
        .into_inner();
    let follow = StreamOrderEventsRequest {
        order_id: order.order_id.clone(),
        ..Default::default()
    };
    let mut events = orders
        .stream_order_events(with_token(&token, follow))
        .await
        .unwrap()
        .into_inner();
    let mut seen = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        let status = event.status();
        seen.push(event.event_type);
        if status == OrderStatus::Processing {
            break;
        }
    }
    let known = [
        "OrderCreated",
        "InventoryReserved",
        "PaymentProcessed",
        "ShipmentScheduled",
    ];
    for event_type in known {
        assert!(
            seen.iter().any(|seen| seen == event_type),
            "no {event_type} in {seen:?}"
        );
    }
    let get = GetOrderRequest {
        order_id: order.order_id,
        ..Default::default()
    };
    let order = orders
        .get_order(with_token(&token, get))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(order.status(), OrderStatus::Processing);
}

#[tokio::test]
async fn refusals_carry_machine_readable_details() {
    let channel = channel().await;
    let token = sign_up(&channel).await;
    let item = AddCartItemRequest {
        product_id: PRODUCT.into(),
        quantity: Some(-5),
        ..Default::default()
    };
    let mut carts = CartServiceClient::new(channel);
    let status = carts
        .add_cart_item(with_token(&token, item))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("INVALID_ARGUMENT", "hub")
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].field, "quantity");
}

#[tokio::test]
async fn a_call_ends_at_its_callers_deadline() {
    // A password check takes much longer than a millisecond. The client is a plain HTTP/2 one, because
    // tonic's would give up by itself and hide what the server does.
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let login = LoginRequest {
        email: "customer@hub.test".into(),
        password: "not the password".into(),
    };
    let url = api().await.url("/hub.identity.v1.AuthService/Login");
    let answer = client
        .post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "1m")
        .body(frame(&login.encode_to_vec()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["grpc-status"],
        (Code::DeadlineExceeded as i32).to_string()
    );
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

#[tokio::test]
async fn nobody_becomes_staff_by_saying_so() {
    let mut orders = OrderServiceClient::new(channel().await);
    let mut request = Request::new(ListOrdersRequest::default());
    let metadata = request.metadata_mut();
    metadata.insert("x-hub-principal", "admin".parse().unwrap());
    metadata.insert("x-hub-role", "admin".parse().unwrap());
    metadata.insert("x-hub-user-id", "1".parse().unwrap());
    let status = orders.list_orders(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let request = api()
        .await
        .request(reqwest::Method::GET, "/api/staff/orders");
    let request = request
        .header("x-hub-principal", "admin")
        .header("x-hub-role", "admin");
    system_tests::Answer::to(request)
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn health_is_told_for_each_service_and_for_the_whole() {
    let mut health = HealthClient::new(channel().await);
    for service in [
        "",
        "hub.orders.v1.OrderService",
        "hub.agents.v1.CatalogSearchService",
    ] {
        let service = service.to_owned();
        let answer = health
            .check(HealthCheckRequest { service })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let service = "hub.nothing.v1.Nothing".to_owned();
    let status = health
        .check(HealthCheckRequest { service })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let whole = HealthCheckRequest::default();
    let mut watch = health.watch(whole).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
}

/// The two versions of reflection differ in name only.
macro_rules! lists_services {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let ask = |what| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(what),
        };
        let questions = stream::iter([
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(
                "hub.orders.v1.OrderService".to_owned(),
            )),
        ]);
        let mut client = ServerReflectionClient::new($channel);
        let answers: Vec<_> = client
            .server_reflection_info(questions)
            .await
            .unwrap()
            .into_inner()
            .take(2)
            .collect()
            .await;
        let mut answers = answers
            .into_iter()
            .map(|answer| answer.unwrap().message_response.unwrap());
        let Some(MessageResponse::ListServicesResponse(list)) = answers.next() else {
            panic!("no list of services");
        };
        let names: Vec<String> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        for pool_service in contracts::descriptor_pool().services() {
            assert!(
                names.iter().any(|name| name == pool_service.full_name()),
                "{names:?}"
            );
        }
        let Some(MessageResponse::FileDescriptorResponse(files)) = answers.next() else {
            panic!("no descriptor");
        };
        assert!(!files.file_descriptor_proto.is_empty());
    }};
}

#[tokio::test]
async fn reflection_describes_every_service_in_both_versions() {
    lists_services!(v1, channel().await);
    lists_services!(v1alpha, channel().await);
}

#[tokio::test]
async fn methods_that_do_not_exist_are_unimplemented() {
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = client
        .post(api().await.url("/hub.orders.v1.OrderService/Nonsense"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(frame(&[]))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["grpc-status"],
        (Code::Unimplemented as i32).to_string()
    );
}
