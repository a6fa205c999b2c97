//! Nanoseconds per message in both directions, beside the same work through a dynamic message.

#![allow(missing_docs)]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _};
use transcoding::{JsonStyle, Options, Transcoder};

const PRODUCT: &str = r#"{
    "productId": "01994d5e-7a3c-7f10-9b1e-3c5d7e9f1a2b",
    "sku": "HPH-LAMP-0042",
    "name": "Brass desk lamp",
    "description": "Dims from reading light to candle, with a weighted base.",
    "price": {"amount": "119.00", "currency": "USD"},
    "tags": ["home", "light"],
    "status": "STATUS_PUBLISHED",
    "rating": 4.6,
    "reviewCount": "128",
    "attributes": {"color": "brass"},
    "createdAt": "2026-11-20T08:30:00Z"
}"#;

/// Compiles test protos with their options.
fn compile(files: &[&str]) -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let includes = [root.join("tests-proto"), root.join("../../proto")];
    let mut compiler = protox::Compiler::new(includes).expect("the folders exist");
    compiler.include_imports(true);
    compiler.open_files(files).expect("the protos compile");
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("a valid set")
}

fn dynamic(pool: &DescriptorPool, name: &str, json: &str) -> DynamicMessage {
    let descriptor = pool.get_message_by_name(name).expect("the message exists");
    let mut deserializer = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor, &mut deserializer).expect("valid JSON")
}

fn messages(criterion: &mut Criterion) {
    let pool = compile(&["transcoding/test/v1/shop.proto"]);
    let house = Transcoder::new(&pool, Options::default()).expect("valid rules");
    let options = Options {
        style: JsonStyle::CANONICAL,
        ..Options::default()
    };
    let canonical = Transcoder::new(&pool, options).expect("valid rules");
    let list = format!(
        r#"{{"items":[{}],"total":"20","page":1,"limit":20}}"#,
        vec![PRODUCT; 20].join(",")
    );
    for (label, name, json) in [
        ("product", "transcoding.test.v1.Product", PRODUCT),
        ("list of 20", "transcoding.test.v1.ProductList", &list),
    ] {
        let message = dynamic(&pool, name, json);
        let wire = message.encode_to_vec();
        let codec = house.message(name).expect("the message exists");
        let json = codec.to_json(&wire).expect("valid wire format");
        let canonical_json = canonical
            .message(name)
            .expect("the message exists")
            .to_json(&wire)
            .expect("valid");
        eprintln!(
            "{label}: {} bytes of wire format, {} bytes of JSON",
            wire.len(),
            json.len()
        );

        let mut group = criterion.benchmark_group(label);
        group.throughput(Throughput::Bytes(json.len() as u64));
        let mut out = Vec::with_capacity(json.len() * 2);
        group.bench_function("write JSON", |bencher| {
            bencher.iter(|| {
                out.clear();
                codec.write_json(black_box(&wire), &mut out)
            });
        });
        group.bench_function("read JSON", |bencher| {
            bencher.iter(|| codec.from_json(black_box(&json)))
        });
        group.bench_function("write JSON, dynamic message", |bencher| {
            bencher.iter(|| {
                let message =
                    DynamicMessage::decode(message.descriptor(), black_box(wire.as_slice()));
                serde_json::to_vec(&message.expect("valid wire format"))
            });
        });
        group.bench_function("read JSON, dynamic message", |bencher| {
            bencher.iter(|| {
                let mut deserializer =
                    serde_json::Deserializer::from_slice(black_box(&canonical_json));
                DynamicMessage::deserialize(message.descriptor(), &mut deserializer)
                    .map(|message| message.encode_to_vec())
            });
        });
        group.finish();
    }
}

fn requests(criterion: &mut Criterion) {
    let pool = compile(&["transcoding/test/v1/library.proto"]);
    let transcoder = Transcoder::new(&pool, Options::default()).expect("valid rules");
    let mut group = criterion.benchmark_group("request");
    group.bench_function("route with a capture", |bencher| {
        bencher.iter(|| {
            transcoder
                .route(&Method::GET, black_box("/v1/books/01994d5e-7a3c-7f10"))
                .is_ok()
        });
    });
    let found = transcoder
        .route(&Method::GET, "/v1/shelves/7/books")
        .expect("the route exists");
    group.bench_function("read capture and query", |bencher| {
        bencher.iter(|| {
            let query = Some(black_box(
                "page.limit=20&page.page_token=abc&colors=red&colors=dark_blue",
            ));
            transcoder.read_request(&found, query, None, b"")
        });
    });
    group.finish();
}

criterion_group!(benches, messages, requests);
criterion_main!(benches);
