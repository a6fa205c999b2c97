//! Where the captured parts of a path go in the request message.

use crate::schema::{Form, Kind, MessageId, MessageTable, Schema, Shape};
use crate::template::Variable;

/// The captured fields of a binding.
#[derive(Debug, Default)]
pub(crate) struct CapturePlan {
    /// By capture: indexes of the fields from the request message down.
    pub(crate) paths: Vec<Vec<u16>>,
    /// The same as a tree, for the body to know which of its fields the path has given already.
    pub(crate) tree: Vec<PlanNode>,
}

/// A field on the way to a captured one, or the captured one.
#[derive(Debug)]
pub(crate) struct PlanNode {
    pub(crate) field: u16,
    pub(crate) then: Then,
}

/// What lies at a field.
#[derive(Debug)]
pub(crate) enum Then {
    /// The capture with this index.
    Captured(usize),
    /// Captured fields of the sub-message.
    Inside(Vec<PlanNode>),
}

impl CapturePlan {
    /// Resolves the variables of a template against the request message.
    ///
    /// # Errors
    /// The variable's field path and what is wrong with it.
    pub(crate) fn compile(
        schema: &Schema,
        input: MessageId,
        variables: &[Variable],
    ) -> Result<Self, (String, &'static str)> {
        let mut plan = Self::default();
        for (index, variable) in variables.iter().enumerate() {
            let path = resolve(schema, input, &variable.field_path)
                .map_err(|reason| (variable.field_path.join("."), reason))?;
            insert(&mut plan.tree, &path, index);
            plan.paths.push(path);
        }
        Ok(plan)
    }
}

fn resolve(schema: &Schema, input: MessageId, names: &[String]) -> Result<Vec<u16>, &'static str> {
    let mut table = schema.message(input);
    let mut path = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        let index = index_of_proto_name(table, name).ok_or("no such field")?;
        path.push(index as u16);
        let field = &table.fields[index];
        if !matches!(field.shape, Shape::Implicit | Shape::Explicit) {
            return Err("a path cannot bind a repeated field");
        }
        let last = position + 1 == names.len();
        match field.kind {
            Kind::Message(id) if !last => table = schema.message(id),
            Kind::Message(id) if !has_text_form(schema.message(id).form) => {
                return Err("a path can only bind values that have a text form");
            }
            _ if !last => return Err("is not a message"),
            _ => {}
        }
    }
    Ok(path)
}

fn index_of_proto_name(table: &MessageTable, name: &str) -> Option<usize> {
    table.fields.iter().position(|field| *field.name == *name)
}

/// Whether a message can be given as text, in a path or in a query parameter.
pub(crate) fn has_text_form(form: Form) -> bool {
    matches!(
        form,
        Form::Timestamp | Form::Duration | Form::FieldMask | Form::Wrapper
    )
}

fn insert(tree: &mut Vec<PlanNode>, path: &[u16], capture: usize) {
    let Some((&field, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        tree.push(PlanNode {
            field,
            then: Then::Captured(capture),
        });
        return;
    }
    let existing = tree
        .iter()
        .position(|node| node.field == field && matches!(node.then, Then::Inside(_)));
    let at = existing.unwrap_or_else(|| {
        tree.push(PlanNode {
            field,
            then: Then::Inside(Vec::new()),
        });
        tree.len() - 1
    });
    if let Then::Inside(children) = &mut tree[at].then {
        insert(children, rest, capture);
    }
}
