//! The OpenAPI 3.1 document, derived from the descriptors: paths from the HTTP rules, schemas from the
//! messages and their validation rules, security and limits from the policies, texts from the comments.

mod comments;
mod operation;
mod parts;
mod rules;
mod schema;

use std::collections::BTreeMap;

use http::Method;
use mesh::{PolicyTable, policy::PolicyError};
use serde_json::{Map, Value, json};
use transcoding::{Binding, BodyRule, Options, Transcoder};

use comments::Comments;
use schema::{Direction, Schemas};

/// The contract cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    /// The policies have gaps.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The HTTP rules cannot be compiled.
    #[error(transparent)]
    Rules(#[from] transcoding::BuildError),
}

/// The document of the contract, without a hub.
///
/// # Errors
/// The contract cannot be compiled.
pub fn openapi_document() -> Result<String, OpenApiError> {
    let pool = contracts::descriptor_pool();
    let transcoder = Transcoder::new(pool, Options::default())?;
    let policies = PolicyTable::from_pool(pool)?;
    Ok(format!("{:#}", document(&transcoder, &policies)))
}

/// The document of what `transcoder` serves.
pub fn document(transcoder: &Transcoder, policies: &PolicyTable) -> Value {
    let comments = Comments::of(contracts::descriptor_pool());
    let mut schemas = Schemas::new(&comments, &roots(transcoder));
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for binding in transcoder.bindings() {
        let (Some(policy), Some(method)) =
            (policies.get(binding.grpc_path()), binding.http_method())
        else {
            continue;
        };
        let number = numbers.entry(binding.method_full_name()).or_insert(0);
        let service = binding.method().parent_service();
        tags.entry(service.name().to_owned())
            .or_insert_with(|| comments.service(service).to_owned());
        let operation =
            operation::operation(binding, method, policy, *number, &comments, &mut schemas);
        *number += 1;
        paths
            .entry(binding.openapi_path().to_owned())
            .or_default()
            .insert(method.as_str().to_ascii_lowercase(), operation);
    }
    for (path, operation) in parts::pages() {
        paths
            .entry(path.to_owned())
            .or_default()
            .insert(Method::GET.as_str().to_ascii_lowercase(), operation);
    }
    tags.insert(
        parts::PAGES_TAG.to_owned(),
        "Health, metrics and documents.".to_owned(),
    );
    let mut components = parts::components();
    let mut all = schemas.into_components();
    all.extend(parts::error_schemas());
    components.insert("schemas".to_owned(), Value::Object(all));
    let tags: Vec<Value> = tags
        .into_iter()
        .map(|(name, description)| json!({"name": name, "description": description}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Holiday Peak Hub",
            "version": env!("CARGO_PKG_VERSION"),
            "description": parts::ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

/// The messages that operations take and give, so that components can be named before they are made.
fn roots(transcoder: &Transcoder) -> Vec<(prost_reflect::MessageDescriptor, Direction)> {
    let takes_body = |binding: &Binding| !matches!(binding.body(), BodyRule::None);
    transcoder
        .bindings()
        .flat_map(|binding| {
            let request =
                takes_body(binding).then(|| (binding.method().input(), Direction::Request));
            [request, Some((binding.method().output(), Direction::Reply))]
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests;
