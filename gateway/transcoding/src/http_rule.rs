//! Reads the `google.api.http` option of a method.
//!
//! The option is an extension, so it is looked up in the pool by name and read as a dynamic message;
//! that happens once, at start.

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor};

use crate::error::BuildError;

/// One rule as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpRule {
    /// `None` for the custom kind `*`.
    pub(crate) method: Option<Method>,
    pub(crate) template: String,
    pub(crate) body: String,
    pub(crate) response_body: String,
    pub(crate) additional: bool,
}

/// The extension, when the pool has it at all.
pub(crate) fn extension(pool: &DescriptorPool) -> Option<ExtensionDescriptor> {
    pool.get_extension_by_name("google.api.http")
}

/// All rules of `method`: the primary one and its additional bindings.
pub(crate) fn rules(
    method: &MethodDescriptor,
    extension: &ExtensionDescriptor,
) -> Result<Vec<HttpRule>, BuildError> {
    let options = method.options();
    if !options.has_extension(extension) {
        return Ok(Vec::new());
    }
    let value = options.get_extension(extension);
    let Some(primary) = value.as_message() else {
        return Ok(Vec::new());
    };
    let mut rules = vec![rule(method, primary, false)?];
    if let Some(additional) = primary.get_field_by_name("additional_bindings") {
        for binding in additional.as_list().unwrap_or_default() {
            if let Some(binding) = binding.as_message() {
                rules.push(rule(method, binding, true)?);
            }
        }
    }
    Ok(rules)
}

fn rule(
    method: &MethodDescriptor,
    message: &DynamicMessage,
    additional: bool,
) -> Result<HttpRule, BuildError> {
    let wrong = |reason: String| BuildError::Rule {
        method: method.full_name().to_owned(),
        reason,
    };
    let text = |message: &DynamicMessage, name: &str| {
        message
            .get_field_by_name(name)
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let standard = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ]
    .into_iter()
    .find(|(name, _)| message.has_field_by_name(name));
    let (http_method, template) = if let Some((name, http_method)) = standard {
        (Some(http_method), text(message, name))
    } else if let Some(custom) = message.get_field_by_name("custom")
        && message.has_field_by_name("custom")
        && let Some(custom) = custom.as_message()
    {
        let kind = text(custom, "kind");
        let http_method = match kind.as_str() {
            "*" => None,
            kind => Some(
                Method::from_bytes(kind.as_bytes())
                    .map_err(|_| wrong(format!("`{kind}` is not an HTTP method")))?,
            ),
        };
        (http_method, text(custom, "path"))
    } else {
        return Err(wrong("the HTTP rule has no pattern".into()));
    };
    if additional
        && message
            .get_field_by_name("additional_bindings")
            .is_some_and(|nested| !nested.as_list().unwrap_or_default().is_empty())
    {
        return Err(wrong("additional bindings cannot nest".into()));
    }
    Ok(HttpRule {
        method: http_method,
        template,
        body: text(message, "body"),
        response_body: text(message, "response_body"),
        additional,
    })
}
