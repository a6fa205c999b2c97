//! One operation: a binding of an RPC, with everything that a client may meet there.

use std::collections::BTreeSet;

use http::Method;
use mesh::policy::{Idempotency, MethodPolicy, Ownership, RateClass};
use mesh::principal::{Role, role_name};
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};
use transcoding::{Binding, BodyRule};

use super::{
    comments::{Comments, summary},
    schema::{Direction, Schemas, is_needed},
};
use crate::routes::declared;

/// The operation of `binding`. `number` tells the bindings of one RPC apart.
pub fn operation(
    binding: &Binding,
    method: &Method,
    policy: &MethodPolicy,
    number: usize,
    comments: &Comments,
    schemas: &mut Schemas<'_>,
) -> Value {
    let about = comments.method(binding.method());
    let mut operation = Map::new();
    let suffix = if number == 0 {
        String::new()
    } else {
        format!("_{}", number + 1)
    };
    let service = binding.method().parent_service().name().to_owned();
    operation.insert(
        "operationId".into(),
        format!("{service}_{}{suffix}", policy.method).into(),
    );
    operation.insert("tags".into(), json!([service]));
    operation.insert("summary".into(), summary(about).into());
    operation.insert("description".into(), about.into());
    let parameters = parameters(binding, method, policy, schemas);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = request_body(binding, schemas) {
        operation.insert("requestBody".into(), body);
    }
    operation.insert(
        "responses".into(),
        responses(binding, method, policy, schemas),
    );
    operation.insert("security".into(), security(policy.role, method));
    operation.insert("x-hub-policy".into(), describe(policy));
    Value::Object(operation)
}

fn parameters(
    binding: &Binding,
    method: &Method,
    policy: &MethodPolicy,
    schemas: &mut Schemas<'_>,
) -> Vec<Value> {
    let mut parameters = Vec::new();
    for capture in binding.captured_fields() {
        let mut schema = schemas.field(&capture.field, Direction::Request);
        let description = take_description(&mut schema);
        if let Some(schema) = schema.as_object_mut()
            && schema.get("type") == Some(&Value::from("string"))
            && !schema.contains_key("minLength")
        {
            // An empty segment is another path.
            schema.insert("minLength".into(), 1.into());
        }
        parameters.push(json!({
            "name": capture.field_path, "in": "path", "required": true,
            "description": description, "schema": schema,
        }));
    }
    for query in binding.query_fields() {
        let mut schema = schemas.field(&query.field, Direction::Request);
        let description = take_description(&mut schema);
        parameters.push(json!({
            "name": query.name, "in": "query",
            "required": !query.name.contains('.') && is_needed(&query.field),
            "description": description, "schema": schema,
        }));
    }
    if *method == Method::POST && policy.idempotency != Idempotency::Unspecified {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "required": policy.idempotency == Idempotency::Required,
            "description": "Any unique text. A request that is sent again with it has its effect once and gets the same answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }));
    }
    parameters
}

fn take_description(schema: &mut Value) -> Value {
    schema
        .as_object_mut()
        .and_then(|schema| schema.remove("description"))
        .unwrap_or_else(|| "".into())
}

