//! Reading: what is accepted, and where an error is.

use serde_json::json;

use super::{full, house, oracle_json};
use crate::RequestErrorKind::{self as Kind, *};

fn read(name: &str, json: &str) -> serde_json::Value {
    let wire = house()
        .message(&full(name))
        .unwrap()
        .from_json(json.as_bytes())
        .unwrap();
    oracle_json(name, &wire).unwrap()
}

fn refused(name: &str, json: &[u8]) -> (String, Kind) {
    let error = house()
        .message(&full(name))
        .unwrap()
        .from_json(json)
        .unwrap_err();
    (error.field, error.kind)
}

#[test]
fn names_come_in_both_styles() {
    assert_eq!(
        read("Scalars", r#"{"an_int32":1,"aString":"x"}"#),
        json!({"anInt32": 1, "aString": "x"})
    );
    assert_eq!(
        read("Scalars", r#"{"a\u005fstring":"x"}"#),
        json!({"aString": "x"})
    );
    assert_eq!(
        read("Sparse", r#"{"custom":"x"}"#),
        read("Sparse", r#"{"@weird \"name\"":"x"}"#)
    );
}

#[test]
fn enums_come_in_every_style() {
    for color in [
        r#""COLOR_DARK_BLUE""#,
        r#""color_dark_blue""#,
        r#""dark_blue""#,
        r#""DARK_BLUE""#,
        "2",
        "2.0",
    ] {
        assert_eq!(
            read("Scalars", &format!(r#"{{"color":{color}}}"#)),
            json!({"color": "COLOR_DARK_BLUE"})
        );
    }
    assert_eq!(
        read("Scalars", r#"{"color":-3}"#),
        json!({"color": "COLOR_NEGATIVE"})
    );
    assert_eq!(read("Scalars", r#"{"color":77}"#), json!({"color": 77}));
    for color in [r#""pink""#, r#""""#, r#""2""#, "true", "[]"] {
        let (field, kind) = refused("Scalars", format!(r#"{{"color":{color}}}"#).as_bytes());
        assert_eq!((field.as_str(), kind), ("color", InvalidValue), "{color}");
    }
}

#[test]
fn numbers_come_as_numbers_or_strings() {
    let expected =
        json!({"anInt32": 5, "anInt64": "5", "aUint64": "18446744073709551615", "aDouble": 1.5});
    for json in [
        r#"{"anInt32":5,"anInt64":5,"aUint64":18446744073709551615,"aDouble":1.5}"#,
        r#"{"anInt32":"5","anInt64":"5","aUint64":"18446744073709551615","aDouble":"1.5"}"#,
        r#"{"anInt32":5.0,"anInt64":0.5e1,"aUint64":"18446744073709551615","aDouble":15e-1}"#,
    ] {
        assert_eq!(read("Scalars", json), expected);
    }
    assert_eq!(
        read("Scalars", r#"{"aDouble":"NaN","aFloat":"-Infinity"}"#),
        json!({"aDouble": "NaN", "aFloat": "-Infinity"})
    );
}

#[test]
fn null_is_absence_except_where_it_is_a_value() {
    assert_eq!(
        read("Scalars", r#"{"anInt32":null,"aString":null,"color":null}"#),
        json!({})
    );
    assert_eq!(
        read(
            "Everything",
            r#"{"scalars":null,"lists":{"int32s":null},"maps":{"strings":null}}"#
        ),
        json!({"lists": {}, "maps": {}})
    );
    assert_eq!(
        read(
            "WellKnown",
            r#"{"value":null,"nullValue":null,"int32Value":null}"#
        ),
        json!({"value": null})
    );
    assert_eq!(
        read("Choice", r#"{"aString":null,"anInt32":0}"#),
        json!({"anInt32": 0})
    );
    assert_eq!(
        read("Choice", r#"{"nothing":null}"#),
        json!({"nothing": null})
    );
}

#[test]
fn bytes_come_in_both_alphabets_padded_or_not() {
    for bytes in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(
            read("Scalars", &format!(r#"{{"someBytes":"{bytes}"}}"#)),
            json!({"someBytes": "+/8="})
        );
    }
    assert_eq!(
        refused("Scalars", br#"{"someBytes":"a*b"}"#),
        ("some_bytes".into(), InvalidValue)
    );
}

#[test]
fn strings_are_unescaped() {
    assert_eq!(
        read(
            "Scalars",
            r#"{"aString":"\"\\\/\b\f\n\r\t\u0000\u00e9\ud83d\ude00é😀"}"#
        ),
        json!({"aString": "\"\\/\u{8}\u{c}\n\r\t\0é😀é😀"})
    );
    for text in [
        r#"\x"#,
        r#"\u12"#,
        r#"\ud83d"#,
        r#"\ud83dx"#,
        r#"\ud83d\u0041"#,
        r#"\ude00"#,
        r#"\u00g0"#,
    ] {
        let json = format!(r#"{{"aString":"{text}"}}"#);
        assert_eq!(
            refused("Scalars", json.as_bytes()),
            ("a_string".into(), Syntax),
            "{text}"
        );
    }
    assert_eq!(
        refused("Scalars", b"{\"aString\":\"\xff\"}"),
        ("a_string".into(), InvalidUtf8)
    );
    assert_eq!(
        refused("Scalars", b"{\"aString\":\"a\nb\"}"),
        ("a_string".into(), Syntax)
    );
}

#[test]
fn errors_say_where() {
    for (json, field, kind) in [
        (
            r#"{"lists":{"messages":[{},{"anInt32":"x"}]}}"#,
            "lists.messages[1].an_int32",
            InvalidValue,
        ),
        (
            r#"{"lists":{"messages":[{},{"colour":1}]}}"#,
            "lists.messages[1].colour",
            UnknownField,
        ),
        (
            r#"{"maps":{"messages":{"k\"":{"aBool":1}}}}"#,
            r#"maps.messages["k\\\""].a_bool"#,
            InvalidValue,
        ),
        (
            r#"{"maps":{"int32s":{"x":1}}}"#,
            r#"maps.int32s["x"]"#,
            InvalidValue,
        ),
        (
            r#"{"maps":{"bools":{"true":true,"false":"x"}}}"#,
            r#"maps.bools["false"]"#,
            InvalidValue,
        ),
        (
            r#"{"maps":{"strings":{"a":"1","a":"2"}}}"#,
            "maps.strings",
            DuplicateField,
        ),
        (
            r#"{"maps":{"strings":{"a":null}}}"#,
            r#"maps.strings["a"]"#,
            InvalidValue,
        ),
        (
            r#"{"lists":{"int32s":[1,null]}}"#,
            "lists.int32s[1]",
            InvalidValue,
        ),
        (
            r#"{"lists":{"int32s":[1,2147483648]}}"#,
            "lists.int32s[1]",
            OutOfRange,
        ),
        (r#"{"lists":{"int32s":7}}"#, "lists.int32s", InvalidValue),
        (
            r#"{"scalars":{"anInt32":1,"an_int32":1}}"#,
            "scalars.an_int32",
            DuplicateField,
        ),
        (
            r#"{"scalars":{"anInt32":1,"anInt32":null}}"#,
            "scalars.an_int32",
            DuplicateField,
        ),
        (r#"{"scalars":[]}"#, "scalars", InvalidValue),
        (
            r#"{"scalars":{"anInt32":1.5}}"#,
            "scalars.an_int32",
            InvalidValue,
        ),
        (
            r#"{"scalars":{"aUint32":-1}}"#,
            "scalars.a_uint32",
            OutOfRange,
        ),
        (
            r#"{"scalars":{"aFloat":1e39}}"#,
            "scalars.a_float",
            OutOfRange,
        ),
        (
            r#"{"scalars":{"aBool":"true"}}"#,
            "scalars.a_bool",
            InvalidValue,
        ),
        (
            r#"{"scalars":{"aString":5}}"#,
            "scalars.a_string",
            InvalidValue,
        ),
        (
            r#"{"choice":{"aString":"x","anInt32":1}}"#,
            "choice.an_int32",
            OneofConflict,
        ),
        (
            r#"{"wellKnown":{"timestamp":"now"}}"#,
            "well_known.timestamp",
            InvalidValue,
        ),
        (
            r#"{"wellKnown":{"timestamp":5}}"#,
            "well_known.timestamp",
            InvalidValue,
        ),
        (
            r#"{"wellKnown":{"duration":"400000000000s"}}"#,
            "well_known.duration",
            OutOfRange,
        ),
        (
            r#"{"wellKnown":{"fieldMask":"a,,b"}}"#,
            "well_known.field_mask",
            InvalidValue,
        ),
        (
            r#"{"wellKnown":{"int32Value":"x"}}"#,
            "well_known.int32_value",
            InvalidValue,
        ),
        (
            r#"{"wellKnown":{"empty":{"a":1}}}"#,
            "well_known.empty.a",
            UnknownField,
        ),
        (
            r#"{"wellKnown":{"structure":{"a":1,"a":2}}}"#,
            "well_known.structure",
            DuplicateField,
        ),
        (
            r#"{"wellKnown":{"any":{"a":1}}}"#,
            "well_known.any",
            InvalidValue,
        ),
        (
            r#"{"wellKnown":{"any":{"@type":"x/y"}}}"#,
            "well_known.any.@type",
            InvalidValue,
        ),
    ] {
        assert_eq!(
            refused("Everything", json.as_bytes()),
            (field.to_owned(), kind),
            "{json}"
        );
    }
}

#[test]
fn an_any_may_name_its_type_last() {
    let url = "type.googleapis.com/transcoding.test.v1.Scalars";
    let expected = json!({"any": {"@type": url, "anInt32": 1}});
    assert_eq!(
        read(
            "WellKnown",
            &format!(r#"{{"any":{{"an_int32":1,"@type":"{url}"}}}}"#)
        ),
        expected
    );
    let stamp = "type.googleapis.com/google.protobuf.Timestamp";
    let json = format!(r#"{{"any":{{"value":"2026-11-20T00:00:00Z","@type":"{stamp}"}}}}"#);
    assert_eq!(
        read("WellKnown", &json),
        json!({"any": {"@type": stamp, "value": "2026-11-20T00:00:00Z"}})
    );
    for inner in [
        format!(r#""@type":"{stamp}""#),
        format!(r#""@type":"{stamp}","value":"2026-11-20T00:00:00Z","x":1"#),
        format!(r#""@type":"{url}","@type":"{url}""#),
        format!(r#""@type":"{url}","value":{{}}"#),
        r#""@type":1"#.to_owned(),
        r#""@type":"nothing""#.to_owned(),
    ] {
        let json = format!(r#"{{"any":{{{inner}}}}}"#);
        assert!(
            house()
                .message(&full("WellKnown"))
                .unwrap()
                .from_json(json.as_bytes())
                .is_err(),
            "{json}"
        );
    }
}

#[test]
fn depth_is_limited() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"left":"#.repeat(levels - 1), "}".repeat(levels - 1));
        format!("{open}{{}}{close}")
    };
    assert!(
        house()
            .message(&full("Tree"))
            .unwrap()
            .from_json(nested(32).as_bytes())
            .is_ok()
    );
    let (field, kind) = refused("Tree", nested(33).as_bytes());
    assert_eq!((field.matches("left").count(), kind), (32, TooDeep));
    let array = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(
        refused("google.protobuf.Value", array.as_bytes()).1,
        TooDeep
    );
    let skipped = format!(r#"{{"any":{{"x":{array}}}}}"#);
    assert_eq!(
        refused("WellKnown", skipped.as_bytes()),
        ("any".into(), TooDeep)
    );
}

#[test]
fn broken_json_is_refused() {
    for json in [
        "",
        " ",
        "{",
        "}",
        "{]",
        "{\"",
        "{\"name",
        "{\"name\"",
        "{\"name\":",
        "{\"name\":\"x\"",
        "{\"name\":\"x\",",
        "{\"name\":\"x\",}",
        "{,}",
        "{\"name\" \"x\"}",
        "{name:1}",
        "{'name':1}",
        "{\"name\":x}",
        "{\"name\":\"x\"}}",
        "{\"name\":\"x\"} 1",
        "{\"name\":\"x\" \"left\":{}}",
        "{\"name\":nul}",
        "{\"name\":nullx}",
        "{\"name\":\"\\",
        "{\"left\":{}",
        "\u{feff}{}",
        "// x\n{}",
    ] {
        assert_eq!(refused("Tree", json.as_bytes()).1, Syntax, "{json}");
    }
    for number in [
        "01", "-", "1.", ".5", "+1", "1e", "0x1", "1_0", "-01", "--1", "Infinity", "NaN",
    ] {
        let json = format!(r#"{{"aDouble":{number}}}"#);
        assert!(
            house()
                .message(&full("Scalars"))
                .unwrap()
                .from_json(json.as_bytes())
                .is_err(),
            "{number}"
        );
    }
}

#[test]
fn white_space_is_free() {
    assert_eq!(
        read(
            "Everything",
            " {\n\t\"lists\" : { \"int32s\" : [ 1 , 2 ] , \"strings\" : [ ] }\r\n} "
        ),
        json!({"lists": {"int32s": [1, 2]}})
    );
}
