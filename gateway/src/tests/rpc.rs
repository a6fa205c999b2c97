//! gRPC and gRPC-Web.

#![allow(clippy::unwrap_used)]

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use contracts::hub::{
    cart::v1::{AddCartItemRequest, Cart},
    catalog::v1::{GetProductRequest, Product},
    identity::v1::LoginRequest,
};
use http::Request;
use prost::Message;

use super::fixture::{Answer, Fixture, PRODUCT};
use crate::wire;

fn rpc(path: &str, content_type: &str) -> http::request::Builder {
    Request::post(path)
        .header("content-type", content_type)
        .header("te", "trailers")
}

fn message<M: Message + Default>(answer: &Answer) -> M {
    let mut buffer = BytesMut::from(&answer.body[..]);
    M::decode(wire::take_message(&mut buffer).unwrap().unwrap()).unwrap()
}

fn product() -> bytes::Bytes {
    let request = GetProductRequest {
        product_id: PRODUCT.into(),
    };
    wire::frame(&request.encode_to_vec())
}

fn item() -> bytes::Bytes {
    let request = AddCartItemRequest {
        product_id: PRODUCT.into(),
        quantity: Some(1),
        ..Default::default()
    };
    wire::frame(&request.encode_to_vec())
}

const GET_PRODUCT: &str = "/hub.catalog.v1.CatalogService/GetProduct";
const ADD_ITEM: &str = "/hub.cart.v1.CartService/AddCartItem";

#[tokio::test]
async fn grpc_passes_through() {
    let fixture = Fixture::new().await;
    let answer = fixture
        .send(rpc(GET_PRODUCT, "application/grpc"), product())
        .await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "0"));
    assert_eq!(message::<Product>(&answer).name, "call 1");
    assert!(answer.header("ratelimit").contains("anonymous"));
}

#[tokio::test]
async fn grpc_web_is_spoken_in_both_forms() {
    let fixture = Fixture::new().await;
    let binary = fixture
        .send(rpc(GET_PRODUCT, "application/grpc-web+proto"), product())
        .await;
    assert_eq!(binary.status, 200);
    assert_eq!(message::<Product>(&binary).name, "call 1");
    assert!(String::from_utf8_lossy(&binary.body).contains("grpc-status:0"));
    let text =
        rpc(GET_PRODUCT, "application/grpc-web-text").header("accept", "application/grpc-web-text");
    let text = fixture.send(text, BASE64_STANDARD.encode(product())).await;
    assert!(
        text.header("content-type")
            .starts_with("application/grpc-web-text")
    );
    assert!(text.body.iter().all(u8::is_ascii));
}

#[tokio::test]
async fn the_gates_are_the_same() {
    let fixture = Fixture::new().await;
    let me = "/hub.identity.v1.UserService/GetMe";
    let empty = || wire::frame(b"");
    for content_type in ["application/grpc", "application/grpc-web"] {
        let anonymous = fixture.send(rpc(me, content_type), empty()).await;
        assert_eq!(anonymous.header("grpc-status"), "16", "{content_type}");
        let guest = rpc(me, content_type).header(
            "authorization",
            format!("Bearer {}", fixture.token("guest", "g")),
        );
        assert_eq!(
            fixture.send(guest, empty()).await.header("grpc-status"),
            "7"
        );
        let forged = rpc(me, content_type).header("authorization", "Bearer x.y.z");
        assert_eq!(
            fixture.send(forged, empty()).await.header("grpc-status"),
            "16"
        );
    }
}

#[tokio::test]
async fn what_is_for_services_does_not_exist() {
    let fixture = Fixture::new().await;
    let admin = fixture.token("admin", "a-1");
    for (path, code) in [
        ("/hub.identity.v1.DirectoryService/GetUser", "12"),
        ("/hub.identity.v1.NoSuchService/Call", "12"),
    ] {
        let request =
            rpc(path, "application/grpc").header("authorization", format!("Bearer {admin}"));
        let answer = fixture.send(request, wire::frame(b"")).await;
        assert_eq!(answer.header("grpc-status"), code, "{path}");
    }
}

#[tokio::test]
async fn a_guest_session_is_opened_here_too() {
    let fixture = Fixture::new().await;
    let native = fixture
        .send(rpc(ADD_ITEM, "application/grpc"), item())
        .await;
    assert_eq!(message::<Cart>(&native).cart_id, "g-1");
    assert_eq!(native.header("x-hub-guest-token"), "access-1");
    assert!(native.cookies().is_empty());
    let web = fixture
        .send(rpc(ADD_ITEM, "application/grpc-web"), item())
        .await;
    assert_eq!(web.header("x-hub-guest-token"), "access-2");
    assert!(web.cookies()[0].starts_with("hub_access=access-2"));
}

#[tokio::test]
async fn a_browser_keeps_its_session_in_cookies() {
    let fixture = Fixture::new().await;
    let login = LoginRequest {
        email: "a@hub.test".into(),
        password: "x".into(),
    };
    let path = "/hub.identity.v1.AuthService/Login";
    let body = wire::frame(&login.encode_to_vec());
    let web = fixture
        .send(rpc(path, "application/grpc-web"), body.clone())
        .await;
    assert!(web.cookies()[0].starts_with("hub_access="));
    assert!(String::from_utf8_lossy(&web.body).contains("grpc-status:0"));
    assert!(
        fixture
            .send(rpc(path, "application/grpc"), body)
            .await
            .cookies()
            .is_empty()
    );

    let token = fixture.token("customer", "u-1");
    let unproven = rpc(ADD_ITEM, "application/grpc-web")
        .header("cookie", format!("hub_access={token}; hub_csrf=p"));
    assert_eq!(
        fixture.send(unproven, item()).await.header("grpc-status"),
        "7"
    );
    let proven = rpc(ADD_ITEM, "application/grpc-web")
        .header("cookie", format!("hub_access={token}; hub_csrf=p"))
        .header("x-csrf-token", "p");
    let proven = fixture.send(proven, item()).await;
    assert_eq!(message::<Cart>(&proven).cart_id, "u-1");
}

#[tokio::test]
async fn the_clients_deadline_counts() {
    let fixture = Fixture::new().await;
    let request = rpc(GET_PRODUCT, "application/grpc").header("grpc-timeout", "500m");
    fixture.send(request, product()).await;
    let left = fixture.last("GetProduct").0.remaining().unwrap();
    assert!(left <= std::time::Duration::from_millis(500));
}

#[tokio::test]
async fn health_is_answered() {
    let fixture = Fixture::new().await;
    let answer = fixture
        .send(
            rpc("/grpc.health.v1.Health/Check", "application/grpc"),
            wire::frame(b""),
        )
        .await;
    assert_eq!(answer.header("grpc-status"), "0");
    assert_eq!(&answer.body[5..], [8, 1]);
}
