//! Several gateways that share a Redis: what they know together, and what each does alone.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::Request;
use mesh::{
    events::{Consumer, Data, Emission, Envelope},
    store::{Store, Tx},
};
use serde_json::json;

use super::{
    fixture::{Answer, Fixture, cart_item, json_post, order},
    redis_server::{RedisServer, eventually, unique},
};

/// Two gateways over the same services and the Redis at `url`.
async fn two(url: &str, more: &[(&str, &str)]) -> (Fixture, Fixture) {
    let namespace = unique();
    let settings: Vec<(&str, &str)> = [("hub.redis_url", url), ("hub.namespace", &namespace)]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let one = Fixture::with(&settings).await;
    let other = one.beside(&settings).await;
    (one, other)
}

fn redis(fixture: &Fixture) -> &mesh::cache::Redis {
    fixture.hub.cache().redis().unwrap()
}

async fn both_connected(one: &Fixture, other: &Fixture) {
    for fixture in [one, other] {
        eventually(|| async { redis(fixture).is_available() }).await;
    }
}

async fn me(fixture: &Fixture, token: &str) -> Answer {
    let request = Request::get("/api/users/me").header("authorization", format!("Bearer {token}"));
    fixture.send(request, "").await
}

const LOW: [(&str, &str); 2] = [
    ("rate_limits.customer", "6"),
    ("rate_limits.anonymous", "40"),
];

#[tokio::test]
async fn a_caller_has_one_budget_at_all_gateways() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let url = server.url();
    let (one, other) = two(&url, &LOW).await;
    let token = one.token("customer", "u-1");
    for left in (0..6).rev() {
        let gateway = if left % 2 == 0 { &one } else { &other };
        let answer = me(gateway, &token).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"customer\";q=6;w=60");
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!("\"customer\";r={left};")),
            "{}",
            answer.header("ratelimit")
        );
    }
    for gateway in [&one, &other] {
        let refused = me(gateway, &token).await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (429, "RATE_LIMITED")
        );
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    // Another customer, and nobody at an address, have budgets of their own.
    assert_eq!(me(&one, &one.token("customer", "u-2")).await.status, 200);
    for number in 0..40 {
        let gateway = if number % 2 == 0 { &one } else { &other };
        let answer = gateway
            .send_from(77, Request::get("/api/products/p-1"), "")
            .await;
        assert_eq!(answer.status, 200, "{number}");
    }
    let refused = other
        .send_from(77, Request::get("/api/products/p-2"), "")
        .await;
    assert_eq!(refused.status, 429);
}

#[tokio::test]
async fn a_budget_comes_back_at_its_rate() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let url = server.url();
    // Ten a second.
    let (one, other) = two(&url, &[("rate_limits.customer", "600")]).await;
    let token = one.token("customer", "u-1");
    let key = redis(&one).key("limit:customer:u-1");
    // As if the whole budget had been used up this moment.
    redis(&one)
        .ask(|mut redis| async move {
            let time: (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
            let whole = (time.0 + 60) * 1_000_000 + time.1;
            redis::cmd("SET")
                .arg(key)
                .arg(whole)
                .query_async::<()>(&mut redis)
                .await
        })
        .await
        .unwrap();
    assert_eq!(me(&one, &token).await.status, 429);
    eventually(|| async { me(&other, &token).await.status == 200 }).await;
}

#[tokio::test]
async fn a_session_that_ends_ends_at_all_gateways() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let url = server.url();
    let (one, other) = two(&url, &[]).await;
    let token = one.token("customer", "u-1");
    assert_eq!(me(&one, &token).await.status, 200);
    assert_eq!(me(&other, &token).await.status, 200);
    let life = Duration::from_secs(900);
    one.hub
        .cache()
        .put("revoked-session:s-u-1", "1", life)
        .await;
    for gateway in [&one, &other] {
        let refused = me(gateway, &token).await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (401, "TOKEN_REVOKED")
        );
    }
    // The thief of a token that is worthless cannot use up its owner's budget.
    let budget = redis(&one).key("limit:customer:u-1");
    let whole = |key: String| async {
        redis(&one)
            .ask(|mut redis| async move {
                redis::cmd("GET")
                    .arg(key)
                    .query_async::<Option<u64>>(&mut redis)
                    .await
            })
            .await
            .unwrap()
    };
    let before = whole(budget.clone()).await;
    me(&other, &token).await;
    assert_eq!(whole(budget).await, before);
}

