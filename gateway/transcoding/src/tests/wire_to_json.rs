//! Writing: the house style, and wire format that no serializer of ours would produce.

use serde_json::json;

use super::{canonical, full, house, house_json, our_json, wire};
use crate::wire::{Tag, WireType, put_bytes};
use crate::{Options, ResponseError, Transcoder};

/// One length-delimited field.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Tag::new(number, WireType::Bytes).bytes().to_vec();
    put_bytes(bytes, &mut field);
    field
}

fn error(name: &str, wire: &[u8]) -> ResponseError {
    house()
        .message(&full(name))
        .unwrap()
        .to_json(wire)
        .unwrap_err()
}

#[test]
fn the_house_style_shows_defaults() {
    assert_eq!(
        house_json("Scalars", "{}"),
        r#"{"a_double":0.0,"a_float":0.0,"an_int32":0,"an_int64":0,"a_uint32":0,"a_uint64":0,"a_sint32":0,"a_sint64":0,"a_fixed32":0,"a_fixed64":0,"a_sfixed32":0,"a_sfixed64":0,"a_bool":false,"a_string":"","some_bytes":"","color":"unspecified"}"#
    );
    assert_eq!(house_json("Optionals", "{}"), "{}");
    assert_eq!(house_json("Choice", "{}"), r#"{"between":""}"#);
    assert_eq!(
        house_json("Tree", r#"{"left":{}}"#),
        r#"{"name":"","left":{"name":""}}"#
    );
    assert_eq!(
        house_json("Sparse", "{}"),
        r#"{"first":"","custom":"","middle":0,"last":[]}"#
    );
    assert!(house_json("Maps", "{}").starts_with(r#"{"strings":{},"int32s":{},"#));
    assert_eq!(
        house_json("Choice", r#"{"color":"COLOR_DARK_BLUE"}"#),
        r#"{"color":"dark_blue","between":""}"#
    );
    assert_eq!(
        house_json("Optionals", r#"{"anInt32":0,"color":77}"#),
        r#"{"an_int32":0,"color":77}"#
    );
}

#[test]
fn large_integers_become_strings_where_a_double_ends() {
    assert_eq!(
        house_json(
            "Lists",
            r#"{"int64s":["9007199254740992","9007199254740993","-9007199254740993"]}"#
        )
        .split(r#""int64s":"#)
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap(),
        r#"[9007199254740992,"9007199254740993","-9007199254740993""#
    );
}

#[test]
fn maps_are_sorted_and_the_last_of_equal_keys_wins() {
    let entry = |key: &[u8], value: &[u8]| field(1, &[field(1, key), field(2, value)].concat());
    let wire = [
        entry(b"b", b"1"),
        entry(b"a", b"2"),
        entry(b"b", b"3"),
        field(1, &field(2, b"no key")),
    ]
    .concat();
    let json = house()
        .message(&full("Maps"))
        .unwrap()
        .to_json(&wire)
        .unwrap();
    assert!(json.starts_with(br#"{"strings":{"":"no key","a":"2","b":"3"},"#));
}

#[test]
fn later_values_win_and_messages_merge() {
    let twice = [
        wire("Scalars", r#"{"anInt32":1,"aString":"x"}"#),
        wire("Scalars", r#"{"anInt32":2}"#),
    ]
    .concat();
    assert_eq!(
        our_json(canonical(), "Scalars", &twice),
        json!({"anInt32": 2, "aString": "x"})
    );
    let merged = [
        wire("Tree", r#"{"left":{"name":"l"}}"#),
        wire("Tree", r#"{"name":"t","left":{"right":{"name":"r"}}}"#),
    ]
    .concat();
    assert_eq!(
        our_json(canonical(), "Tree", &merged),
        json!({"name": "t", "left": {"name": "l", "right": {"name": "r"}}})
    );
}

#[test]
fn the_last_member_of_a_oneof_wins() {
    let choice = |json: &str| wire("Choice", json);
    let a = choice(r#"{"scalars":{"anInt32":1}}"#);
    let b = choice(r#"{"aString":"x"}"#);
    let c = choice(r#"{"scalars":{"aBool":true}}"#);
    let print = |parts: &[&Vec<u8>]| {
        our_json(
            canonical(),
            "Choice",
            &parts
                .iter()
                .flat_map(|part| part.iter().copied())
                .collect::<Vec<u8>>(),
        )
    };
    assert_eq!(
        print(&[&a, &c]),
        json!({"scalars": {"anInt32": 1, "aBool": true}})
    );
    // The string in between empties the message.
    assert_eq!(print(&[&a, &b, &c]), json!({"scalars": {"aBool": true}}));
    assert_eq!(print(&[&a, &c, &b]), json!({"aString": "x"}));
}

#[test]
fn an_error_in_half_of_a_message_is_none_in_the_whole() {
    // The two halves of an `Any`, neither of which can be printed by itself.
    let value = field(9, &field(2, &wire("Scalars", r#"{"anInt32":1}"#)));
    let name = field(
        9,
        &field(1, b"type.googleapis.com/transcoding.test.v1.Scalars"),
    );
    assert_eq!(
        our_json(canonical(), "WellKnown", &[value, name].concat()),
        json!({"any": {"@type": "type.googleapis.com/transcoding.test.v1.Scalars", "anInt32": 1}})
    );
}

#[test]
fn packed_and_expanded_lists_are_one() {
    let mut wire = field(3, &[1, 2]);
    wire.extend([0x18, 3]);
    wire.extend(field(3, &[]));
    wire.extend([0x18, 4]);
    assert_eq!(
        our_json(canonical(), "Lists", &wire),
        json!({"int32s": [1, 2, 3, 4]})
    );
    assert_eq!(our_json(canonical(), "Lists", &field(3, &[])), json!({}));
    assert!(
        our_json(house(), "Lists", &field(3, &[]))["int32s"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn unknown_fields_are_skipped() {
    let mut wire = wire("Tree", r#"{"name":"t"}"#);
    wire.extend(field(99, b"whatever"));
    wire.extend([0xf8, 0x06, 0x05]); // 111: varint
    wire.extend([0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06]); // 99: group
    assert_eq!(our_json(canonical(), "Tree", &wire), json!({"name": "t"}));
}

#[test]
fn broken_messages_are_refused() {
    for wire in [
        &[0x80][..],         // half of a tag
        &[0x0a, 0x05, b'x'], // a string that is too short
        &[0x00, 0x00],       // field 0
        &[0x0d, 0, 0, 0, 0], // a fixed32 where a string belongs
        &[0x0e],             // wire type 6
        &[0x0b],             // a group where a string belongs
        &[0x9c, 0x06],       // the end of a group that did not begin
        &[0xff; 12],         // a tag without end
        &[
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
    ] {
        assert!(
            matches!(error("Tree", wire), ResponseError::Malformed(_)),
            "{wire:x?}"
        );
    }
    assert_eq!(
        error("Tree", &field(1, b"\xff")),
        ResponseError::InvalidUtf8
    );
    assert_eq!(
        error("Tree", &field(1, b"ok\xc3")),
        ResponseError::InvalidUtf8
    );
    assert_eq!(
        error("WellKnown", &field(9, &field(1, b"x/Unknown"))),
        ResponseError::UnknownType("x/Unknown".into())
    );
    assert_eq!(
        error(
            "WellKnown",
            &field(1, &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f])
        ),
        ResponseError::Inexpressible("google.protobuf.Timestamp")
    );
}

#[test]
fn recursion_is_bounded() {
    let mut wire = Vec::new();
    for _ in 0..99 {
        wire = field(2, &wire);
    }
    assert!(
        house()
            .message(&full("Tree"))
            .unwrap()
            .to_json(&wire)
            .is_ok()
    );
    assert_eq!(error("Tree", &field(2, &wire)), ResponseError::TooDeep);
    // Deep, out of order, and all of it twice: two passes and no more.
    let mut hostile = Vec::new();
    for _ in 0..90 {
        hostile = [field(3, b""), field(2, &hostile)].concat();
    }
    assert!(
        house()
            .message(&full("Tree"))
            .unwrap()
            .to_json(&hostile)
            .is_ok()
    );
    let mut value = field(3, b"x");
    for _ in 0..2000 {
        value = field(6, &field(1, &value));
    }
    assert_eq!(
        error("google.protobuf.Value", &value),
        ResponseError::TooDeep
    );
    let unbounded = Options {
        max_wire_depth: usize::MAX,
        ..Options::default()
    };
    let transcoder = Transcoder::new(super::pool(), unbounded).unwrap();
    let codec = transcoder.message("google.protobuf.Value").unwrap();
    assert_eq!(codec.to_json(&value), Err(ResponseError::TooDeep));
}

#[test]
fn keys_are_escaped() {
    let json = canonical()
        .message(&full("Sparse"))
        .unwrap()
        .to_json(&wire("Sparse", r#"{"custom":"x"}"#));
    assert_eq!(json.unwrap(), br#"{"@weird \"name\"":"x"}"#);
}
