//! The parts of the document that no RPC decides: errors, security schemes, pages.

use mesh::Reason;
use serde_json::{Map, Value, json};

/// The tag of the operations that are no RPCs.
pub const PAGES_TAG: &str = "Operations";

/// What the document says first.
pub const ABOUT: &str = "The REST face of the hub. The same operations are served by gRPC and gRPC-Web on this port \
(`grpc.reflection` is on), with the same authentication, limits and answers.\n\n\
Field names are snake_case (lowerCamelCase is accepted in requests), enum values are in lower case without their \
prefix, times are RFC 3339, money is a decimal string with a currency. Unknown fields and parameters are errors.\n\n\
Sign in for a bearer token, or let a browser keep the session in cookies; unsafe requests that rely on cookies must \
repeat the cookie `hub_csrf` in the header `x-csrf-token`. `x-hub-policy` states what the contract declares for each \
operation.";

const STATUSES: [(u16, &str); 12] = [
    (
        400,
        "The request is not valid; `details.violations` names the fields.",
    ),
    (
        401,
        "No credentials, or credentials that are not valid any more.",
    ),
    (402, "The payment was declined."),
    (403, "The caller may not do this."),
    (404, "It does not exist, or not for this caller."),
    (409, "The state of the resource does not allow it."),
    (413, "The body is too large."),
    (415, "The body is not of a type that is understood."),
    (422, "A business rule forbids it."),
    (
        429,
        "Too many requests; `Retry-After` says when to come back.",
    ),
    (500, "The hub failed."),
    (
        503,
        "A part of the hub is not available; the request may be sent again.",
    ),
];

/// Responses, headers and security schemes.
pub fn components() -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, description) in STATUSES {
        responses.insert(format!("Error{status}"), error(description));
    }
    responses.insert(
        "Error".into(),
        error("Any other error of HTTP itself, in the same form."),
    );
    let mut components = Map::new();
    components.insert("responses".into(), Value::Object(responses));
    components.insert(
        "headers".into(),
        json!({"RequestId": {
            "description": "The id of the request: the client's if it sent a proper one.",
            "schema": {"type": "string"},
        }}),
    );
    components.insert(
        "securitySchemes".into(),
        json!({
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "hub_access"},
            "csrf": {"type": "apiKey", "in": "header", "name": "x-csrf-token",
                "description": "The value of the cookie `hub_csrf`."},
        }),
    );
    components
}

fn error(description: &str) -> Value {
    json!({"description": description, "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    }})
}

/// The two forms of errors.
pub fn error_schemas() -> Map<String, Value> {
    let mut reasons: Vec<&str> = Reason::table().iter().map(|row| row.name).collect();
    let mut codes: Vec<&str> = Reason::table().iter().map(|row| row.seed).collect();
    reasons.sort_unstable();
    codes.sort_unstable();
    codes.dedup();
    let details = json!({
        "reason": {"type": "string", "enum": reasons, "description": "What went wrong, for programs."},
        "violations": {"type": "array", "items": {"type": "object", "required": ["field", "description"], "properties": {
            "field": {"type": "string"}, "description": {"type": "string"},
        }}},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "preconditions": {"type": "array", "items": {"type": "object"}},
        "retry_after_seconds": {"type": "integer"},
    });
    let mut problem = details.clone();
    if let Some(problem) = problem.as_object_mut() {
        for (name, schema) in [
            ("type", json!({"type": "string", "format": "uri"})),
            ("title", json!({"type": "string"})),
            ("status", json!({"type": "integer"})),
            ("detail", json!({"type": "string"})),
            ("instance", json!({"type": "string", "format": "uri"})),
            ("code", json!({"type": "string", "enum": codes})),
            (
                "timestamp",
                json!({"type": "string", "format": "date-time"}),
            ),
            ("request_id", json!({"type": "string"})),
        ] {
            problem.insert(name.to_owned(), schema);
        }
    }
    let mut schemas = Map::new();
    schemas.insert(
        "Error".into(),
        json!({"type": "object", "required": ["error"], "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "details", "timestamp", "request_id"],
            "properties": {
                "code": {"type": "string", "enum": codes},
                "message": {"type": "string"},
                "details": {"type": "object", "properties": details, "required": ["reason"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "request_id": {"type": "string"},
            },
        }}}),
    );
    schemas.insert(
        "Problem".into(),
        json!({
            "type": "object",
            "description": "RFC 9457 problem details.",
            "required": ["type", "title", "status"],
            "properties": problem,
        }),
    );
    schemas
}

/// The operations that are no RPCs.
pub fn pages() -> Vec<(&'static str, Value)> {
    let page = |id: &str, summary: &str, content_type: &str, unavailable: Option<&str>| {
        let mut responses = json!({
            "200": {"description": "Success.", "content": {content_type: {"schema": {}}}},
            "default": {"$ref": "#/components/responses/Error"},
        });
        if let (Some(description), Some(responses)) = (unavailable, responses.as_object_mut()) {
            responses.insert(
                "503".to_owned(),
                json!({"description": description, "content": {content_type: {"schema": {}}}}),
            );
        }
        json!({
            "operationId": id, "tags": [PAGES_TAG], "summary": summary, "security": [{}], "responses": responses,
        })
    };
    let json = "application/json";
    vec![
        (
            "/health",
            page(
                "health",
                "Health of this process and its parts",
                json,
                Some("Not healthy."),
            ),
        ),
        (
            "/health/live",
            page("health_live", "Whether the process runs", json, None),
        ),
        (
            "/health/ready",
            page(
                "health_ready",
                "Whether requests should be sent here",
                json,
                Some("Not ready."),
            ),
        ),
        (
            "/metrics",
            page(
                "metrics",
                "Metrics in Prometheus' text format",
                "text/plain",
                None,
            ),
        ),
    ]
}