#[tokio::test]
async fn a_gateway_that_heard_of_an_end_needs_no_redis_to_remember() {
    let Some(mut server) = RedisServer::start().await else {
        return;
    };
    let (one, other) = two(&server.url(), &[]).await;
    let (heard, kept) = (one.token("customer", "u-1"), one.token("customer", "u-2"));
    for gateway in [&one, &other] {
        end(gateway, "u-1").await;
    }
    server.command(&["FLUSHALL"]).await;
    for gateway in [&one, &other] {
        assert_eq!(me(gateway, &heard).await.reason(), "TOKEN_REVOKED");
        assert_eq!(me(gateway, &kept).await.status, 200);
    }
    server.stop();
    for gateway in [&one, &other] {
        assert_eq!(me(gateway, &heard).await.reason(), "TOKEN_REVOKED");
        assert_eq!(me(gateway, &kept).await.status, 200);
        gateway.advance(Duration::from_secs(901));
    }
}

/// The session of `subject` ends, as the event says.
async fn end(fixture: &Fixture, subject: &str) {
    let until = fixture.clock.now().timestamp() + 900;
    let event = contracts::hub::events::v1::SessionsEnded {
        subject: subject.to_owned(),
        session_ids: vec![format!("s-{subject}")],
        tokens_until: Some(prost_types::Timestamp {
            seconds: until,
            nanos: 0,
        }),
    };
    let store: Store = fixture
        .hub
        .store("gateway", crate::idempotency::MIGRATIONS)
        .await
        .unwrap();
    let subject_key = subject.to_owned();
    store
        .write(move |tx: Tx| async move {
            tx.emit(Emission::new(subject_key, Data::SessionsEnded(event)))
                .await
        })
        .await
        .unwrap();
    let memory = crate::admission::Memory::of(&fixture.hub);
    let session = format!("s-{subject}");
    eventually(|| async { memory.revocations.has_heard_of(&session) }).await;
}

#[tokio::test]
async fn a_change_at_one_gateway_reaches_all() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let url = server.url();
    let (one, other) = two(&url, &[]).await;
    settle(&one, &other).await;
    let begun = one.calls("GetProduct");
    for gateway in [&one, &other, &one, &other] {
        gateway.get("/api/products/p-1").await;
    }
    assert_eq!(one.calls("GetProduct"), begun + 2);
    let change = json_post("/api/staff/categories").header(
        "authorization",
        format!("Bearer {}", one.token("staff", "s-1")),
    );
    let body = json!({"slug": "toys", "name": "Toys"}).to_string();
    assert!(one.send(change, body).await.status < 300);
    other.get("/api/products/p-1").await;
    assert_eq!(one.calls("GetProduct"), begun + 3);
    // Followers may still answer from before, so nothing was kept; after a moment it is.
    settle(&one, &other).await;
    let before = one.calls("GetProduct");
    other.get("/api/products/p-1").await;
    other.get("/api/products/p-1").await;
    assert_eq!(one.calls("GetProduct"), before + 1);
}

