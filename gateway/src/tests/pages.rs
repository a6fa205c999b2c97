//! What the gateway says about itself.

#![allow(clippy::unwrap_used)]

use http::Request;

use super::fixture::{Fixture, json_post};

#[tokio::test]
async fn people_find_their_way() {
    let fixture = Fixture::new().await;
    let landing = fixture.get("/").await;
    assert!(landing.header("content-type").starts_with("text/html"));
    let text = String::from_utf8_lossy(&landing.body).into_owned();
    assert!(text.contains("/docs") && text.contains("customer@hub.test") && !text.contains("{{"));
    assert!(
        landing
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    for path in [
        "/docs",
        "/docs/docs.js",
        "/docs/swagger-ui.css",
        "/docs/swagger-ui-bundle.js",
    ] {
        let page = fixture.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.is_empty());
    }
    let document = fixture.get("/openapi.json").await;
    assert_eq!(document.json()["openapi"], "3.1.0");
    let again = Request::get("/openapi.json").header("if-none-match", document.header("etag"));
    assert_eq!(fixture.send(again, "").await.status, 304);
}

#[tokio::test]
async fn production_shows_no_demo_users() {
    let fixture = Fixture::with(&[("hub.profile", "production")]).await;
    let landing = fixture.get("/").await;
    let text = String::from_utf8_lossy(&landing.body).into_owned();
    assert!(!text.contains("hub.test") && !text.contains("Holiday-Peak-2026"));
}

#[tokio::test]
async fn customers_do_not_see_what_the_shop_earns() {
    let demo = Fixture::new().await;
    let metrics = demo.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let shop = Fixture::with(&[("hub.profile", "production")]).await;
    assert_eq!(shop.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn health_follows_the_hub() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("/health").await.json()["status"], "ok");
    assert_eq!(fixture.get("/health/ready").await.status, 200);
    assert_eq!(fixture.send(json_post("/health"), "").await.status, 405);
    fixture
        .hub
        .shutdown(std::time::Duration::from_secs(1))
        .await;
    assert_eq!(fixture.get("/health/ready").await.status, 503);
    assert_eq!(fixture.get("/health/live").await.status, 200);
}
