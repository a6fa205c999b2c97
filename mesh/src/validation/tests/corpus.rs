//! The verdicts of the reference implementation, replayed. See `tests/validation/check.py`.

use base64::{Engine, prelude::BASE64_STANDARD};
use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::{VALIDATOR, root, rules, verdict};
use crate::validation::MAX_VIOLATIONS;

/// Replays a corpus and returns the cases where we differ from the reference.
///
/// Three differences are meant: no more than [`MAX_VIOLATIONS`] are listed; what the generated decoder refuses never reaches a handler, so the
/// verdict on it is free; and where the reference gives up with an error, the message is refused here.
fn differences(corpus: &str) -> Vec<String> {
    let pool = rules();
    let mut differences = Vec::new();
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let wire = BASE64_STANDARD.decode(case[1].as_str().unwrap()).unwrap();
        let name = format!("validation.cases.{}", case[0].as_str().unwrap());
        let ours = match verdict(&VALIDATOR, &name, &wire) {
            Ok(mut violations) => {
                violations.sort();
                serde_json::to_value(violations).unwrap()
            }
            Err(()) => "malformed".into(),
        };
        let gave_up = case[2]
            .as_str()
            .is_some_and(|text| text.starts_with("error"));
        let refused = ours != Value::Array(Vec::new());
        let bounded = ours.as_array().is_some_and(|ours| {
            let known = |ours| {
                case[2]
                    .as_array()
                    .is_some_and(|theirs| theirs.contains(ours))
            };
            ours.len() == MAX_VIOLATIONS && ours.iter().all(known)
        });
        if ours == case[2] || (gave_up && refused) || bounded {
            continue;
        }
        let descriptor = pool.get_message_by_name(&name).unwrap();
        if DynamicMessage::decode(descriptor, wire.as_slice()).is_ok() {
            let text = String::from_utf8_lossy(&wire);
            differences.push(format!("{line}\n  ours: {ours}\n  wire: {text:?}"));
        }
    }
    differences
}

fn replay(path: &std::path::Path) {
    let differences = differences(&std::fs::read_to_string(path).unwrap());
    let shown = &differences[..differences.len().min(50)];
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        shown.join("\n")
    );
}

#[test]
fn agrees_with_the_reference() {
    replay(&root().join("tests/validation/corpus.jsonl"));
}

/// More cases, written by `check.py --fuzz`.
#[test]
fn agrees_with_the_reference_on_more() {
    if let Ok(path) = std::env::var("HUB_VALIDATION_CORPUS") {
        replay(path.as_ref());
    }
}
