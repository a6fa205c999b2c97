//! What a collector gets to see of a hub.

mod collector;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reqwest::Method;
use serde_json::Value;
use system_tests::{Answer, Api, Hub, HubOptions, eventually, order_body};
use tokio::net::TcpListener;

use self::collector::{Collector, Recorded, endpoint, texts};
use crate::shared::PRODUCT;

/// The span of the test itself.
const PARENT: &str = "b7ad6b7169203331";

fn fresh_trace() -> String {
    uuid::Uuid::from_u128(rand::random()).simple().to_string()
}

/// A hub that sends to `endpoint`, soon.
async fn hub_sending_to(endpoint: &str) -> Hub {
    let options = HubOptions::unlimited()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20secret-of-the-collector",
        )
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "500")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=tests")
        .env("OTEL_SERVICE_NAME", "shop");
    Hub::start_with(options).await.unwrap()
}

/// A guest with something in the cart.
async fn shopper(hub: &Hub) -> Api {
    let guest = hub.api().guest().await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    guest
}

async fn order(guest: &Api, traceparent: &str) -> Value {
    let request = guest
        .request(Method::POST, "/api/orders")
        .header("traceparent", traceparent)
        .json(&order_body("pm_card_visa"));
    let order = Answer::to(request).await.expect(201);
    let id = order["order_id"].as_str().unwrap();
    guest.order_reaches(id, &["processing"]).await
}

/// Which part of the hub a span follows from: the nearest one above it that is another.
fn edges(trace: &BTreeMap<Vec<u8>, Recorded>) -> BTreeSet<(String, String)> {
    let mut edges = BTreeSet::new();
    for recorded in trace.values() {
        let mut above = trace.get(&recorded.span.parent_span_id);
        while let Some(parent) = above {
            // The client's side of a call between processes belongs to the mesh and not to a service.
            if parent.scope != recorded.scope && parent.scope != "mesh" {
                edges.insert((parent.scope.clone(), recorded.scope.clone()));
                break;
            }
            above = trace.get(&parent.span.parent_span_id);
        }
    }
    edges
}

/// The parts whose statements are in the trace.
fn with_statements(trace: &BTreeMap<Vec<u8>, Recorded>) -> BTreeSet<String> {
    trace
        .values()
        .filter(|recorded| recorded.get("db.query.text").is_some())
        .filter(|recorded| trace.contains_key(&recorded.span.parent_span_id))
        .map(|recorded| recorded.scope.clone())
        .collect()
}

#[tokio::test]
async fn an_order_is_one_trace_from_the_caller_to_the_parcel() {
    let (collector, endpoint) = Collector::start().await;
    let hub = hub_sending_to(&endpoint).await;
    let expected_edges = [
        ("gateway", "orders"),
        ("orders", "cart"),
        ("orders", "catalog"),
        // The outbox of orders, and from there from event to event.
        ("orders", "inventory"),
        ("inventory", "payments"),
        ("payments", "orders"),
        ("payments", "shipping"),
        ("shipping", "agents"),
        ("shipping", "orders"),
    ]
    .map(|(from, to)| (from.to_owned(), to.to_owned()));
    let expected_statements = ["orders", "cart", "inventory", "payments", "shipping"];
    let is_whole = |trace: &BTreeMap<Vec<u8>, Recorded>| {
        let edges = edges(trace);
        let statements = with_statements(trace);
        expected_edges.iter().all(|edge| edges.contains(edge))
            && expected_statements
                .iter()
                .all(|part| statements.contains(*part))
            && orphans(trace).is_empty()
    };
    let (order, trace) = traced_order(&collector, &hub, is_whole).await;

    let root: Vec<&Recorded> = trace
        .values()
        .filter(|recorded| hex(&recorded.span.parent_span_id) == PARENT)
        .collect();
    let [root] = root.as_slice() else {
        panic!("the caller's span has one child: {root:?}");
    };
    assert_eq!(root.span.name, "POST /api/orders");
    assert_eq!(
        root.get("http.response.status_code").as_deref(),
        Some("201")
    );
    let kinds: BTreeSet<i32> = trace.values().map(|recorded| recorded.span.kind).collect();
    // Server, client, producer, consumer.
    assert!(
        [2, 3, 4, 5].iter().all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );

    says_nothing_about_the_shopper(&trace, &order);
    let senders = collector.resources();
    assert!(
        senders.iter().all(
            |sender| sender["service.name"] == "shop" && sender["service.namespace"] == "tests"
        )
    );
    let authorizations = collector.authorizations();
    assert_eq!(authorizations[0], "Bearer secret-of-the-collector");
    assert!(!hub.log().contains("secret-of-the-collector"));
}

/// An order and its trace. Where a machine is so busy that shipping does without the agents, another order is
/// placed: what is asked is what a trace shows, not how patient shipping is.
async fn traced_order(
    collector: &Collector,
    hub: &Hub,
    is_whole: impl Fn(&BTreeMap<Vec<u8>, Recorded>) -> bool,
) -> (Value, BTreeMap<Vec<u8>, Recorded>) {
    const ORDERS: usize = 4;
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut last = None;
    for _ in 0..ORDERS {
        let trace_id = fresh_trace();
        let guest = shopper(hub).await;
        let order = order(&guest, &format!("00-{trace_id}-{PARENT}-01")).await;
        let whole = eventually("the whole trace", || async {
            let trace = collector.trace(&trace_id);
            is_whole(&trace).then_some(trace)
        });
        match tokio::time::timeout(PATIENCE, whole).await {
            Ok(trace) => return (order, trace),
            Err(_) => last = Some(edges(&collector.trace(&trace_id))),
        }
    }
    panic!("of {ORDERS} orders none had the whole trace; the last had {last:?}");
}

