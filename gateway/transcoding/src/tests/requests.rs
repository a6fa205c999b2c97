//! Requests: path, query and body together.

use http::Method;
use serde_json::json;

use super::{house, oracle_json};
use crate::RequestErrorKind as Kind;
use crate::{RequestError, RequestErrorKind};

struct Request<'a> {
    method: Method,
    target: &'a str,
    content_type: Option<&'a str>,
    body: &'a [u8],
}

fn send(request: &Request<'_>) -> Result<serde_json::Value, RequestError> {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target, None),
    };
    let matched = house().route(&request.method, path).unwrap();
    let wire = house().read_request(&matched, query, request.content_type, request.body)?;
    let input = matched.binding().method().input();
    Ok(oracle_json(input.full_name(), &wire).unwrap())
}

fn get(target: &str) -> Result<serde_json::Value, RequestError> {
    send(&Request {
        method: Method::GET,
        target,
        content_type: None,
        body: b"",
    })
}

fn with_body(method: Method, target: &str, body: &str) -> Result<serde_json::Value, RequestError> {
    send(&Request {
        method,
        target,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    })
}

fn refused(result: Result<serde_json::Value, RequestError>) -> (String, RequestErrorKind) {
    let error = result.unwrap_err();
    (error.field, error.kind)
}

#[test]
fn query_parameters_become_fields() {
    let target = "/v1/shelves/s%2F1/books?page.limit=5&page.pageToken=a%20b%2Bc+d&colors=red&colors=COLOR_DARK_BLUE\
                  &colors=-3&since=2026-11-20T00:00:00Z&within=1.5s&fields=title,published_at&lent=false\
                  &years=1999&years=2000&minimum=0&choice.scalars.aString=x&choice.scalars.a_bool=true&";
    assert_eq!(
        get(target).unwrap(),
        json!({
            "shelf": "s/1",
            "page": {"limit": 5, "pageToken": "a b+c d"},
            "colors": ["COLOR_RED", "COLOR_DARK_BLUE", "COLOR_NEGATIVE"],
            "since": "2026-11-20T00:00:00Z",
            "within": "1.500s",
            "fields": "title,publishedAt",
            "lent": false,
            "years": ["1999", "2000"],
            "minimum": 0,
            "choice": {"scalars": {"aString": "x", "aBool": true}},
        })
    );
    assert_eq!(get("/v1/books?").unwrap(), json!({}));
    assert_eq!(get("/v1/books?shelf=").unwrap(), json!({}));
    assert_eq!(
        get("/v1/books?shelf=a%3Db&page.limit=0").unwrap(),
        json!({"shelf": "a=b", "page": {}})
    );
}

#[test]
fn query_parameters_are_checked() {
    for (query, field, kind) in [
        ("nothing=1", "nothing", Kind::UnknownField),
        ("page.nothing=1", "page.nothing", Kind::UnknownField),
        ("shelf.x=1", "shelf.x", Kind::UnknownField),
        ("since.seconds=1", "since.seconds", Kind::UnknownField),
        ("=1", "", Kind::UnknownField),
        ("page..limit=1", "page..limit", Kind::UnknownField),
        ("page=1", "page", Kind::InvalidValue),
        ("books=1", "books", Kind::InvalidValue),
        ("books.name=1", "books.name", Kind::InvalidValue),
        ("labels=1", "labels", Kind::InvalidValue),
        ("labels.a=1", "labels.a", Kind::InvalidValue),
        ("page.limit=x", "page.limit", Kind::InvalidValue),
        ("page.limit=", "page.limit", Kind::InvalidValue),
        ("page.limit=99999999999", "page.limit", Kind::OutOfRange),
        (
            "page.limit=1&page.limit=1",
            "page.limit",
            Kind::DuplicateField,
        ),
        (
            "page.limit=1&page.limit=2",
            "page.limit",
            Kind::DuplicateField,
        ),
        (
            "page.page_token=1&page.pageToken=2",
            "page.pageToken",
            Kind::DuplicateField,
        ),
        ("colors=pink", "colors", Kind::InvalidValue),
        ("lent=yes", "lent", Kind::InvalidValue),
        ("since=yesterday", "since", Kind::InvalidValue),
        ("since=2026-02-30T00:00:00Z", "since", Kind::OutOfRange),
        ("within=5", "within", Kind::InvalidValue),
        (
            "choice.a_string=x&choice.an_int32=1",
            "choice.an_int32",
            Kind::OneofConflict,
        ),
        (
            "choice.tree.name=x&choice.scalars.a_bool=true",
            "choice.scalars.a_bool",
            Kind::OneofConflict,
        ),
        ("shelf=%zz", "shelf", Kind::Syntax),
        ("shelf=%ff", "shelf", Kind::InvalidUtf8),
        ("%ff=1", "%ff", Kind::InvalidUtf8),
    ] {
        assert_eq!(
            refused(get(&format!("/v1/books?{query}"))),
            (field.to_owned(), kind),
            "{query}"
        );
    }
    let deep = format!("/v1/books?tree{}.name=x", ".left".repeat(40));
    assert_eq!(refused(get(&deep)).1, Kind::TooDeep);
    let error = get("/v1/books?colors=pink").unwrap_err();
    assert!(error.to_string().contains("\"dark_blue\""), "{error}");
}

