//! Whatever the bytes, there is a verdict.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{VALIDATOR, rules};

static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    rules()
        .all_messages()
        .filter(|message| message.package_name() == "validation.cases" && !message.is_map_entry())
        .map(|message| message.full_name().to_owned())
        .collect()
});

/// Bytes that often read as fields: small tags, small lengths.
fn nearly_wire() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => 0u8..32, 1 => any::<u8>()], 0..200)
}

proptest! {
    #[test]
    fn random_bytes_never_panic(name in select(&NAMES[..]), wire in vec(any::<u8>(), 0..300)) {
        let _ = VALIDATOR.check_message(&name, &wire);
    }

    #[test]
    fn nearly_valid_bytes_never_panic(name in select(&NAMES[..]), wire in nearly_wire()) {
        let _ = VALIDATOR.check_message(&name, &wire);
    }

    /// Splitting a message in two and reading both is merging, so a repeated encoding of a message
    /// without repeated fields says the same as one.
    #[test]
    fn saying_it_twice_changes_nothing(size in any::<i32>(), name in "[a-z]{0,4}") {
        let mut leaf = vec![0x0a, name.len() as u8];
        leaf.extend(name.bytes());
        leaf.push(0x10);
        prost::encoding::encode_varint(i64::from(size) as u64, &mut leaf);
        let twice = [leaf.as_slice(), leaf.as_slice()].concat();
        let check = |wire: &[u8]| VALIDATOR.check_message("validation.cases.Leaf", wire);
        prop_assert_eq!(check(&leaf), check(&twice));
        prop_assert_eq!(check(&leaf).is_ok(), size >= 0 && name.len() >= 2);
    }

    /// Texts of any kind get a verdict from every format.
    #[test]
    fn any_text_has_a_verdict(name in select(&NAMES[..]), text in "\\PC{0,40}") {
        let mut wire = vec![0x0a];
        prost::encoding::encode_varint(text.len() as u64, &mut wire);
        wire.extend(text.bytes());
        let _ = VALIDATOR.check_message(&name, &wire);
    }
}
