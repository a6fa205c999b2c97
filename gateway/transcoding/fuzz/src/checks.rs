//! What must hold for any bytes whatsoever. The fuzz targets call these functions, and so do the
//! crate's own tests, with less patience.

use std::path::Path;
use std::sync::OnceLock;

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use transcoding::{JsonStyle, Options, Transcoder};

/// The messages that the first byte of an input chooses from.
const MESSAGES: [&str; 6] = ["Everything", "Lists", "Maps", "WellKnown", "Choice", "Tree"];

struct Subject {
    pool: DescriptorPool,
    canonical: Transcoder,
    house: Transcoder,
}

fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(|| {
        // The manifest is the fuzz crate's or the transcoder's.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = if here.ends_with("fuzz") {
            here.join("..")
        } else {
            here.to_owned()
        };
        let mut compiler =
            protox::Compiler::new([root.join("tests-proto"), root.join("../../proto")])
                .expect("the folders exist");
        compiler.include_imports(true);
        compiler
            .open_files([
                "transcoding/test/v1/everything.proto",
                "transcoding/test/v1/library.proto",
            ])
            .expect("the protos compile");
        let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())
            .expect("the compiler writes valid sets");
        let canonical = Options {
            style: JsonStyle::CANONICAL,
            ..Options::default()
        };
        Subject {
            canonical: Transcoder::new(&pool, canonical).expect("the rules are valid"),
            house: Transcoder::new(&pool, Options::default()).expect("the rules are valid"),
            pool,
        }
    })
}

fn choose(data: &[u8]) -> Option<(String, &[u8])> {
    let (&first, rest) = data.split_first()?;
    let name = MESSAGES[usize::from(first) % MESSAGES.len()];
    Some((format!("transcoding.test.v1.{name}"), rest))
}

/// What is written is JSON, and what is read from it again is the same message.
pub fn wire_to_json(data: &[u8]) {
    let Some((name, wire)) = choose(data) else {
        return;
    };
    let house = subject().house.message(&name).expect("the message exists");
    if let Ok(json) = house.to_json(wire) {
        serde_json::from_slice::<Value>(&json).expect("house style is JSON");
    }
    let canonical = subject()
        .canonical
        .message(&name)
        .expect("the message exists");
    let Ok(json) = canonical.to_json(wire) else {
        return;
    };
    // A null that stands for a number that its enum does not have reads back as the default.
    if String::from_utf8_lossy(&json).contains("\"nullValue\":null") {
        return;
    }
    // Messages may nest deeper than JSON may.
    if let Ok(read) = canonical.from_json(&json) {
        let again = canonical
            .to_json(&read)
            .expect("what is read can be written");
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&json)
        );
    } else {
        assert!(depth(&json) > 32, "{}", String::from_utf8_lossy(&json));
    }
}

/// What is accepted is JSON, becomes a message, and can be written again in both styles.
pub fn json_to_wire(data: &[u8]) {
    let Some((name, json)) = choose(data) else {
        return;
    };
    let canonical = subject()
        .canonical
        .message(&name)
        .expect("the message exists");
    let Ok(wire) = canonical.from_json(json) else {
        return;
    };
    serde_json::from_slice::<Value>(json).expect("what is accepted is JSON");
    let descriptor = subject()
        .pool
        .get_message_by_name(&name)
        .expect("the message exists");
    DynamicMessage::decode(descriptor, wire.clone()).expect("what is read is a message");
    // The canonical style cannot express every field mask; the house style can.
    let house = subject().house.message(&name).expect("the message exists");
    house.to_json(&wire).expect("what is read can be written");
}

/// Any path and query is answered.
pub fn route(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, rest) = text.split_once('?').unwrap_or((&text, ""));
    let (query, body) = rest.split_once('#').unwrap_or((rest, ""));
    let house = &subject().house;
    let allowed = house.allowed_methods(path);
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ] {
        let Ok(found) = house.route(&method, path) else {
            continue;
        };
        assert!(allowed.contains(&method), "{method} {path}");
        let read = house.read_request(&found, Some(query), None, body.as_bytes());
        if let Ok(wire) = read {
            let input = found.binding().method().input();
            DynamicMessage::decode(input, wire).expect("what is read is a message");
        }
    }
}

/// How deep JSON nests.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut inside, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' | b'[' if !inside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !inside => depth -= 1,
            _ => {}
        }
    }
    deepest
}
