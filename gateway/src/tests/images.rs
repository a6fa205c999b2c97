//! Pictures.

#![allow(clippy::unwrap_used)]

use http::Request;

use super::fixture::Fixture;

const SLED: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><title>Sled</title></svg>";

async fn with_a_sled() -> Fixture {
    let fixture = Fixture::new().await;
    let name = "images/products/sled.svg".parse().unwrap();
    fixture.hub.blobs().put(&name, SLED).await.unwrap();
    fixture
}

#[tokio::test]
async fn a_picture_is_served_as_what_it_is_and_may_do_nothing() {
    let fixture = with_a_sled().await;
    let sled = fixture.get("/images/products/sled.svg").await;
    assert_eq!((sled.status, &sled.body[..]), (200, SLED.as_bytes()));
    assert_eq!(sled.header("content-type"), "image/svg+xml");
    assert_eq!(sled.header("x-content-type-options"), "nosniff");
    assert!(sled.header("content-security-policy").contains("sandbox"));
    assert!(sled.header("cache-control").starts_with("public, max-age="));
    assert!(!sled.headers.contains_key("ratelimit"));
    let again =
        Request::get("/images/products/sled.svg").header("if-none-match", sled.header("etag"));
    let again = fixture.send(again, "").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), sled.header("etag"));
    let head = fixture
        .send(Request::head("/images/products/sled.svg"), "")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), SLED.len().to_string());
}

#[tokio::test]
async fn what_is_no_picture_is_not_found() {
    let fixture = with_a_sled().await;
    let report = "reports/secret.json".parse().unwrap();
    fixture.hub.blobs().put(&report, "{}").await.unwrap();
    for path in [
        "/images/products/none.svg",
        "/images/",
        "/images/../reports/secret.json",
        "/images/..%2freports%2fsecret.json",
        "/images/products/sled.SVG",
    ] {
        let answer = fixture.get(path).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "NOT_FOUND"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let post = fixture
        .send(Request::post("/images/products/sled.svg"), "")
        .await;
    assert_eq!(
        (post.status, post.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
}
