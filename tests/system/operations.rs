//! What operators rely on: health, metrics, limits, and an orderly end.

use std::{collections::BTreeSet, net::SocketAddr};

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Hub, HubOptions, Mode, eventually, order_body};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::shared::{PRODUCT, api, fresh_email, hub, id};

/// A hub without the demo shop: it starts at once.
fn empty() -> HubOptions {
    HubOptions::unlimited().arg("up").arg("--empty")
}

#[tokio::test]
async fn a_serving_hub_is_live_ready_and_healthy() {
    let shop = api().await;
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = shop.get(path).await.expect(200);
        assert_eq!(answer["status"], "ok", "{path}: {answer}");
    }
    let health = shop
        .demo("admin")
        .await
        .get("/api/admin/health")
        .await
        .expect(200);
    assert_eq!(health["status"], "healthy", "{health}");
    let parts = health["components"].as_array().unwrap();
    for store in ["identity", "catalog", "orders", "inventory", "payments"] {
        let of_store = |part: &&Value| part["kind"] == "database" && part["name"] == store;
        assert_eq!(
            parts.iter().filter(of_store).count(),
            1,
            "{store}: {health}"
        );
    }
    let processes: BTreeSet<&str> = parts.iter().map(|part| id(part, "process")).collect();
    // The edge is not asked.
    let expected = if hub().await.mode() == Mode::Mesh {
        5
    } else {
        1
    };
    assert_eq!(processes.len(), expected, "{processes:?}");
}

#[tokio::test]
async fn metrics_count_requests() {
    let shop = api().await;
    shop.get("/api/products?limit=1").await.expect(200);
    let metrics = shop.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let text = metrics.text;
    // An RPC is counted where it is served.
    if hub().await.mode() == Mode::Mesh {
        assert!(text.contains("# TYPE hub_mesh_endpoints gauge"), "{text}");
        return;
    }
    assert!(
        text.lines()
            .any(|line| line.starts_with("rpc_requests_total{")),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("rpc_duration_seconds_bucket{")),
        "{text}"
    );
    assert!(text.contains("# TYPE rpc_requests_total counter"), "{text}");
}

#[tokio::test]
async fn every_answer_has_ids_and_security_headers() {
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = api().await.request(Method::GET, "/api/products?limit=1");
    let answer = Answer::to(
        request
            .header("traceparent", sent)
            .header("x-request-id", "test-7"),
    )
    .await;
    assert_eq!(answer.header("x-request-id"), "test-7");
    assert!(
        answer
            .header("traceparent")
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let error = api().await.get("/api/nothing").await;
    assert_eq!(
        error.json["error"]["request_id"],
        error.header("x-request-id")
    );
}

#[tokio::test]
async fn what_is_in_flight_finishes_when_the_hub_is_told_to_stop() {
    let mut hub = Hub::start().await.unwrap();
    let email = fresh_email();
    let shopper = hub.api().sign_up(&email).await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let path = format!("/api/orders/{}", id(&order, "order_id"));
    shopper
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await;
    let follow = shopper.request(Method::GET, &format!("{path}/events"));
    let mut follow = follow
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(follow.status(), 200);
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("event: OrderCreated") {
        told.extend(follow.chunk().await.unwrap().unwrap());
    }

    let endpoint = Endpoint::from_shared(hub.api().url("")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let whole = HealthCheckRequest::default();
    let mut watch = health.watch(whole).await.unwrap().into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );

    let body = json!({"email": email, "password": "quiet-larch-hollow-7"}).to_string();
    let login = HalfSent::post(hub.address(), "/api/auth/login", &body).await;
    // What others of a mesh have in hand is theirs; the gateway is where shoppers hang on.
    hub.signal_member("gateway", "TERM").await.unwrap();
    let observer = hub.api();
    eventually("the hub to be not ready", || async {
        let request = observer.request(Method::GET, "/health/ready");
        let answer = request.send().await.ok()?;
        (answer.status() == 503).then_some(())
    })
    .await;
    // Still alive: it must not be killed while it drains. But there is nothing new to be had from it.
    assert_eq!(observer.get("/health/live").await.status.as_u16(), 200);
    assert_eq!(observer.get("/api/products").await.status.as_u16(), 503);

    // Watchers are told too, or see their stream end.
    match watch.message().await {
        Ok(news) => assert_eq!(news.unwrap().status(), ServingStatus::NotServing),
        Err(status) => assert_eq!(status.code(), Code::Unavailable),
    }

    let answer = login.finish().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("access_token"), "{answer}");
    // A stream that could go on for minutes is ended properly.
    follow.text().await.unwrap();
    let code = hub.member_ended("gateway").await.unwrap();
    assert_eq!(code, Some(0), "{}", hub.log());

    hub.start_member("gateway").await.unwrap();
    let again = hub.api().login(&email, "quiet-larch-hollow-7").await;
    let same = again.get(&path).await.expect(200);
    assert_eq!(same["status"], "processing");
}

/// A request whose body is still missing, of which the hub has begun to read.
struct HalfSent {
    connection: TcpStream,
    body: String,
}

impl HalfSent {
    async fn post(hub: SocketAddr, path: &str, body: &str) -> Self {
        let mut connection = TcpStream::connect(hub).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {hub}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let wanted = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut interim = vec![0; wanted.len()];
        connection.read_exact(&mut interim).await.unwrap();
        assert_eq!(interim, wanted);
        Self {
            connection,
            body: body.to_owned(),
        }
    }

    async fn finish(mut self) -> String {
        self.connection
            .write_all(self.body.as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        self.connection.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let options = HubOptions::default().arg("up").arg("--empty");
    let hub = Hub::start_with(options.env("HUB__RATE_LIMITS__ANONYMOUS", "5"))
        .await
        .unwrap();
    for left in (0..5).rev() {
        let answer = hub.api().get("/api/products").await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        assert!(answer.header("ratelimit-policy").contains("q=5;w=60"));
        assert!(answer.header("ratelimit").contains(&format!("r={left}")));
    }
    let refused = hub.api().get("/api/products").await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").contains("r=0"));
    refused.expect_error(429, "RATE_LIMIT_EXCEEDED");
    // Load balancers and monitors are never limited.
    assert_eq!(hub.api().get("/health/ready").await.status.as_u16(), 200);
    assert_eq!(hub.api().get("/metrics").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_shop_of_somebodys_own_has_nothing_of_the_demo() {
    // Without a word about who charges cards a shop in production does not start.
    let production = empty()
        .env("HUB__HUB__PROFILE", "production")
        .env("HUB__PAYMENTS__PROVIDER", "test");
    let hub = Hub::start_with(production).await.unwrap();
    let shop = hub.api();
    shop.get("/dev/mailbox")
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    for who in ["customer", "staff", "admin"] {
        let body = json!({"email": format!("{who}@hub.test"), "password": "Holiday-Peak-2026!"});
        shop.post("/api/auth/login", body)
            .await
            .expect_error(401, "UNAUTHORIZED");
    }
    let products = shop.get("/api/products").await.expect(200);
    assert_eq!(products["items"], json!([]));
    let origin = shop
        .request(Method::GET, "/api/products")
        .header("origin", "http://localhost:3000");
    let answer = Answer::to(origin).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}
