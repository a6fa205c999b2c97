//! The same call gives the same answer whichever face it comes through: REST, gRPC, gRPC-Web binary and
//! gRPC-Web text. The frames of gRPC-Web are written by hand here, as its specification says.

use base64::{Engine, prelude::BASE64_STANDARD};
use contracts::hub::catalog::v1::{
    GetProductRequest, Product, catalog_service_client::CatalogServiceClient,
};
use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use reqwest::Method;
use serde_json::Value;
use system_tests::Answer;
use tonic::{Code, transport::Endpoint};

use crate::shared::api;

const GET_PRODUCT: &str = "/hub.catalog.v1.CatalogService/GetProduct";
/// A product that no test buys, so that its stock is the same at each call.
const PRODUCT: &str = "PUZ-WOOD";
const ORIGIN: &str = "http://localhost:3000";

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Binary,
    Text,
}

/// What a gRPC-Web call came to: the status and the messages.
struct Outcome {
    status: i32,
    messages: Vec<Vec<u8>>,
}

async fn call_web(encoding: Encoding, path: &str, message: &[u8]) -> Outcome {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let (content_type, body) = match encoding {
        Encoding::Binary => ("application/grpc-web+proto", frame),
        Encoding::Text => (
            "application/grpc-web-text+proto",
            BASE64_STANDARD.encode(frame).into_bytes(),
        ),
    };
    let request = api().await.request(Method::POST, path);
    let request = request
        .header("content-type", content_type)
        .header("accept", content_type)
        .header("x-grpc-web", "1")
        .header("origin", ORIGIN)
        .body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], content_type);
    assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN);
    let exposed = answer.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(exposed.contains("grpc-status"), "{exposed}");
    let at_once = answer
        .headers()
        .get("grpc-status")
        .map(|status| status.to_str().unwrap().parse().unwrap());
    let mut body = answer.bytes().await.unwrap().to_vec();
    if encoding == Encoding::Text {
        body = decode_pieces(&body);
    }
    let mut outcome = read_frames(&body);
    if let Some(status) = at_once {
        outcome.status = status;
    }
    outcome
}

/// Base64 in which each piece may have its own padding.
fn decode_pieces(text: &[u8]) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0);
    text.chunks(4)
        .flat_map(|four| BASE64_STANDARD.decode(four).unwrap())
        .collect()
}

fn read_frames(mut body: &[u8]) -> Outcome {
    let mut outcome = Outcome {
        status: -1,
        messages: Vec::new(),
    };
    while let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let (payload, rest) = rest.split_at(length);
        body = rest;
        match flag {
            0 => outcome.messages.push(payload.to_vec()),
            0x80 => outcome.status = status_of(std::str::from_utf8(payload).unwrap()),
            other => panic!("a frame of kind {other}"),
        }
    }
    assert!(body.is_empty(), "half a frame");
    outcome
}

fn status_of(trailers: &str) -> i32 {
    let mut lines = trailers.lines().filter_map(|line| line.split_once(':'));
    let (_, status) = lines.find(|(name, _)| *name == "grpc-status").unwrap();
    status.trim().parse().unwrap()
}

#[tokio::test]
async fn a_product_looks_the_same_on_every_face() {
    let request = GetProductRequest {
        product_id: PRODUCT.to_owned(),
    };
    let endpoint = Endpoint::from_shared(api().await.url("")).unwrap();
    let mut client = CatalogServiceClient::new(endpoint.connect().await.unwrap());
    let product = client
        .get_product(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(product.sku, PRODUCT);

    for encoding in [Encoding::Binary, Encoding::Text] {
        let outcome = call_web(encoding, GET_PRODUCT, &request.encode_to_vec()).await;
        assert_eq!(outcome.status, 0);
        assert_eq!(outcome.messages.len(), 1);
        assert_eq!(
            Product::decode(outcome.messages[0].as_slice()).unwrap(),
            product
        );
    }

    let rest = api().await.product(PRODUCT).await;
    assert_eq!(without_nulls(rest), in_house_json(&product));
}

/// A product as prost-reflect writes it, with the house's way to write enums.
fn in_house_json(product: &Product) -> Value {
    let descriptor = contracts::descriptor_pool()
        .get_message_by_name("hub.catalog.v1.Product")
        .unwrap();
    let message = DynamicMessage::decode(descriptor, product.encode_to_vec().as_slice()).unwrap();
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    let mut json = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap();
    assert_eq!(json["status"], "PRODUCT_STATUS_ACTIVE");
    json["status"] = "active".into();
    without_nulls(json)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[tokio::test]
async fn a_refusal_is_the_same_on_every_face() {
    let request = GetProductRequest {
        product_id: "no-such-product".to_owned(),
    };
    for encoding in [Encoding::Binary, Encoding::Text] {
        let outcome = call_web(encoding, GET_PRODUCT, &request.encode_to_vec()).await;
        assert_eq!(outcome.status, Code::NotFound as i32);
        assert!(outcome.messages.is_empty());
    }
    let endpoint = Endpoint::from_shared(api().await.url("")).unwrap();
    let mut client = CatalogServiceClient::new(endpoint.connect().await.unwrap());
    let status = client.get_product(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let error = api()
        .await
        .get("/api/products/no-such-product")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(error["message"], status.message());
}

#[tokio::test]
async fn browsers_may_call_from_configured_origins_only() {
    let preflight = |origin: &'static str| async move {
        let request = api().await.request(Method::OPTIONS, GET_PRODUCT);
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type,x-grpc-web,x-user-agent",
            );
        Answer::to(request).await
    };
    let allowed = preflight(ORIGIN).await;
    assert_eq!(allowed.status.as_u16(), 204);
    assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    for header in [
        "authorization",
        "content-type",
        "grpc-timeout",
        "x-grpc-web",
        "x-user-agent",
    ] {
        assert!(
            allowed
                .header("access-control-allow-headers")
                .contains(header),
            "{header}"
        );
    }
    assert!(
        allowed
            .header("access-control-allow-methods")
            .contains("POST")
    );
    for origin in [
        "https://evil.test",
        "http://localhost:3000.evil.test",
        "null",
    ] {
        let refused = preflight(origin).await;
        assert!(
            !refused.headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
    }
}
