//! Responses by their rule.

use http::Method;

use super::{house, wire};
use crate::{Reply, ResponseError};

fn reply(method: Method, path: &str, message: &[u8]) -> Result<Reply, ResponseError> {
    house().write_response(house().route(&method, path).unwrap().binding(), message)
}

fn body(method: Method, path: &str, message: &[u8]) -> String {
    String::from_utf8(reply(method, path, message).unwrap().body.to_vec()).unwrap()
}

#[test]
fn the_whole_message_is_the_body() {
    let book = wire(
        "Book",
        r#"{"name":"n","tags":["x"],"pages":"412","color":"COLOR_RED"}"#,
    );
    let reply = reply(Method::GET, "/v1/books/n", &book).unwrap();
    assert_eq!(reply.content_type, "application/json");
    assert_eq!(
        reply.body,
        r#"{"name":"n","isbn":"","title":"","tags":["x"],"pages":412,"color":"red"}"#
    );
    assert_eq!(body(Method::DELETE, "/v1/shelves/1/books/2", b""), "{}");
}

#[test]
fn a_field_can_be_the_body() {
    let list = wire(
        "ListBooksResponse",
        r#"{"books":[{"name":"a"},{"name":"b"}],"total":2}"#,
    );
    let book = |name: &str| {
        format!(
            r#"{{"name":"{name}","isbn":"","title":"","tags":[],"pages":0,"color":"unspecified"}}"#
        )
    };
    assert_eq!(
        body(Method::GET, "/v1/books", &list),
        format!("[{},{}]", book("a"), book("b"))
    );
    assert_eq!(body(Method::GET, "/v1/books", b""), "[]");
}

#[test]
fn raw_replies_keep_their_type() {
    let file = wire(
        "google.api.HttpBody",
        r#"{"contentType":"text/csv","data":"YSxi"}"#,
    );
    let reply_to = |message: &[u8]| reply(Method::GET, "/v1/files/x", message).unwrap();
    assert_eq!(
        reply_to(&file),
        Reply {
            content_type: "text/csv".into(),
            body: "a,b".into()
        }
    );
    assert_eq!(
        reply_to(b""),
        Reply {
            content_type: "application/octet-stream".into(),
            body: "".into()
        }
    );
    // As the response's field, in two parts.
    let mut parts = wire("PutFileRequest", r#"{"file":{"contentType":"text/csv"}}"#);
    parts.extend(wire(
        "PutFileRequest",
        r#"{"name":"n","file":{"data":"YSxi"}}"#,
    ));
    let echo = reply(Method::POST, "/v1/echo", &parts).unwrap();
    assert_eq!(
        echo,
        Reply {
            content_type: "text/csv".into(),
            body: "a,b".into()
        }
    );
}

#[test]
fn stream_items_are_appended() {
    let binding = house().route(&Method::GET, "/v1/search").unwrap().binding();
    let mut out = b"data: ".to_vec();
    house()
        .write_response_into(binding, &wire("Book", r#"{"title":"Dune"}"#), &mut out)
        .unwrap();
    assert!(out.starts_with(b"data: {\"name\":\"\",") && out.ends_with(b"}"));
    let before = out.clone();
    assert!(
        house()
            .write_response_into(binding, &[0xff], &mut out)
            .is_err()
    );
    assert_eq!(out, before);
}
