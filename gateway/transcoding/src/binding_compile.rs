//! From a declared rule to a binding.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use crate::binding::{Binding, BodyRule, Capture, QueryField};
use crate::captures::{CapturePlan, has_text_form};
use crate::error::BuildError;
use crate::http_rule::HttpRule;
use crate::schema::{Form, MessageId, Schema};
use crate::template::Template;

impl Binding {
    /// Checks a rule against the messages of its RPC and resolves the fields that it names.
    pub(crate) fn compile(
        schema: &Schema,
        method: &MethodDescriptor,
        rule: HttpRule,
    ) -> Result<Self, BuildError> {
        let name = || method.full_name().to_owned();
        let wrong_field = |field: &str, reason: &str| BuildError::Field {
            method: name(),
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let template = Template::parse(&rule.template).map_err(|reason| BuildError::Template {
            method: name(),
            template: rule.template.clone(),
            reason,
        })?;
        let (input, output) = (method.input(), method.output());
        let (input_id, output_id) = (id(schema, method, &input)?, id(schema, method, &output)?);
        let capture_plan = CapturePlan::compile(schema, input_id, template.variables())
            .map_err(|(field, reason)| wrong_field(&field, reason))?;
        let captures: Vec<Capture> = template
            .variables()
            .iter()
            .filter_map(|variable| {
                Some(Capture {
                    field_path: variable.field_path.join("."),
                    pattern: variable.pattern.clone(),
                    field: descriptor(&input, &variable.field_path)?,
                })
            })
            .collect();
        let field_of = |message: &MessageDescriptor, id: MessageId, field: &str| {
            let descriptor = message.get_field_by_name(field);
            let index = schema
                .message(id)
                .fields
                .iter()
                .position(|other| *other.name == *field);
            descriptor
                .zip(index.map(|index| index as u16))
                .ok_or_else(|| wrong_field(field, "no such field"))
        };
        let (body, body_field) = match rule.body.as_str() {
            "" => (BodyRule::None, None),
            "*" => (BodyRule::Whole, None),
            field => {
                let (descriptor, index) = field_of(&input, input_id, field)?;
                if capture_plan.paths.iter().any(|path| *path == [index]) {
                    return Err(wrong_field(field, "is bound by the path and by the body"));
                }
                (BodyRule::Field(descriptor), Some(index))
            }
        };
        let (response_body, response_field) = match rule.response_body.as_str() {
            "" => (None, None),
            field => {
                let (descriptor, index) = field_of(&output, output_id, field)?;
                (Some(descriptor), Some(index))
            }
        };
        let takes_http_body = match &body {
            BodyRule::None => false,
            BodyRule::Whole => is_http_body(&input),
            BodyRule::Field(field) => is_http_body_field(field),
        };
        let returns_http_body = match &response_body {
            None => is_http_body(&output),
            Some(field) => is_http_body_field(field),
        };
        let mut query_fields = Vec::new();
        if !matches!(body, BodyRule::Whole) {
            let walk = QueryWalk {
                schema,
                captures: &captures,
                body: &rule.body,
            };
            walk.message(&input, "", &mut Vec::new(), &mut query_fields);
        }
        Ok(Self {
            grpc_path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
            method: method.clone(),
            http_method: rule.method,
            openapi_path: template.openapi_path(),
            template,
            captures,
            body,
            response_body,
            query_fields,
            additional: rule.additional,
            takes_http_body,
            returns_http_body,
            input: input_id,
            output: output_id,
            capture_plan,
            body_field,
            response_field,
        })
    }
}

fn id(
    schema: &Schema,
    method: &MethodDescriptor,
    message: &MessageDescriptor,
) -> Result<MessageId, BuildError> {
    schema
        .find(message.full_name())
        .ok_or_else(|| BuildError::Rule {
            method: method.full_name().to_owned(),
            reason: format!("message {} is not in the pool", message.full_name()),
        })
}

fn descriptor(message: &MessageDescriptor, path: &[String]) -> Option<FieldDescriptor> {
    let (last, way) = path.split_last()?;
    let mut message = message.clone();
    for name in way {
        let Kind::Message(inner) = message.get_field_by_name(name)?.kind() else {
            return None;
        };
        message = inner;
    }
    message.get_field_by_name(last)
}

fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.api.HttpBody"
}

fn is_http_body_field(field: &FieldDescriptor) -> bool {
    !field.is_list() && field.kind().as_message().is_some_and(is_http_body)
}

/// Collects the fields that query parameters can set.
struct QueryWalk<'a> {
    schema: &'a Schema,
    captures: &'a [Capture],
    /// Name of the body field, which is not open to the query.
    body: &'a str,
}

impl QueryWalk<'_> {
    fn message(
        &self,
        message: &MessageDescriptor,
        prefix: &str,
        within: &mut Vec<String>,
        fields: &mut Vec<QueryField>,
    ) {
        if within.iter().any(|outer| outer == message.full_name()) {
            return;
        }
        within.push(message.full_name().to_owned());
        for field in message.fields() {
            let name = format!("{prefix}{}", field.name());
            if field.is_map() || field.is_group() || name == self.body {
                continue;
            }
            if self
                .captures
                .iter()
                .any(|capture| capture.field_path == name)
            {
                continue;
            }
            let leaf = match field.kind() {
                Kind::Message(inner) => {
                    let form = self
                        .schema
                        .find(inner.full_name())
                        .map(|id| self.schema.message(id).form);
                    if !field.is_list() && matches!(form, Some(Form::Object)) {
                        self.message(&inner, &format!("{name}."), within, fields);
                        continue;
                    }
                    form.is_some_and(has_text_form)
                }
                _ => true,
            };
            if leaf {
                fields.push(QueryField {
                    name,
                    repeated: field.is_list(),
                    field,
                });
            }
        }
        within.pop();
    }
}