/// Spans of a trace whose parent did not come, other than the one below the caller's.
fn orphans(trace: &BTreeMap<Vec<u8>, Recorded>) -> Vec<&Recorded> {
    trace
        .values()
        .filter(|recorded| {
            let parent = &recorded.span.parent_span_id;
            !trace.contains_key(parent) && hex(parent) != PARENT
        })
        .collect()
}

fn says_nothing_about_the_shopper(trace: &BTreeMap<Vec<u8>, Recorded>, order: &Value) {
    let mut told = String::new();
    for recorded in trace.values() {
        told.push_str(&recorded.span.name);
        for (key, value) in texts(&recorded.span.attributes) {
            told.push_str(&format!("\n{key}={value}"));
        }
    }
    let secrets = [
        "shopper@hub.test",
        "Lantern",
        "Test Shopper",
        "pm_card",
        "127.0.0.1",
    ];
    for secret in secrets {
        assert!(!told.contains(secret), "a span tells {secret}: {told}");
    }
    let id = order["order_id"].as_str().unwrap();
    for recorded in trace.values() {
        let statement = recorded.get("db.query.text").unwrap_or_default();
        assert!(!statement.contains(id), "{statement}");
    }
}

#[tokio::test]
async fn metrics_and_log_lines_arrive() {
    let (collector, endpoint) = Collector::start().await;
    let hub = hub_sending_to(&endpoint).await;
    let guest = shopper(&hub).await;
    let trace_id = fresh_trace();
    order(&guest, &format!("00-{trace_id}-{PARENT}-01")).await;

    for name in [
        "hub_orders_placed_total",
        "hub_orders_outcomes_total",
        "rpc_duration_seconds",
        "gateway_requests_total",
        "hub_event_end_to_end_seconds",
        "process_resident_memory_bytes",
    ] {
        eventually(name, || async {
            collector.metric(name).filter(|value| *value > 0.0)
        })
        .await;
    }
    let lines = eventually("a log line of the trace", || async {
        Some(collector.logs(&trace_id)).filter(|lines| !lines.is_empty())
    })
    .await;
    for line in lines {
        let attributes = texts(&line.attributes);
        assert!(!attributes.contains_key("client"), "{attributes:?}");
        assert!(!attributes.contains_key("subject"), "{attributes:?}");
        assert_eq!(line.span_id.len(), 8);
    }
}

#[tokio::test]
async fn a_caller_decides_whether_a_trace_is_recorded() {
    let (collector, endpoint) = Collector::start().await;
    let hub = hub_sending_to(&endpoint).await;
    let guest = shopper(&hub).await;
    let silent = fresh_trace();
    order(&guest, &format!("00-{silent}-{PARENT}-00")).await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let told = fresh_trace();
    order(&guest, &format!("00-{told}-{PARENT}-01")).await;

    eventually("the second order's last step", || async {
        edges(&collector.trace(&told))
            .contains(&("shipping".to_owned(), "orders".to_owned()))
            .then_some(())
    })
    .await;
    let recorded = collector.trace(&silent);
    assert!(recorded.is_empty(), "{recorded:?}");
}

#[tokio::test]
async fn nothing_is_sent_unless_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = endpoint(listener.local_addr().unwrap());
    let collector = Collector::on(listener);
    // Where other programs would send to when nobody says where.
    let usual = TcpListener::bind("127.0.0.1:4317").await.ok();
    let usual = usual.map(Collector::on);
    if usual.is_none() {
        eprintln!("port 4317 is taken: only the disabled hub is looked at");
    }
    let disabled = HubOptions::unlimited()
        .env("OTEL_SDK_DISABLED", "true")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &address)
        .env("OTEL_BSP_SCHEDULE_DELAY", "1");
    for options in [HubOptions::unlimited(), disabled] {
        let mut hub = Hub::start_with(options).await.unwrap();
        let guest = shopper(&hub).await;
        order(&guest, &format!("00-{}-{PARENT}-01", fresh_trace())).await;
        // The end sends what waits.
        hub.stop().await.unwrap();
    }
    assert_eq!(collector.connections(), 0);
    assert_eq!(usual.map_or(0, |usual| usual.connections()), 0);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_line_and_nothing_else() {
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = endpoint(free.local_addr().unwrap());
    drop(free);
    let mut hub = hub_sending_to(&address).await;
    let guest = shopper(&hub).await;
    let lost = r#""signal":"traces""#;
    eventually("the line", || async {
        hub.log().contains(lost).then_some(())
    })
    .await;
    for _ in 0..3 {
        order(&guest, &format!("00-{}-{PARENT}-01", fresh_trace())).await;
        guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    }
    hub.stop().await.unwrap();
    let log = hub.log();
    let lines = log.lines().filter(|line| line.contains(lost));
    assert_eq!(lines.count(), hub.members().len(), "{log}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
