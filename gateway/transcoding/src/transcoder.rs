//! The front door: everything compiled, behind a few calls.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use prost_reflect::DescriptorPool;

use crate::binding::Binding;
use crate::codec::MessageCodec;
use crate::error::{BuildError, RequestError, ResponseError, RouteError};
use crate::http_rule;
use crate::options::Options;
use crate::reader::{self, Parts};
use crate::router::{Match, Router};
use crate::schema::Schema;
use crate::writer;

/// No reader or writer recurses deeper than this, whatever the options say: the stack is finite.
const MAX_DEPTH: usize = 200;

/// All HTTP rules of a descriptor pool, compiled.
#[derive(Debug)]
pub struct Transcoder {
    schema: Schema,
    bindings: Vec<Binding>,
    router: Router,
    options: Options,
}

/// A response as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `application/json`, or what a `google.api.HttpBody` says.
    pub content_type: Cow<'static, str>,
    /// The bytes of the body.
    pub body: Bytes,
}

impl Transcoder {
    /// Compiles the rules of every RPC of the pool and the tables of every message.
    ///
    /// Depth limits above 200 count as 200.
    ///
    /// # Errors
    /// When a rule breaks the rules of `google.api.http`, or two of them match the same requests.
    pub fn new(pool: &DescriptorPool, mut options: Options) -> Result<Self, BuildError> {
        options.max_json_depth = options.max_json_depth.min(MAX_DEPTH);
        options.max_wire_depth = options.max_wire_depth.min(MAX_DEPTH);
        let schema = Schema::compile(pool, options.style);
        let mut bindings = Vec::new();
        if let Some(extension) = http_rule::extension(pool) {
            for service in pool.services() {
                for method in service.methods() {
                    for rule in http_rule::rules(&method, &extension)? {
                        bindings.push(Binding::compile(&schema, &method, rule)?);
                    }
                }
            }
        }
        let router = Router::new(&bindings)?;
        Ok(Self {
            schema,
            bindings,
            router,
            options,
        })
    }

    /// Finds the rule for a method and a percent-encoded path without query.
    ///
    /// A `HEAD` request finds nothing unless a rule names it: ask for `GET` instead.
    ///
    /// # Errors
    /// When no rule matches, or only for other methods, or the path is not well encoded.
    pub fn route(&self, method: &Method, path: &str) -> Result<Match<'_>, RouteError> {
        self.router.find(&self.bindings, method, path)
    }

    /// The methods that a path takes, sorted by name; none when there is no such path.
    pub fn allowed_methods(&self, path: &str) -> Vec<Method> {
        self.router.allowed(path)
    }

    /// Reads a request into the wire format of the RPC's request message.
    ///
    /// # Errors
    /// When path, query or body do not fit the message.
    pub fn read_request(
        &self,
        matched: &Match<'_>,
        query: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Bytes, RequestError> {
        let parts = Parts {
            captures: &matched.captures,
            query,
            content_type,
            body,
        };
        reader::read_request(
            &self.schema,
            matched.binding,
            parts,
            self.options.max_json_depth,
        )
    }

    /// Writes the wire format of the RPC's response message as a response body.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn write_response(
        &self,
        binding: &Binding,
        message: &[u8],
    ) -> Result<Reply, ResponseError> {
        if !binding.returns_http_body {
            let mut body = Vec::new();
            self.write_response_into(binding, message, &mut body)?;
            return Ok(Reply {
                content_type: Cow::Borrowed("application/json"),
                body: body.into(),
            });
        }
        let merged;
        let message = match binding.response_field {
            Some(field) => {
                merged = writer::merged_field(&self.schema, binding.output, field.into(), message)?;
                &*merged
            }
            None => message,
        };
        let (content_type, body) = writer::http_body(message)?;
        let content_type = match std::str::from_utf8(content_type) {
            Ok("") => Cow::Borrowed("application/octet-stream"),
            Ok(content_type) => Cow::Owned(content_type.to_owned()),
            Err(_) => return Err(ResponseError::InvalidUtf8),
        };
        Ok(Reply {
            content_type,
            body: Bytes::copy_from_slice(body),
        })
    }

    /// Appends the JSON of a response message, or of its `response_body` field, to `out`: for the
    /// messages of a stream. On an error `out` stays as it was.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn write_response_into(
        &self,
        binding: &Binding,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let depth = self.options.max_wire_depth;
        match binding.response_field {
            Some(field) => writer::write_field(
                &self.schema,
                binding.output,
                field.into(),
                message,
                depth,
                out,
            ),
            None => writer::write_message(&self.schema, binding.output, message, depth, out),
        }
    }

    /// All bindings, in the order of the contract.
    pub fn bindings(&self) -> impl ExactSizeIterator<Item = &Binding> {
        self.bindings.iter()
    }

    /// The bindings of one RPC, the primary one first.
    pub fn bindings_of(&self, method_full_name: &str) -> impl Iterator<Item = &Binding> {
        self.bindings
            .iter()
            .filter(move |binding| binding.method_full_name() == method_full_name)
    }

    /// Reads and writes the message of this name; `None` when the pool has no such message.
    pub fn message(&self, full_name: &str) -> Option<MessageCodec<'_>> {
        Some(MessageCodec {
            schema: &self.schema,
            options: &self.options,
            id: self.schema.find(full_name)?,
        })
    }
}