#[test]
fn the_query_cannot_contradict_the_path() {
    assert_eq!(
        get("/v1/shelves/1/books?shelf=1").unwrap(),
        json!({"shelf": "1"})
    );
    assert_eq!(
        refused(get("/v1/shelves/1/books?shelf=2")),
        ("shelf".to_owned(), Kind::PathConflict)
    );
    assert_eq!(
        refused(get("/v1/choices/5?choice.color=red")),
        ("choice.color".to_owned(), Kind::OneofConflict)
    );
    assert_eq!(
        get("/v1/choices/5?choice.between=x").unwrap(),
        json!({"choice": {"anInt32": 5, "between": "x"}})
    );
}

#[test]
fn captures_take_the_type_of_their_field() {
    assert_eq!(
        get("/v1/numbers/-5/dark_blue/2026-11-20T00:00:00Z").unwrap(),
        json!({"number": "-5", "color": "COLOR_DARK_BLUE", "at": "2026-11-20T00:00:00Z"})
    );
    assert_eq!(
        refused(get("/v1/numbers/x/red/2026-11-20T00:00:00Z")),
        ("number".to_owned(), Kind::InvalidValue)
    );
    assert_eq!(
        refused(get("/v1/numbers/1/pink/2026-11-20T00:00:00Z")),
        ("color".to_owned(), Kind::InvalidValue)
    );
    assert_eq!(
        refused(get("/v1/numbers/1/red/now")),
        ("at".to_owned(), Kind::InvalidValue)
    );
    assert_eq!(
        refused(get("/v1/choices/x")),
        ("choice.an_int32".to_owned(), Kind::InvalidValue)
    );
}