/// Lets both gateways see the generation and keep answers of it.
async fn settle(one: &Fixture, other: &Fixture) {
    for gateway in [one, other] {
        // The first finds that there is none and begins one.
        gateway.get("/api/products/none").await;
        gateway.get("/api/products/none").await;
        gateway.advance(Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_generation_that_redis_loses_makes_no_old_answer_good_again() {
    let Some(mut server) = RedisServer::start().await else {
        return;
    };
    let (one, other) = two(&server.url(), &[]).await;
    settle(&one, &other).await;
    let calls = || one.calls("GetProduct");
    other.get("/api/products/p-1").await;
    let kept = calls();
    other.get("/api/products/p-1").await;
    assert_eq!(calls(), kept);

    server.command(&["FLUSHALL"]).await;
    other.get("/api/products/p-1").await;
    assert_eq!(calls(), kept + 1);
    settle(&one, &other).await;
    other.get("/api/products/p-1").await;
    let kept = calls();

    // Staff change something at one gateway while Redis is away: the other has its old answer and is
    // told as soon as it can be.
    server.stop();
    crate::admission::Memory::of(&one.hub)
        .generation
        .advance()
        .await;
    server.restart().await;
    both_connected(&one, &other).await;
    other.get("/api/products/p-1").await;
    assert_eq!(calls(), kept + 1);
}

#[tokio::test]
async fn without_redis_requests_go_on_and_are_shared_again_afterwards() {
    let Some(mut server) = RedisServer::start().await else {
        return;
    };
    let (one, other) = two(&server.url(), &LOW).await;
    let token = one.token("customer", "u-1");
    for _ in 0..3 {
        assert_eq!(me(&one, &token).await.status, 200);
        assert_eq!(me(&other, &token).await.status, 200);
    }
    assert_eq!(me(&one, &token).await.status, 429);

    server.stop();
    // Each gateway alone now: a whole budget at each, which is the bound of what is let through.
    let mut admitted = [0, 0];
    for _ in 0..8 {
        for (count, gateway) in admitted.iter_mut().zip([&one, &other]) {
            let answer = me(gateway, &token).await;
            assert!(matches!(answer.status, 200 | 429), "{answer:?}");
            *count += u32::from(answer.status == 200);
            assert_eq!(gateway.get("/api/products/p-1").await.status, 200);
            let add = json_post("/api/cart/items");
            assert_eq!(gateway.send(add, cart_item().to_string()).await.status, 201);
        }
    }
    assert_eq!(admitted, [6, 6]);
    let health = one.get("/health").await;
    assert_eq!(health.status, 200, "{:?}", health.body);
    let redis_part = health.json()["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["name"] == "redis")
        .cloned();
    assert_eq!(redis_part.unwrap()["status"], "degraded");

    server.restart().await;
    both_connected(&one, &other).await;
    for left in (0..6).rev() {
        let gateway = if left % 2 == 0 { &one } else { &other };
        let answer = me(gateway, &token).await;
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!("\"customer\";r={left};")),
            "{answer:?}"
        );
    }
    assert_eq!(me(&one, &token).await.status, 429);
    assert_eq!(me(&other, &token).await.status, 429);
}

#[tokio::test]
async fn a_full_redis_still_tells_who_is_gone() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let (one, other) = two(&server.url(), &LOW).await;
    let (gone, here) = (one.token("customer", "u-1"), one.token("customer", "u-2"));
    one.hub
        .cache()
        .put("revoked-session:s-u-1", "1", Duration::from_secs(900))
        .await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(me(&other, &gone).await.reason(), "TOKEN_REVOKED");
    for left in (0..6).rev() {
        let answer = me(&other, &here).await;
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!("\"customer\";r={left};")),
            "{answer:?}"
        );
    }
    assert_eq!(me(&other, &here).await.status, 429);
    assert!(redis(&other).is_available());
}

#[tokio::test]
async fn an_answer_is_replayed_from_what_gateways_share_or_from_the_store() {
    let Some(mut server) = RedisServer::start().await else {
        return;
    };
    let (one, _) = two(&server.url(), &[]).await;
    let place = |body: serde_json::Value| {
        let request = json_post("/api/orders")
            .header("idempotency-key", "k-1")
            .header(
                "authorization",
                format!("Bearer {}", one.token("customer", "u-1")),
            );
        one.send(request, body.to_string())
    };
    let first = place(order()).await;
    assert_eq!(first.status, 201, "{:?}", first.body);
    assert_eq!(first.header("idempotent-replayed"), "");
    for away in [false, true] {
        if away {
            server.stop();
        }
        let again = place(order()).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.body, first.body);
        let mut changed = order();
        changed["shipping_method"] = "express".into();
        assert_eq!(place(changed).await.reason(), "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(one.calls("CreateOrder"), 1);
}

#[tokio::test]
async fn an_event_that_says_nothing_is_refused() {
    let fixture = Fixture::new().await;
    let consumer = crate::service::RefuseEndedSessions::of(&fixture.hub);
    let outcome = consumer.react(&Envelope::default()).await;
    assert!(outcome.unwrap_err().is_reject());
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_by_asking() {
    let fixture = Fixture::new().await;
    let before = fixture.token("customer", "u-1");
    assert_eq!(me(&fixture, &before).await.status, 200);
    fixture.rotate_key();
    fixture.advance(Duration::from_secs(6));
    let after = fixture.token("customer", "u-2");
    assert_eq!(me(&fixture, &after).await.status, 200);
    assert_eq!(fixture.calls("GetJwks"), 2);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up_for_long() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let (one, _) = two(&server.url(), &[]).await;
    server.freeze();
    for number in 0..5 {
        let token = one.token("customer", &format!("u-{number}"));
        assert_eq!(me(&one, &token).await.status, 200);
    }
    // After three commands without an answer nobody asks any more.
    assert!(!redis(&one).is_available());
    server.thaw();
    eventually(|| async { redis(&one).is_available() }).await;
    assert_eq!(me(&one, &one.token("customer", "u-9")).await.status, 200);
}
