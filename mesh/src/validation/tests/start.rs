//! What stops the process at start, and what a validator says of types and methods.

use chrono::DateTime;

use super::{Invalid, Validator, pool, refusal, rules, verdict};

/// A message with one field that has `rules`.
fn field(kind: &str, rules: &str) -> String {
    format!("message M {{ {kind} f = 1 [(buf.validate.field).{rules}]; }}")
}

#[test]
fn rules_must_fit_their_field() {
    for (kind, rules, rule) in [
        ("int32", "string.min_len = 1", "string"),
        ("int32", "int64.gt = 1", "int64"),
        ("string", "repeated.min_items = 1", "repeated"),
        ("repeated string", "string.min_len = 1", "string"),
        ("map<string, string>", "string.min_len = 1", "string"),
        (
            "repeated string",
            "repeated.items.int32.gt = 1",
            "repeated.items.int32",
        ),
        (
            "map<string, string>",
            "map.keys.int32.gt = 1",
            "map.keys.int32",
        ),
        ("M", "string.min_len = 1", "string"),
        (
            "google.protobuf.Timestamp",
            "duration.gt = {seconds: 1}",
            "duration",
        ),
        ("repeated M", "repeated.unique = true", "repeated.unique"),
        ("float", "float = {gt: nan, lt: 5}", "float.gt"),
    ] {
        let error = refusal(&field(kind, rules));
        assert_eq!(
            (error.subject.as_str(), error.rule.as_str()),
            ("t.M.f", rule)
        );
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for (kind, rules, rule) in [
        ("int32", "cel_expression = 'this > 1'", "cel_expression"),
        ("int32", "cel = {id: 'a', expression: 'this > 1'}", "cel"),
        ("string", "string.pattern = '('", "string.pattern"),
        ("bytes", "bytes.pattern = '\\\\C'", "bytes.pattern"),
        (
            "google.protobuf.Timestamp",
            "timestamp.lt_now = true",
            "timestamp",
        ),
        (
            "repeated M",
            "repeated.items.ignore = IGNORE_IF_ZERO_VALUE",
            "repeated.items.ignore",
        ),
        ("int32", "int32.(even) = true", "int32.t.even"),
    ] {
        let extension = "extend buf.validate.Int32Rules { optional bool even = 80001; }";
        let error = refusal(&format!("{extension} {}", field(kind, rules)));
        assert_eq!(
            (error.subject.as_str(), error.rule.as_str()),
            ("t.M.f", rule)
        );
    }
    let cel = "message M { option (buf.validate.message).cel_expression = 'true'; }";
    assert_eq!(refusal(cel).rule, "cel_expression");
}

#[test]
fn message_oneofs_name_fields_once() {
    for fields in ["[]", "['a', 'a']", "['a', 'x']"] {
        let body = format!(
            "message M {{ option (buf.validate.message).oneof = {{fields: {fields}}}; int32 a = 1; }}"
        );
        assert_eq!(refusal(&body).rule, "oneof.fields", "{fields}");
    }
}

#[test]
fn errors_name_the_field_and_the_rule() {
    let error = refusal(&field("int32", "string.min_len = 1"));
    assert_eq!(
        error.to_string(),
        "t.M.f: rule string: does not fit the type of the field"
    );
}

#[test]
fn methods_are_checked_by_their_input() {
    let pool = pool(
        "message In { string name = 1 [(buf.validate.field).string.min_len = 1]; } message Out {} \
         service S { rpc Do(In) returns (Out); rpc Undo(Out) returns (In); }",
    );
    let validator = Validator::new(&pool).unwrap();
    let Err(Invalid::Violations(violations)) = validator.check_method("/t.S/Do", b"") else {
        panic!("an empty name passed");
    };
    assert_eq!(violations[0].field, "name");
    assert_eq!(violations[0].rule, "string.min_len");
    assert_eq!(violations[0].message, "must be at least 1 characters");
    assert_eq!(validator.check_method("/t.S/Do", b"\x0a\x01x"), Ok(()));
    assert_eq!(validator.check_method("/t.S/Undo", b""), Ok(()));
    assert_eq!(
        validator.check_method("/grpc.health.v1.Health/Check", b"\xff"),
        Ok(())
    );
    assert_eq!(
        validator.check_message("t.Other", b""),
        Err(Invalid::Malformed)
    );
}

#[test]
fn the_clock_is_the_one_that_was_given() {
    let at = |now: i64, wire: &[u8]| {
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let validator = Validator::with_clock(&rules(), move || now).unwrap();
        ["LtNow", "GtNow", "Within"]
            .map(|rule| format!("validation.cases.Timestamp{rule}"))
            .map(|name| verdict(&validator, &name, wire).unwrap().is_empty())
    };
    // A timestamp of 10,000 s.
    let wire = b"\x0a\x03\x08\x90\x4e";
    assert_eq!(at(10_000, wire), [true, true, true]);
    assert_eq!(at(9_999, wire), [false, true, true]);
    assert_eq!(at(10_001, wire), [true, false, true]);
    assert_eq!(at(6_400, wire), [false, true, true]);
    assert_eq!(at(6_399, wire), [false, true, false]);
    assert_eq!(at(13_601, wire), [true, false, false]);
}

#[test]
fn the_contracts_of_the_hub_compile() {
    let now = DateTime::from_timestamp(0, 0).unwrap();
    Validator::with_clock(contracts::descriptor_pool(), move || now).unwrap();
}
