//! Transcodes between HTTP/JSON and gRPC from the `google.api.http` rules in a descriptor pool.
//!
//! A gateway that decodes every message into a dynamic object before printing it as JSON spends most
//! of its time building that object. This crate builds none: at start it compiles the descriptors
//! into tables (fields by number and by name, keys already escaped, default values already printed),
//! and then copies from one format to the other in a single pass:
//!
//! * [`Transcoder::route`] finds the rule for a method and a path ([`template`], `router`);
//! * [`Transcoder::read_request`] reads path captures, query and JSON body into protobuf wire format;
//! * [`Transcoder::write_response`] writes a protobuf message as JSON;
//! * [`stream`] frames the messages of a server stream;
//! * [`Binding`] tells generators (OpenAPI, tests) what each rule maps where.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let descriptors: &[u8] = &[];
//! use transcoding::{Options, Transcoder};
//!
//! let pool = prost_reflect::DescriptorPool::decode(descriptors)?;
//! let transcoder = Transcoder::new(&pool, Options::default())?;
//!
//! // PATCH /v1/shelves/7/books/978?validate_only=true
//! let found = transcoder.route(&http::Method::PATCH, "/v1/shelves/7/books/978")?;
//! let query = Some("validate_only=true");
//! let body = br#"{"title": "Dune"}"#;
//! let request = transcoder.read_request(&found, query, Some("application/json"), body)?;
//! // Call found.binding().grpc_path() with `request`; then, with the answer:
//! # let response = request.clone();
//! let reply = transcoder.write_response(found.binding(), &response)?;
//! # let _ = (reply.content_type, reply.body);
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows nothing of tonic, hyper or of any policy, and trusts neither side: malformed
//! input of either kind is an error that says where, never a panic.

mod binding;
mod binding_compile;
mod captures;
mod codec;
mod error;
mod http_rule;
mod names;
mod options;
mod reader;
mod router;
mod scan;
mod schema;
pub mod stream;
pub mod template;
mod transcoder;
mod wire;
mod wkt;
mod writer;

#[cfg(test)]
extern crate self as transcoding;
#[cfg(test)]
mod tests;

pub use binding::{Binding, BodyRule, Capture, QueryField};
pub use codec::MessageCodec;
pub use error::{BuildError, RequestError, RequestErrorKind, ResponseError, RouteError};
pub use options::{Defaults, Enums, Int64, JsonStyle, Names, Options};
pub use router::Match;
pub use transcoder::{Reply, Transcoder};
