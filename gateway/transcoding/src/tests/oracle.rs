//! Both directions against prost-reflect's own JSON, on random messages of every kind of field.

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

use super::messages::message;
use super::{canonical, descriptor, fuzz_checks, house, json_of, oracle_json, our_json};

fn any_message() -> impl Strategy<Value = DynamicMessage> {
    prop_oneof![
        message("Scalars", 2),
        message("Optionals", 2),
        message("Lists", 2),
        message("Maps", 2),
        message("WellKnown", 3),
        message("Choice", 2),
        message("Tree", 3),
        message("Sparse", 1),
        message("Everything", 2),
    ]
}

/// Splits a message into the records of its fields; those of sub-messages are split again, each
/// under a tag of its own.
fn records(name: &str, wire: &[u8], depth: u32) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut cursor = crate::wire::Cursor::new(wire);
    let message = descriptor(name);
    while !cursor.is_empty() {
        let before = cursor.remaining();
        let (number, wire_type) = cursor.tag().unwrap();
        let value = cursor.value(wire_type).unwrap();
        let whole = before[..before.len() - cursor.remaining().len()].to_vec();
        let field = message.get_field(number).unwrap();
        let inner = match (field.kind(), value) {
            (prost_reflect::Kind::Message(inner), crate::wire::Raw::Bytes(bytes))
                if depth > 0 && !field.is_list() && !field.is_map() && !bytes.is_empty() =>
            {
                Some((inner, bytes))
            }
            _ => None,
        };
        let Some((inner, bytes)) = inner else {
            records.push(whole);
            continue;
        };
        for part in self::records(inner.full_name(), bytes, depth - 1) {
            let mut record = crate::wire::Tag::new(number, crate::wire::WireType::Bytes)
                .bytes()
                .to_vec();
            crate::wire::put_bytes(&part, &mut record);
            records.push(record);
        }
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn canonical_json_is_the_oracles(message in any_message()) {
        let name = message.descriptor().full_name().to_owned();
        prop_assert_eq!(our_json(canonical(), &name, &message.encode_to_vec()), json_of(&message).unwrap());
    }

    #[test]
    fn reads_the_oracles_json(message in any_message()) {
        let name = message.descriptor().full_name().to_owned();
        let json = serde_json::to_vec(&message).unwrap();
        for transcoder in [canonical(), house()] {
            let wire = transcoder.message(&name).unwrap().from_json(&json).unwrap();
            prop_assert_eq!(oracle_json(&name, &wire), json_of(&message));
        }
    }

    #[test]
    fn house_json_reads_back(message in any_message()) {
        let name = message.descriptor().full_name().to_owned();
        let codec = house().message(&name).unwrap();
        let json = codec.to_json(&message.encode_to_vec()).unwrap();
        let wire = codec.from_json(&json).unwrap();
        prop_assert_eq!(oracle_json(&name, &wire), json_of(&message));
        // What was read is in order, and prints the same.
        prop_assert_eq!(codec.to_json(&wire).unwrap(), json);
    }

    #[test]
    fn order_and_repetition_do_not_matter(
        message in any_message(),
        depth in 0..3_u32,
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let name = message.descriptor().full_name().to_owned();
        let mut records = records(&name, &message.encode_to_vec(), depth);
        for pick in picks {
            if records.is_empty() {
                break;
            }
            // Half of the picks move a record to the end, the other half repeat it there.
            let at = pick.index(records.len());
            let record = if at % 2 == 0 { records.remove(at) } else { records[at].clone() };
            records.push(record);
        }
        let scrambled = records.concat();
        prop_assert_eq!(our_json(canonical(), &name, &scrambled), oracle_json(&name, &scrambled).unwrap());
    }

    #[test]
    fn damaged_messages_agree_or_are_refused(
        message in any_message(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let name = message.descriptor().full_name().to_owned();
        let mut wire = message.encode_to_vec();
        prop_assume!(!wire.is_empty());
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let ours = canonical().message(&name).unwrap().to_json(&wire);
        let _ = house().message(&name).unwrap().to_json(&wire);
        if let (Ok(ours), Some(theirs)) = (ours, oracle_json(&name, &wire)) {
            let ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_checks::wire_to_json(&bytes);
        fuzz_checks::json_to_wire(&bytes);
        fuzz_checks::route(&bytes);
    }

    #[test]
    fn random_fields_never_panic(
        first in any::<u8>(),
        fields in proptest::collection::vec((0..24_u8, 0..6_u8, proptest::collection::vec(any::<u8>(), 0..12)), 0..12),
    ) {
        let mut wire = vec![first];
        for (number, wire_type, bytes) in fields {
            crate::wire::put_varint(u64::from(number) << 3 | u64::from(wire_type), &mut wire);
            if wire_type == 2 {
                crate::wire::put_bytes(&bytes, &mut wire);
            } else {
                wire.extend(bytes);
            }
        }
        fuzz_checks::wire_to_json(&wire);
    }

    #[test]
    fn damaged_json_never_panics(
        message in any_message(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let name = message.descriptor().full_name().to_owned();
        let mut json = serde_json::to_vec(&message).unwrap();
        for (at, byte) in damage {
            let at = at.index(json.len());
            json[at] = byte;
        }
        if let Ok(wire) = canonical().message(&name).unwrap().from_json(&json) {
            // Whatever we accept is a message.
            prop_assert!(DynamicMessage::decode(descriptor(&name), wire).is_ok());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }
}