#[test]
fn the_body_can_be_a_field() {
    assert_eq!(
        with_body(
            Method::POST,
            "/v1/shelves/7/books?validate_only=true",
            r#"{"title":"Dune","tags":["a","b"]}"#
        )
        .unwrap(),
        json!({"shelf": "7", "book": {"title": "Dune", "tags": ["a", "b"]}, "validateOnly": true})
    );
    assert_eq!(
        with_body(Method::PUT, "/v1/books/n/tags?replace=true", r#"["x","y"]"#).unwrap(),
        json!({"name": "n", "tags": ["x", "y"], "replace": true})
    );
    assert_eq!(
        with_body(Method::POST, "/v1/shelves/7/books", "").unwrap(),
        json!({"shelf": "7"})
    );
    assert_eq!(
        with_body(Method::POST, "/v1/shelves/7/books", "null").unwrap(),
        json!({"shelf": "7"})
    );
    for (target, body, field, kind) in [
        (
            "/v1/shelves/7/books?book.title=x",
            "{}",
            "book.title",
            Kind::UnknownField,
        ),
        (
            "/v1/shelves/7/books?book=x",
            "{}",
            "book",
            Kind::InvalidValue,
        ),
        (
            "/v1/shelves/7/books",
            r#"{"tittle":"x"}"#,
            "book.tittle",
            Kind::UnknownField,
        ),
        (
            "/v1/shelves/7/books",
            r#"{"tags":["a",1]}"#,
            "book.tags[1]",
            Kind::InvalidValue,
        ),
        ("/v1/shelves/7/books", "[]", "book", Kind::InvalidValue),
        ("/v1/shelves/7/books", "{} {}", "", Kind::Syntax),
    ] {
        assert_eq!(
            refused(with_body(Method::POST, target, body)),
            (field.to_owned(), kind),
            "{target} {body}"
        );
    }
}

#[test]
fn a_captured_field_inside_of_the_body_is_merged_with_it() {
    let merged = json!({"shelf": "1", "book": {"isbn": "9", "title": "Dune"}});
    for body in [
        r#"{"title":"Dune"}"#,
        r#"{"isbn":"9","title":"Dune"}"#,
        r#"{"isbn":null,"title":"Dune"}"#,
    ] {
        assert_eq!(
            with_body(Method::PATCH, "/v1/shelves/1/books/9", body).unwrap(),
            merged,
            "{body}"
        );
        let whole = format!(r#"{{"book":{body},"shelf":"1"}}"#);
        assert_eq!(
            with_body(Method::PUT, "/v1/shelves/1/books/9", &whole).unwrap(),
            merged,
            "{whole}"
        );
    }
    assert_eq!(
        with_body(
            Method::PUT,
            "/v1/shelves/1/books/9",
            r#"{"book":{"title":"Dune"}}"#
        )
        .unwrap(),
        merged
    );
    assert_eq!(
        refused(with_body(
            Method::PATCH,
            "/v1/shelves/1/books/9",
            r#"{"isbn":"8"}"#
        )),
        ("book.isbn".to_owned(), Kind::PathConflict)
    );
    assert_eq!(
        refused(with_body(
            Method::PUT,
            "/v1/shelves/1/books/9",
            r#"{"shelf":"2"}"#
        )),
        ("shelf".to_owned(), Kind::PathConflict)
    );
    assert_eq!(
        refused(with_body(
            Method::PUT,
            "/v1/shelves/1/books/9",
            r#"{"book":{"isbn":"8"}}"#
        )),
        ("book.isbn".to_owned(), Kind::PathConflict)
    );
}

#[test]
fn the_body_cannot_change_a_choice_that_the_path_made() {
    assert_eq!(
        with_body(
            Method::POST,
            "/v1/choices/0",
            r#"{"choice":{"anInt32":0,"between":"x"}}"#
        )
        .unwrap(),
        json!({"choice": {"anInt32": 0, "between": "x"}})
    );
    assert_eq!(
        refused(with_body(
            Method::POST,
            "/v1/choices/0",
            r#"{"choice":{"aString":"x"}}"#
        )),
        ("choice.a_string".to_owned(), Kind::OneofConflict)
    );
}

#[test]
fn a_whole_body_leaves_no_room_for_the_query() {
    let moved = json!({"name": "shelves/1/books/2", "toShelf": "3"});
    assert_eq!(
        with_body(
            Method::POST,
            "/v1/shelves/1/books/2:move",
            r#"{"to_shelf":"3"}"#
        )
        .unwrap(),
        moved
    );
    assert_eq!(
        refused(with_body(
            Method::POST,
            "/v1/shelves/1/books/2:move?to_shelf=3",
            "{}"
        )),
        ("to_shelf".to_owned(), Kind::UnknownField)
    );
    for body in ["", "  \n", "{}"] {
        assert_eq!(
            with_body(Method::POST, "/v1/shelves/1/books/2:move", body).unwrap(),
            json!({"name": "shelves/1/books/2"}),
        );
    }
}

#[test]
fn a_method_without_a_body_takes_none() {
    for body in ["", " ", "{}", "{ }\n"] {
        assert!(
            with_body(Method::DELETE, "/v1/shelves/1/books/2", body).is_ok(),
            "{body}"
        );
    }
    for body in [r#"{"name":"x"}"#, "[]", "{", "{} x", "null"] {
        assert_eq!(
            refused(with_body(Method::DELETE, "/v1/shelves/1/books/2", body)),
            (String::new(), Kind::UnexpectedBody),
            "{body}"
        );
    }
}

#[test]
fn only_json_is_read_as_json() {
    let send_as = |content_type| {
        send(&Request {
            method: Method::POST,
            target: "/v1/shelves/1/books",
            content_type,
            body: b"{}",
        })
    };
    for accepted in [
        None,
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
        Some("application/merge-patch+json"),
    ] {
        assert!(send_as(accepted).is_ok(), "{accepted:?}");
    }
    for refused in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "json",
        "text/json",
    ] {
        assert_eq!(
            send_as(Some(refused)).unwrap_err().kind,
            Kind::UnsupportedMediaType,
            "{refused}"
        );
    }
}

#[test]
fn raw_bodies_pass_through() {
    let image = send(&Request {
        method: Method::PUT,
        target: "/v1/files/a/b.png?mode=420",
        content_type: Some("image/png"),
        body: &[0, 159, 146, 150],
    });
    assert_eq!(
        image.unwrap(),
        json!({"name": "a/b.png", "mode": 420, "file": {"contentType": "image/png", "data": "AJ+Slg=="}})
    );
    let echo = send(&Request {
        method: Method::POST,
        target: "/v1/echo",
        content_type: None,
        body: b"hello",
    });
    assert_eq!(echo.unwrap(), json!({"data": "aGVsbG8="}));
}
