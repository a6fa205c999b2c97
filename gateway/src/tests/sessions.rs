//! Sessions: cookies, CSRF, guests.

#![allow(clippy::unwrap_used)]

use http::Request;
use serde_json::json;

use super::fixture::{Answer, Fixture, cart_item, json_post};

fn names<'a>(cookies: &[&'a str]) -> Vec<&'a str> {
    let mut names: Vec<&str> = cookies
        .iter()
        .map(|cookie| cookie.split('=').next().unwrap())
        .collect();
    names.dedup();
    names
}

#[tokio::test]
async fn login_sets_cookies_and_logout_removes_them() {
    let fixture = Fixture::new().await;
    let login = fixture
        .post(
            "/api/auth/login",
            &json!({"email": "a@hub.test", "password": "x"}),
        )
        .await;
    assert_eq!(login.status, 200);
    assert_eq!(login.json()["access_token"], "access-1");
    assert_eq!(
        names(&login.cookies()),
        ["hub_access", "hub_refresh", "hub_csrf"]
    );
    assert_eq!(login.header("cache-control"), "no-store");

    let logout = json_post("/api/auth/logout").header(
        "authorization",
        format!("Bearer {}", fixture.token("customer", "u-1")),
    );
    let logout = fixture.send(logout, "{}").await;
    assert_eq!(logout.status, 204);
    assert!(logout.body.is_empty());
    assert!(
        logout
            .cookies()
            .iter()
            .all(|cookie| cookie.contains("Max-Age=0"))
    );
}

#[tokio::test]
async fn unsafe_requests_by_cookie_need_proof() {
    let fixture = Fixture::new().await;
    let token = fixture.token("customer", "u-1");
    let put = || {
        Request::put("/api/users/me")
            .header("content-type", "application/json")
            .header("cookie", format!("hub_access={token}; hub_csrf=proof"))
    };
    let bare = fixture.send(put(), "{}").await;
    assert_eq!(
        (bare.status, bare.reason().as_str()),
        (403, "CSRF_REJECTED")
    );
    assert_eq!(
        fixture
            .send(put().header("x-csrf-token", "other"), "{}")
            .await
            .status,
        403
    );
    assert_eq!(
        fixture
            .send(put().header("x-csrf-token", "proof"), "{}")
            .await
            .status,
        200
    );
    let get = Request::get("/api/users/me").header("cookie", format!("hub_access={token}"));
    assert_eq!(fixture.send(get, "").await.status, 200);
}

#[tokio::test]
async fn the_refresh_token_may_stay_in_its_cookie() {
    let fixture = Fixture::new().await;
    let user = |answer: &Answer| answer.json()["user"]["user_id"].clone();
    let cookie = json_post("/api/auth/refresh")
        .header("cookie", "hub_refresh=from-cookie; hub_csrf=p")
        .header("x-csrf-token", "p");
    let refreshed = fixture.send(cookie, "").await;
    assert_eq!(user(&refreshed), "from-cookie");
    assert_eq!(
        names(&refreshed.cookies()),
        ["hub_access", "hub_refresh", "hub_csrf"]
    );
    let unproven = json_post("/api/auth/refresh").header("cookie", "hub_refresh=from-cookie");
    assert_eq!(fixture.send(unproven, "{}").await.status, 403);
    let body = json_post("/api/auth/refresh").header("cookie", "hub_refresh=from-cookie");
    let refreshed = fixture
        .send(body, json!({"refresh_token": "from-body"}).to_string())
        .await;
    assert_eq!(user(&refreshed), "from-body");
}

#[tokio::test]
async fn a_cookie_that_proves_nothing_is_forgiven_where_all_get_the_same_answer() {
    let fixture = Fixture::new().await;
    let expired = fixture.token_with("customer", "u-1", |claims| {
        claims["exp"] = 1_700_000_000.into();
    });
    let cookie = |token: &str| format!("hub_access={token}");
    let browse = |token: &str| Request::get("/api/products/p-1").header("cookie", cookie(token));
    // An expired one is kept: it says who should refresh.
    let answer = fixture.send(browse(&expired), "").await;
    assert_eq!((answer.status, answer.cookies().len()), (200, 0));
    let answer = fixture.send(browse("nonsense"), "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.cookies()[0].starts_with("hub_access=; "));
    let login = json_post("/api/auth/login").header("cookie", cookie(&expired));
    let body = json!({"email": "a@hub.test", "password": "x"}).to_string();
    assert_eq!(fixture.send(login, body).await.status, 200);

    let me = Request::get("/api/users/me").header("cookie", cookie(&expired));
    let me = fixture.send(me, "").await;
    assert_eq!((me.status, me.reason().as_str()), (401, "TOKEN_EXPIRED"));
    assert!(me.cookies().is_empty());
    let me = Request::get("/api/users/me").header("cookie", cookie("nonsense"));
    let me = fixture.send(me, "").await;
    assert_eq!(me.status, 401);
    assert!(me.cookies()[0].starts_with("hub_access=; "));
}

#[tokio::test]
async fn an_expired_customer_does_not_become_a_guest() {
    let fixture = Fixture::new().await;
    let expired = fixture.token_with("customer", "u-1", |claims| {
        claims["exp"] = 1_700_000_000.into();
    });
    let add = json_post("/api/cart/items").header("cookie", format!("hub_access={expired}"));
    let add = fixture.send(add, cart_item().to_string()).await;
    assert_eq!((add.status, add.reason().as_str()), (401, "TOKEN_EXPIRED"));
    assert_eq!(fixture.calls("CreateGuestSession"), 0);
}

#[tokio::test]
async fn a_first_visit_opens_a_guest_session() {
    let fixture = Fixture::new().await;
    let added = fixture.post("/api/cart/items", &cart_item()).await;
    assert_eq!(added.status, 201, "{:?}", added.body);
    assert_eq!(added.json()["cart_id"], "g-1");
    assert_eq!(added.header("x-hub-guest-token"), "access-1");
    assert_eq!(
        names(&added.cookies()),
        ["hub_access", "hub_refresh", "hub_csrf"]
    );
    // Nonsense opens nothing.
    assert_eq!(
        fixture.send(json_post("/api/cart/items"), "{").await.status,
        400
    );
    assert_eq!(fixture.calls("CreateGuestSession"), 1);
    // Who is somebody stays who he is.
    let customer = json_post("/api/cart/items").header(
        "authorization",
        format!("Bearer {}", fixture.token("customer", "u-7")),
    );
    let added = fixture.send(customer, cart_item().to_string()).await;
    assert_eq!(added.json()["cart_id"], "u-7");
    assert!(added.cookies().is_empty());
    assert_eq!(fixture.calls("CreateGuestSession"), 1);
}
