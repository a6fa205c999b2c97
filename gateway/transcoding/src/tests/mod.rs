//! Tests that need a descriptor pool: the protos are in `tests-proto`.

#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/src/checks.rs"]
mod fuzz_checks;
mod json_to_wire;
mod messages;
mod oracle;
mod requests;
mod responses;
mod routes;
mod wire_to_json;

use std::path::Path;
use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use serde_json::Value;

use crate::{JsonStyle, Options, Transcoder};

/// The pool of the test protos, compiled once.
fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        compile(
            resolver(),
            &[
                "transcoding/test/v1/everything.proto",
                "transcoding/test/v1/library.proto",
            ],
        )
    })
}

/// Compiles a proto file that is not on disk.
fn compile_source(source: &str) -> DescriptorPool {
    struct Source(String);

    impl FileResolver for Source {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            if name == "source.proto" {
                File::from_source(name, &self.0)
            } else {
                Err(protox::Error::file_not_found(name))
            }
        }
    }

    let mut resolver = resolver();
    resolver.add(Source(source.to_owned()));
    compile(resolver, &["source.proto"])
}

fn resolver() -> ChainFileResolver {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(root.join("tests-proto")));
    resolver.add(IncludeFileResolver::new(root.join("../../proto")));
    resolver.add(GoogleFileResolver::new());
    resolver
}

/// Compiles proto files; the encoded form is the one that keeps `google.api.http`.
fn compile(resolver: ChainFileResolver, files: &[&str]) -> DescriptorPool {
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_files(files).unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

fn house() -> &'static Transcoder {
    static HOUSE: OnceLock<Transcoder> = OnceLock::new();
    HOUSE.get_or_init(|| Transcoder::new(pool(), Options::default()).unwrap())
}

fn canonical() -> &'static Transcoder {
    static CANONICAL: OnceLock<Transcoder> = OnceLock::new();
    CANONICAL.get_or_init(|| {
        let options = Options {
            style: JsonStyle::CANONICAL,
            ..Options::default()
        };
        Transcoder::new(pool(), options).unwrap()
    })
}

fn descriptor(name: &str) -> MessageDescriptor {
    pool().get_message_by_name(&full(name)).unwrap()
}

/// The full name of a test message.
fn full(name: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("transcoding.test.v1.{name}")
    }
}

/// The wire format of canonical JSON, by the oracle.
fn wire(name: &str, json: &str) -> Vec<u8> {
    use prost::Message as _;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor(name), &mut deserializer)
        .unwrap()
        .encode_to_vec()
}

/// The canonical JSON of wire format, by the oracle.
fn oracle_json(name: &str, wire: &[u8]) -> Option<Value> {
    json_of(&DynamicMessage::decode(descriptor(name), wire).ok()?)
}

fn json_of(message: &DynamicMessage) -> Option<Value> {
    // Through text, because only there a float is printed as a float.
    serde_json::from_str(&serde_json::to_string(message).ok()?).ok()
}

/// Our JSON of wire format, parsed.
fn our_json(transcoder: &Transcoder, name: &str, wire: &[u8]) -> Value {
    let json = transcoder
        .message(&full(name))
        .unwrap()
        .to_json(wire)
        .unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Our house JSON of canonical JSON.
fn house_json(name: &str, json: &str) -> String {
    let json = house()
        .message(&full(name))
        .unwrap()
        .to_json(&wire(name, json))
        .unwrap();
    String::from_utf8(json).unwrap()
}