fn request_body(binding: &Binding, schemas: &mut Schemas<'_>) -> Option<Value> {
    let input = binding.method().input();
    let (schema, required) = match binding.body() {
        BodyRule::None => return None,
        _ if binding.takes_http_body() => {
            return Some(json!({
                "required": false,
                "content": {"application/json": {"schema": {}}, "*/*": {"schema": {}}},
            }));
        }
        BodyRule::Whole => {
            let captured: BTreeSet<&str> = binding
                .captured_fields()
                .iter()
                .map(|capture| capture.field_path.as_str())
                .collect();
            let required = input
                .fields()
                .any(|field| !captured.contains(field.name()) && is_needed(&field));
            let schema = if captured.is_empty() {
                schemas.message(&input, Direction::Request)
            } else {
                schemas.object(&input, Direction::Request, &captured)
            };
            (schema, required)
        }
        BodyRule::Field(field) => (schemas.field(field, Direction::Request), is_needed(field)),
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn responses(
    binding: &Binding,
    method: &Method,
    policy: &MethodPolicy,
    schemas: &mut Schemas<'_>,
) -> Value {
    let mut responses = Map::new();
    let status = policy.success_status;
    let mut success = json!({"description": describe_success(status), "headers": {
        "x-request-id": {"$ref": "#/components/headers/RequestId"},
    }});
    if status != 204 {
        set(&mut success, "content", content(binding, schemas));
    }
    responses.insert(status.to_string(), success);
    if *method == Method::GET && policy.cache.is_some() {
        responses.insert(
            "304".into(),
            json!({"description": "The client has the answer already."}),
        );
    }
    for status in error_statuses(binding, method, policy) {
        responses.insert(
            status.to_string(),
            json!({"$ref": format!("#/components/responses/Error{status}")}),
        );
    }
    responses.insert(
        "default".into(),
        json!({"$ref": "#/components/responses/Error"}),
    );
    Value::Object(responses)
}

fn set(value: &mut Value, key: &str, to: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(key.to_owned(), to);
    }
}

fn describe_success(status: u16) -> &'static str {
    match status {
        201 => "Created.",
        202 => "Accepted.",
        204 => "Done; there is nothing to say.",
        _ => "Success.",
    }
}

fn content(binding: &Binding, schemas: &mut Schemas<'_>) -> Value {
    if binding.returns_http_body() {
        return json!({"*/*": {"schema": {}}});
    }
    let schema = match binding.response_body() {
        Some(field) => reply_field(field, schemas),
        None => schemas.message(&binding.method().output(), Direction::Reply),
    };
    if binding.is_server_streaming() {
        return json!({
            "application/json": {"schema": {"type": "array", "items": schema}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON value per line."}},
            "text/event-stream": {"schema": {"type": "string", "description": "Server-sent events; `data` is the JSON value."}},
        });
    }
    json!({"application/json": {"schema": schema}})
}

fn reply_field(field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Value {
    if let (Kind::Message(message), false) = (field.kind(), field.is_list()) {
        return schemas.message(&message, Direction::Reply);
    }
    schemas.field(field, Direction::Reply)
}

/// The errors that can occur at an operation.
fn error_statuses(binding: &Binding, method: &Method, policy: &MethodPolicy) -> Vec<u16> {
    let writes = *method != Method::GET;
    let mut statuses = vec![400, 401];
    if policy.role > Role::Anonymous || writes {
        statuses.push(403);
    }
    if !binding.captured_fields().is_empty() || writes || policy.ownership != Ownership::Unspecified
    {
        statuses.push(404);
    }
    if writes {
        statuses.extend([402, 409, 413, 415, 422]);
    }
    if policy.rate_class != RateClass::Unlimited {
        statuses.push(429);
    }
    statuses.extend([500, 503]);
    statuses.sort_unstable();
    statuses
}

fn security(role: Role, method: &Method) -> Value {
    let cookie = if *method == Method::GET {
        json!({"cookie": []})
    } else {
        json!({"cookie": [], "csrf": []})
    };
    if role == Role::Anonymous {
        json!([{}, {"bearer": []}, cookie])
    } else {
        json!([{"bearer": []}, cookie])
    }
}

/// The policy as it is declared.
fn describe(policy: &MethodPolicy) -> Value {
    let rate_class = match policy.rate_class {
        RateClass::Credentials => "credentials",
        RateClass::Unlimited => "unlimited",
        RateClass::Standard | RateClass::Unspecified => "standard",
    };
    let ownership = match policy.ownership {
        Ownership::Caller => "caller",
        Ownership::CallerOrStaff => "caller_or_staff",
        Ownership::Unspecified => "none",
    };
    let idempotency = match policy.idempotency {
        Idempotency::Optional => "optional",
        Idempotency::Required => "required",
        Idempotency::Unspecified => "none",
    };
    json!({
        "rpc": policy.path,
        "role": role_name(policy.role),
        "rate_class": rate_class,
        "ownership": ownership,
        "idempotency_key": idempotency,
        "deadline_seconds": policy.deadline.as_secs_f64(),
        "cache_seconds": policy.cache.map_or(0, |cache| cache.max_age.as_secs()),
        "opens_guest_session": declared(&policy.descriptor).is_some_and(|policy| policy.opens_guest_session),
    })
}
