//! The contracts of Holiday Peak Hub.
//!
//! Everything here is generated from `proto/` at build time: messages, client and server stubs, and
//! [`DESCRIPTORS`], the encoded descriptor set from which routes, policies, validation, reflection
//! and the OpenAPI document are derived at start.

#![allow(missing_docs, clippy::all)]

use std::sync::OnceLock;

use prost_reflect::DescriptorPool;

include!(concat!(env!("OUT_DIR"), "/contracts.rs"));

/// The encoded `google.protobuf.FileDescriptorSet` of all contracts, imports and comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The descriptor pool of [`DESCRIPTORS`], decoded once for the process.
pub fn descriptor_pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(DESCRIPTORS).expect("the build script wrote a valid descriptor set")
    })
}
