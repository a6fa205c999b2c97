//! Routing, and what bindings say about themselves.

use http::Method;

use super::{compile_source, house, pool};
use crate::{BodyRule, BuildError, Options, RouteError, Transcoder};

/// The RPC and the captures that a request is routed to.
fn route(method: Method, path: &str) -> Result<(String, Vec<(String, String)>), RouteError> {
    let matched = house().route(&method, path)?;
    let captures = matched
        .captures()
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect();
    Ok((matched.binding().method().name().to_owned(), captures))
}

fn found(method: Method, path: &str) -> String {
    let (name, captures) = route(method, path).unwrap();
    let captures: Vec<String> = captures
        .iter()
        .map(|(field, value)| format!(" {field}={value}"))
        .collect();
    format!("{name}{}", captures.concat())
}

#[test]
fn finds_every_form_of_template() {
    for (method, path, expected) in [
        (
            Method::GET,
            "/v1/shelves/1/books/2",
            "GetBook name=shelves/1/books/2",
        ),
        (Method::GET, "/v1/books/dune", "GetBook name=dune"),
        (
            Method::DELETE,
            "/v1/shelves/1/books/2",
            "DeleteBook name=shelves/1/books/2",
        ),
        (Method::GET, "/v1/shelves/1/books", "ListBooks shelf=1"),
        (Method::GET, "/v1/books", "ListBooks"),
        (Method::POST, "/v1/shelves/1/books", "CreateBook shelf=1"),
        (
            Method::PATCH,
            "/v1/shelves/1/books/i",
            "UpdateBook shelf=1 book.isbn=i",
        ),
        (
            Method::POST,
            "/v1/shelves/1/books/2:move",
            "MoveBook name=shelves/1/books/2",
        ),
        (Method::PUT, "/v1/books/dune/tags", "TagBook name=dune"),
        (Method::GET, "/v1/files/a/b/c.txt", "GetFile name=a/b/c.txt"),
        (Method::GET, "/v1/files", "GetFile name="),
        (
            Method::GET,
            "/v1/numbers/-5/red/2026-11-20T00:00:00Z",
            "GetNumber number=-5 color=red at=2026-11-20T00:00:00Z",
        ),
        (
            Method::from_bytes(b"SEARCH").unwrap(),
            "/v1/search",
            "Search",
        ),
        (
            Method::from_bytes(b"PURGE").unwrap(),
            "/v1/search/any",
            "Search",
        ),
        (Method::OPTIONS, "/v1/search/any", "Search"),
    ] {
        assert_eq!(found(method, path), expected, "{path}");
    }
}

#[test]
fn decodes_captures_by_how_many_segments_they_span() {
    assert_eq!(
        found(Method::GET, "/v1/books/a%2Fb%20c"),
        "GetBook name=a/b c"
    );
    assert_eq!(
        found(Method::GET, "/v1/shelves/a%2fb/books/%C3%BC"),
        "GetBook name=shelves/a%2fb/books/ü"
    );
    assert_eq!(
        found(Method::GET, "/v1/files/a%2Fb/c%20d"),
        "GetFile name=a%2Fb/c d"
    );
    // A literal may come encoded, too.
    assert_eq!(found(Method::GET, "/v1/%62ooks/x"), "GetBook name=x");
    for path in ["/v1/books/%", "/v1/books/%zz", "/v1/books/%ff", "/v1/%zz/x"] {
        assert_eq!(
            route(Method::GET, path),
            Err(RouteError::Malformed),
            "{path}"
        );
    }
}

#[test]
fn a_verb_is_one_only_where_a_template_has_it() {
    // Nobody declares `:copy`, so the colon is part of the name.
    assert_eq!(
        found(Method::GET, "/v1/books/a:copy"),
        "GetBook name=a:copy"
    );
    assert_eq!(
        found(Method::GET, "/v1/books/a:move"),
        "GetBook name=a:move"
    );
    assert_eq!(
        found(Method::GET, "/v1/books/a%3Amove"),
        "GetBook name=a:move"
    );
    assert_eq!(
        route(Method::PUT, "/v1/shelves/1/books/2:move"),
        Ok((
            "ReplaceBook".to_owned(),
            vec![
                ("shelf".to_owned(), "1".to_owned()),
                ("book.isbn".to_owned(), "2:move".to_owned())
            ]
        ))
    );
}

#[test]
fn refuses_empty_segments_and_trailing_slashes() {
    for path in [
        "",
        "/",
        "v1/books",
        "/v1/books/",
        "/v1//books",
        "//v1/books",
        "/v1/files/",
        "/v1/files/a/",
        "/v1/files//a",
        "/v1/shelves//books",
        "/v2/books",
        "/v1",
        "/v1/books/a/b",
        "/v1/search/any/x",
    ] {
        assert_eq!(
            route(Method::GET, path),
            Err(RouteError::NotFound),
            "{path}"
        );
    }
}

