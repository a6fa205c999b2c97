#![allow(clippy::unwrap_used)]

mod corpus;
mod properties;
mod start;
mod wire;

use std::{path::PathBuf, sync::LazyLock};

use chrono::DateTime;
use prost_reflect::DescriptorPool;

use super::{Invalid, RuleError, Validator};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The messages that the corpus is about.
fn rules() -> DescriptorPool {
    let include = [root().join("tests/validation"), root().join("proto")];
    let mut compiler = protox::Compiler::new(include).unwrap();
    compiler
        .include_imports(true)
        .open_file("rules.proto")
        .unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

/// A validator of [`rules`] that believes it is 2026.
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    Validator::with_clock(&rules(), move || now).unwrap()
});

/// Compiles a proto file that consists of `body` after the usual header.
fn pool(body: &str) -> DescriptorPool {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\"; \
         import \"google/protobuf/timestamp.proto\"; {body}"
    );
    std::fs::write(folder.path().join("t.proto"), text).unwrap();
    let include = [folder.path().to_owned(), root().join("proto")];
    let mut compiler = protox::Compiler::new(include).unwrap();
    compiler.include_imports(true).open_file("t.proto").unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

/// Why a validator of `body` does not start.
fn refusal(body: &str) -> RuleError {
    Validator::new(&pool(body)).unwrap_err()
}

/// The violations as (field, rule), in the order they are reported.
fn verdict(validator: &Validator, name: &str, wire: &[u8]) -> Result<Vec<(String, String)>, ()> {
    match validator.check_message(name, wire) {
        Ok(()) => Ok(Vec::new()),
        Err(Invalid::Malformed) => Err(()),
        Err(Invalid::Violations(list)) => Ok(list
            .into_iter()
            .map(|violation| (violation.field, violation.rule))
            .collect()),
    }
}
