//! Two gateways, each a process of its own: what they know together through Redis, and what each does alone
//! while Redis is away.

use serde_json::json;
use system_tests::{Api, Hub, HubOptions, Mode, Redis, eventually, order_body};

use crate::shared::{PRODUCT, fresh_email, id};

/// Requests per minute of a customer: so few that none comes back while the test looks.
const BUDGET: usize = 2;

/// A hub with two gateways and a Redis that nobody else uses; `None` where no engines are wanted.
async fn two_gateways() -> Option<(Hub, Redis)> {
    if Mode::of_run() == Mode::Embedded {
        println!("skipped: gateways share through Redis; run through tests/with-services");
        return None;
    }
    let redis = Redis::start().await.unwrap();
    let options = HubOptions::unlimited()
        .with_gateways(2)
        .env("REDIS_URL", &redis.url())
        .env("HUB__RATE_LIMITS__CUSTOMER", &BUDGET.to_string());
    let hub = Hub::start_with(options).await.unwrap();
    Some((hub, redis))
}

/// The same caller at each gateway.
fn at_each(hub: &Hub, caller: &Api) -> Vec<Api> {
    let token = caller.token().unwrap();
    let gateways = hub.gateways().into_iter();
    gateways
        .map(|gateway| Api::new(gateway).with_token(token))
        .collect()
}

/// How a customer's own page is answered, at each gateway in turn.
async fn statuses(callers: &[Api], turns: &[usize]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for turn in turns {
        let answer = callers[*turn].get("/api/users/me").await;
        statuses.push(answer.status.as_u16());
    }
    statuses
}

async fn customer(hub: &Hub) -> Vec<Api> {
    at_each(hub, &hub.api().sign_up(&fresh_email()).await)
}

/// A guest, whose requests are not counted, whose session has just been ended at the first gateway.
async fn signed_out(hub: &Hub) -> Vec<Api> {
    let guest = at_each(hub, &hub.api().guest().await);
    for gateway in &guest {
        gateway.get("/api/cart").await.expect(200);
    }
    guest[0]
        .post("/api/auth/logout", json!({}))
        .await
        .expect(204);
    guest
}

async fn is_refused(caller: &Api) -> bool {
    let answer = caller.get("/api/cart").await;
    let refused = answer.status == 401;
    if refused {
        assert_eq!(answer.json["error"]["details"]["reason"], "TOKEN_REVOKED");
    } else {
        answer.expect(200);
    }
    refused
}

async fn eventually_refused(callers: &[Api]) {
    for caller in callers {
        eventually("the token to be refused", || async {
            is_refused(caller).await.then_some(())
        })
        .await;
    }
}

/// Waits until each gateway says so of its way to Redis.
async fn redis_is(hub: &Hub, wanted: &str) {
    for gateway in hub.gateways() {
        let gateway = Api::new(gateway);
        eventually(&format!("Redis to be {wanted}"), || async {
            let health = gateway.get("/health").await.json;
            let parts = health["components"].as_array()?.clone();
            let redis = parts.iter().find(|part| part["name"] == "redis")?;
            (redis["status"] == wanted).then_some(())
        })
        .await;
    }
}

/// A guest fills a cart at one gateway, orders at the other, and the order comes to its end.
async fn somebody_orders(hub: &Hub) {
    let guest = at_each(hub, &hub.api().guest().await);
    guest[0].add_to_cart(PRODUCT, "", 1).await.expect(201);
    let body = order_body("pm_card_visa");
    let order = guest[1].post("/api/orders", body).await.expect(201);
    guest[0]
        .order_reaches(id(&order, "order_id"), &["processing"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_share_limits_and_revocations_and_go_on_without_redis() {
    let Some((hub, mut redis)) = two_gateways().await else {
        return;
    };
    redis_is(&hub, "ok").await;
    // One budget for both, whoever is asked first.
    let shared = customer(&hub).await;
    assert_eq!(statuses(&shared, &[0, 1, 0, 1]).await, [200, 200, 429, 429]);
    let other = customer(&hub).await;
    assert_eq!(statuses(&other, &[1, 1, 0, 1]).await, [200, 200, 429, 429]);
    // Who has signed out at one has signed out at the other, with the very next request.
    let before = signed_out(&hub).await;
    assert!(is_refused(&before[1]).await);
    assert!(is_refused(&before[0]).await);

    redis.stop().await.unwrap();
    // Nobody's request fails; each gateway counts for itself.
    let alone = customer(&hub).await;
    assert_eq!(
        statuses(&alone, &[0, 1, 0, 1, 0, 1]).await,
        [200, 200, 200, 200, 429, 429]
    );
    somebody_orders(&hub).await;
    redis_is(&hub, "degraded").await;
    // Every gateway hears of a session's end by the event, of those before and of those from now on.
    eventually_refused(&before).await;
    let meanwhile = signed_out(&hub).await;
    eventually_refused(&meanwhile).await;

    redis.start_again().await.unwrap();
    redis_is(&hub, "ok").await;
    let again = customer(&hub).await;
    assert_eq!(statuses(&again, &[1, 0, 1, 0]).await, [200, 200, 429, 429]);
    let after = signed_out(&hub).await;
    assert!(is_refused(&after[1]).await);
    // What had ended before Redis lost everything stays ended.
    for ended in [&before, &meanwhile] {
        eventually_refused(ended).await;
    }
}