#[test]
fn says_which_methods_a_path_takes() {
    let not_allowed = |allow: &[Method]| {
        Err(RouteError::MethodNotAllowed {
            allow: allow.to_vec(),
        })
    };
    assert_eq!(
        route(Method::DELETE, "/v1/books"),
        not_allowed(&[Method::GET])
    );
    assert_eq!(
        route(Method::POST, "/v1/shelves/1/books/2"),
        not_allowed(&[Method::DELETE, Method::GET, Method::PATCH, Method::PUT])
    );
    assert_eq!(route(Method::GET, "/v1/echo"), not_allowed(&[Method::POST]));
    assert_eq!(
        house().allowed_methods("/v1/shelves/1/books"),
        [Method::GET, Method::POST]
    );
    assert_eq!(house().allowed_methods("/nowhere"), [] as [Method; 0]);
    assert!(
        house()
            .allowed_methods("/v1/search/any")
            .contains(&Method::PATCH)
    );
}

#[test]
fn bindings_describe_themselves() {
    let bindings: Vec<_> = house()
        .bindings_of("transcoding.test.v1.Library.ListBooks")
        .collect();
    let [primary, additional] = bindings[..] else {
        panic!("two bindings")
    };
    assert_eq!(
        primary.grpc_path(),
        "/transcoding.test.v1.Library/ListBooks"
    );
    assert_eq!(primary.http_method(), Some(&Method::GET));
    assert_eq!(primary.template(), "/v1/shelves/{shelf}/books");
    assert!(!primary.is_additional() && additional.is_additional());
    assert!(matches!(primary.body(), BodyRule::None));
    assert_eq!(additional.response_body().unwrap().name(), "books");
    let names: Vec<&str> = primary
        .query_fields()
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "page.limit",
            "page.page_token",
            "colors",
            "since",
            "within",
            "fields",
            "lent",
            "years",
            "minimum",
            // The messages of a choice and of a recursive type are unrolled once.
            "choice.a_string",
            "choice.an_int32",
            "choice.scalars.a_double",
            "choice.scalars.a_float",
            "choice.scalars.an_int32",
            "choice.scalars.an_int64",
            "choice.scalars.a_uint32",
            "choice.scalars.a_uint64",
            "choice.scalars.a_sint32",
            "choice.scalars.a_sint64",
            "choice.scalars.a_fixed32",
            "choice.scalars.a_fixed64",
            "choice.scalars.a_sfixed32",
            "choice.scalars.a_sfixed64",
            "choice.scalars.a_bool",
            "choice.scalars.a_string",
            "choice.scalars.some_bytes",
            "choice.scalars.color",
            "choice.tree.name",
            "choice.color",
            "choice.nothing",
            "choice.timestamp",
            "choice.between",
            "choice.first",
            "choice.second",
            "tree.name",
            "tree.choice.a_string",
            "tree.choice.an_int32",
            "tree.choice.scalars.a_double",
            "tree.choice.scalars.a_float",
            "tree.choice.scalars.an_int32",
            "tree.choice.scalars.an_int64",
            "tree.choice.scalars.a_uint32",
            "tree.choice.scalars.a_uint64",
            "tree.choice.scalars.a_sint32",
            "tree.choice.scalars.a_sint64",
            "tree.choice.scalars.a_fixed32",
            "tree.choice.scalars.a_fixed64",
            "tree.choice.scalars.a_sfixed32",
            "tree.choice.scalars.a_sfixed64",
            "tree.choice.scalars.a_bool",
            "tree.choice.scalars.a_string",
            "tree.choice.scalars.some_bytes",
            "tree.choice.scalars.color",
            "tree.choice.color",
            "tree.choice.nothing",
            "tree.choice.timestamp",
            "tree.choice.between",
            "tree.choice.first",
            "tree.choice.second",
        ]
    );
    let moved = house()
        .bindings_of("transcoding.test.v1.Library.MoveBook")
        .next()
        .unwrap();
    assert_eq!(moved.openapi_path(), "/v1/{name}:move");
    assert_eq!(moved.captured_fields()[0].pattern, "shelves/*/books/*");
    assert!(moved.query_fields().is_empty());
    let created = house()
        .bindings_of("transcoding.test.v1.Library.CreateBook")
        .next()
        .unwrap();
    let names: Vec<&str> = created
        .query_fields()
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(names, ["validate_only"]);
    assert_eq!(
        house()
            .bindings_of("transcoding.test.v1.Library.Hidden")
            .count(),
        0
    );
    assert!(
        house()
            .bindings()
            .any(|binding| binding.is_server_streaming())
    );
    let file = house()
        .bindings_of("transcoding.test.v1.Library.PutFile")
        .next()
        .unwrap();
    assert!(file.takes_http_body() && !file.returns_http_body());
}

