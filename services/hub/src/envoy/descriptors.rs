//! The contracts as Envoy's transcoder takes them.
//!
//! It refuses a whole configuration for one rule with a `response_body` that is not an HttpBody. Such a rule is left
//! out of its descriptors: the request then goes to the hub as it came, and the hub answers it.

use anyhow::Context;
use prost::Message;
use prost_reflect::{DynamicMessage, ExtensionDescriptor, Value};

/// The descriptor set without the rules that Envoy cannot serve.
///
/// # Errors
/// The contracts hold no description of themselves, which the build rules out.
pub fn transcodable() -> anyhow::Result<Vec<u8>> {
    let pool = contracts::descriptor_pool();
    let set = pool
        .get_message_by_name("google.protobuf.FileDescriptorSet")
        .context("the contracts lack descriptor.proto")?;
    let http = pool
        .get_extension_by_name("google.api.http")
        .context("the contracts lack google.api.http")?;
    let mut set = DynamicMessage::decode(set, contracts::DESCRIPTORS)?;
    each(&mut set, "file", |file| {
        each(file, "service", |service| {
            each(service, "method", |method| leave_out(method, &http));
        });
    });
    Ok(set.encode_to_vec())
}

fn leave_out(method: &mut DynamicMessage, http: &ExtensionDescriptor) {
    let Some(Value::Message(options)) = method.get_field_by_name_mut("options") else {
        return;
    };
    if options.has_extension(http)
        && let Value::Message(rule) = options.get_extension(http).as_ref()
        && rule.has_field_by_name("response_body")
    {
        options.clear_extension(http);
    }
}

fn each(message: &mut DynamicMessage, field: &str, mut visit: impl FnMut(&mut DynamicMessage)) {
    if let Some(Value::List(items)) = message.get_field_by_name_mut(field) {
        for item in items {
            if let Value::Message(item) = item {
                visit(item);
            }
        }
    }
}
