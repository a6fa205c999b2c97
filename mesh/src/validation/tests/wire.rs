//! Encodings that no serializer writes, and the bounds.

use super::{VALIDATOR, verdict};
use crate::validation::{MAX_DEPTH, MAX_VIOLATIONS};

fn check(name: &str, wire: &[u8]) -> Result<Vec<(String, String)>, ()> {
    verdict(&VALIDATOR, &format!("validation.cases.{name}"), wire)
}

fn fields(name: &str, wire: &[u8]) -> Vec<String> {
    let violations = check(name, wire).unwrap();
    violations.into_iter().map(|(field, _)| field).collect()
}

/// `inner` as the length-delimited field 1, `levels` times.
fn nested(levels: u32, inner: &[u8]) -> Vec<u8> {
    (0..levels).fold(inner.to_vec(), |inner, _| {
        let mut out = vec![0x0a];
        let mut length = inner.len();
        while length > 0x7f {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(inner);
        out
    })
}

#[test]
fn a_wrong_wire_type_is_malformed() {
    // Field 1 of these is an int32, a string and a message.
    for (name, wire) in [
        ("Int32Const", &b"\x0a\x00"[..]),
        ("StringMinLen", b"\x08\x01"),
        ("OneofFields", b"\x18\x01"),
        ("MapText", b"\x08\x01"),
    ] {
        assert_eq!(check(name, wire), Err(()), "{name}");
    }
    // Where there is no rule, nobody looks.
    assert_eq!(check("Unruled", b"\x0a\x00"), Ok(vec![]));
}

#[test]
fn text_must_be_utf8() {
    assert_eq!(check("StringMinLen", b"\x0a\x03\xff\xff\xff"), Err(()));
    assert_eq!(check("BytesMinLen", b"\x0a\x03\xff\xff\xff"), Ok(vec![]));
}

#[test]
fn depth_is_bounded() {
    let bad = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let path = format!("{}depth", "next.".repeat(MAX_DEPTH as usize));
    assert_eq!(fields("Chain", &nested(MAX_DEPTH, bad)), [path]);
    assert_eq!(check("Chain", &nested(MAX_DEPTH + 1, bad)), Err(()));
    assert_eq!(check("Chain", &nested(100_000, bad)), Err(()));
    let groups = |depth| [vec![0x13; depth], vec![0x14; depth]].concat();
    assert_eq!(check("Chain", &groups(100)), Ok(vec![]));
    assert_eq!(check("Chain", &groups(101)), Err(()));
}

#[test]
fn violations_are_bounded() {
    let zeros = [&b"\x0a\x80\x08"[..], &[0; 1024]].concat();
    assert_eq!(fields("ListInt", &zeros).len(), MAX_VIOLATIONS);
}

#[test]
fn values_are_truncated_as_the_decoder_does() {
    // 2^32 + 5 in an int32 field is 5.
    assert_eq!(check("Int32Const", b"\x08\x85\x80\x80\x80\x10"), Ok(vec![]));
    // Two as a bool is true.
    assert_eq!(check("BoolTrue", b"\x08\x02"), Ok(vec![]));
    // The tenth byte of a varint holds one bit.
    assert!(check("UInt64Far", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_ok());
    assert_eq!(
        check("UInt64Far", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        Err(())
    );
}

#[test]
fn paths_name_items_and_keys() {
    // named: {"a\"b": {name: "x"}}, leaves: [{}, {name: "xy"}], needed: {name: "xy"}
    let wire = b"\x1a\x0a\x0a\x03a\"b\x12\x03\x0a\x01x\x12\x00\x12\x04\x0a\x02xy\x3a\x04\x0a\x02xy";
    assert_eq!(
        fields("Branch", wire),
        ["leaves[0].name", r#"named["a\"b"].name"#]
    );
    assert_eq!(fields("MapSint", b"\x0a\x02\x08\x02"), ["value[1]"]);
    assert_eq!(fields("MapBool", b"\x0a\x02\x08\x00"), ["value[false]"]);
}