/// Compiles a service of the given RPC bodies.
fn build(rules: &[&str]) -> Result<Transcoder, BuildError> {
    let rpcs: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            format!("rpc R{index}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}")
        })
        .collect();
    let source = format!(
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";
         service S {{ {} }}
         message M {{ string a = 1; string b = 2; M m = 3; repeated string r = 4; map<string, string> p = 5; }}",
        rpcs.concat()
    );
    Transcoder::new(&compile_source(&source), Options::default())
}

#[test]
fn literals_beat_wildcards_segment_by_segment() {
    let transcoder = build(&[
        "get: '/v/{a=**}'",
        "get: '/v/{a}/x'",
        "get: '/v/y/{b}'",
        "get: '/v/y/x'",
        "post: '/v/y/z'",
        "get: '/'",
        "get: '/w/'",
        "get: '/v/{a=**}:go'",
    ])
    .unwrap();
    let route = |path: &str| {
        transcoder
            .route(&Method::GET, path)
            .unwrap()
            .binding()
            .method()
            .name()
            .to_owned()
    };
    for (path, expected) in [
        ("/v/y/x", "R3"),
        ("/v/y/w", "R2"),
        ("/v/w/x", "R1"),
        ("/v/w/w", "R0"),
        ("/v/y/x/w", "R0"),
        ("/v/y", "R0"),
        ("/v", "R0"),
        // The literal takes no GET, the wildcard beside it does.
        ("/v/y/z", "R2"),
        ("/", "R5"),
        ("/w/", "R6"),
        ("/v/q/r:go", "R7"),
        ("/v:go", "R7"),
        ("/v/q/r:stop", "R0"),
    ] {
        assert_eq!(route(path), expected, "{path}");
    }
    assert_eq!(
        transcoder.route(&Method::GET, "/w").unwrap_err(),
        RouteError::NotFound
    );
}

#[test]
fn refuses_rules_that_cannot_work() {
    for rules in [
        &["get: '/v/{a}'", "get: '/v/{b}'"][..],
        &["get: '/v/{m.a=x/*}'", "get: '/v/x/{b}'"],
        &["get: '/v/{a=**}'", "get: '/v/**'"],
        &[
            "custom { kind: '*' path: '/v' }",
            "custom { kind: '*' path: '/v' }",
        ],
        &["get: '/v/{nothing}'"],
        &["get: '/v/{m}'"],
        &["get: '/v/{r}'"],
        &["get: '/v/{p}'"],
        &["get: '/v/{a.b}'"],
        &["get: '/v/{a'"],
        &["get: ''"],
        &["post: '/v' body: 'nothing'"],
        &["post: '/v/{a}' body: 'a'"],
        &["get: '/v' response_body: 'nothing'"],
        &["body: '*'"],
        &["custom { kind: 'a b' path: '/v' }"],
        &["get: '/v' additional_bindings { get: '/w' additional_bindings { get: '/x' } }"],
    ] {
        assert!(build(rules).is_err(), "{rules:?}");
    }
    for rules in [
        &[
            "get: '/v'",
            "post: '/v'",
            "custom { kind: '*' path: '/v' }",
            "get: '/v:x'",
            "get: '/v:y'",
        ][..],
        &["get: '/v/{a}'", "get: '/v/{b}/'"],
    ] {
        assert!(build(rules).is_ok(), "{rules:?}");
    }
    let error = build(&["get: '/v/{a}'", "get: '/v/{b}'"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.S.R0 and t.S.R1 both serve GET `/v/{b}`"
    );
}

#[test]
fn a_pool_without_the_option_has_no_routes() {
    let pool = prost_reflect::DescriptorPool::new();
    let transcoder = Transcoder::new(&pool, Options::default()).unwrap();
    assert_eq!(transcoder.bindings().len(), 0);
    assert!(transcoder.message("google.protobuf.Timestamp").is_none());
    assert!(pool.get_message_by_name("x").is_none() && super::pool().all_messages().len() > 0);
}

proptest::proptest! {
    #[test]
    fn any_path_is_answered(path in "(/[a-z0-9%:*.]{0,6}){0,8}", other in ".{0,40}") {
        for path in [path, format!("/v1/books{other}"), other] {
            for method in [Method::GET, Method::POST] {
                let _ = house().route(&method, &path);
            }
            let _ = house().allowed_methods(&path);
        }
        let _ = pool();
    }
}
