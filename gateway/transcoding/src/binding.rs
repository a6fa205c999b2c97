//! One `google.api.http` rule, compiled: what routing and transcoding need, and what generators of
//! documents, policies and tests can ask about it.

use http::Method;
use prost_reflect::{FieldDescriptor, MethodDescriptor};

use crate::captures::CapturePlan;
use crate::schema::MessageId;
use crate::template::Template;

/// One HTTP rule of one RPC. `additional_bindings` are bindings of their own.
#[derive(Debug)]
pub struct Binding {
    pub(crate) method: MethodDescriptor,
    pub(crate) grpc_path: String,
    pub(crate) http_method: Option<Method>,
    pub(crate) template: Template,
    pub(crate) openapi_path: String,
    pub(crate) captures: Vec<Capture>,
    pub(crate) body: BodyRule,
    pub(crate) response_body: Option<FieldDescriptor>,
    pub(crate) query_fields: Vec<QueryField>,
    pub(crate) additional: bool,
    pub(crate) takes_http_body: bool,
    pub(crate) returns_http_body: bool,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    pub(crate) capture_plan: CapturePlan,
    /// Index of the body field in the input's table.
    pub(crate) body_field: Option<u16>,
    /// Index of the response field in the output's table.
    pub(crate) response_field: Option<u16>,
}

/// A field that the path template binds.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Path of the field in the request message, in proto names: `order.order_id`.
    pub field_path: String,
    /// What the variable matches: `*`, `shelves/*`, `**`.
    pub pattern: String,
    /// The bound field itself.
    pub field: FieldDescriptor,
}

/// Where the HTTP body goes.
#[derive(Debug, Clone)]
pub enum BodyRule {
    /// No body is taken; all fields but the captured ones come from the query.
    None,
    /// The body is the whole request message; there are no query parameters.
    Whole,
    /// The body is this field; other fields come from the query.
    Field(FieldDescriptor),
}

/// A field that a query parameter can set.
#[derive(Debug, Clone)]
pub struct QueryField {
    /// The parameter's name: the path of the field in proto names, `page.limit`.
    pub name: String,
    /// The field itself: a scalar, an enum, or a well-known type with a text form.
    pub field: FieldDescriptor,
    /// Whether the parameter may be given several times.
    pub repeated: bool,
}

impl Binding {
    /// Full name of the RPC: `hub.orders.v1.OrderService.GetOrder`.
    pub fn method_full_name(&self) -> &str {
        self.method.full_name()
    }

    /// Path of the RPC on gRPC: `/hub.orders.v1.OrderService/GetOrder`.
    pub fn grpc_path(&self) -> &str {
        &self.grpc_path
    }

    /// The RPC's descriptor: its options, input and output.
    pub fn method(&self) -> &MethodDescriptor {
        &self.method
    }

    /// The HTTP method, or `None` when the rule takes any (custom kind `*`).
    pub fn http_method(&self) -> Option<&Method> {
        self.http_method.as_ref()
    }

    /// The path template as declared: `/v1/{name=shelves/*}:cancel`.
    pub fn template(&self) -> &str {
        self.template.source()
    }

    /// The path as OpenAPI writes it: `/v1/{name}:cancel`.
    pub fn openapi_path(&self) -> &str {
        &self.openapi_path
    }

    /// The fields that the path binds, in the order of the template.
    pub fn captured_fields(&self) -> &[Capture] {
        &self.captures
    }

    /// Where the HTTP body goes.
    pub fn body(&self) -> &BodyRule {
        &self.body
    }

    /// The field of the response that becomes the HTTP body, when it is not the whole message.
    pub fn response_body(&self) -> Option<&FieldDescriptor> {
        self.response_body.as_ref()
    }

    /// The fields that query parameters can set. Recursive messages are unrolled once.
    pub fn query_fields(&self) -> &[QueryField] {
        &self.query_fields
    }

    /// Whether the RPC answers with a stream.
    pub fn is_server_streaming(&self) -> bool {
        self.method.is_server_streaming()
    }

    /// Whether the RPC takes a stream.
    pub fn is_client_streaming(&self) -> bool {
        self.method.is_client_streaming()
    }

    /// Whether this is one of the rule's `additional_bindings`.
    pub fn is_additional(&self) -> bool {
        self.additional
    }

    /// Whether the HTTP body is taken raw, as a `google.api.HttpBody`.
    pub fn takes_http_body(&self) -> bool {
        self.takes_http_body
    }

    /// Whether the response is sent raw, from a `google.api.HttpBody`.
    pub fn returns_http_body(&self) -> bool {
        self.returns_http_body
    }
}
