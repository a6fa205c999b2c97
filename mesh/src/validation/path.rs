//! Where in a message a value stands.
//!
//! A path is a chain of stack frames; only a violation turns it into text, so a valid request pays
//! nothing for it.

use std::fmt;

use super::wire::Value;

/// A step and what leads to it.
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
    Key(Value<'p>),
}

impl<'p> Path<'p> {
    pub(super) fn root() -> Self {
        Self {
            parent: None,
            step: Step::Root,
        }
    }

    pub(super) fn field(&'p self, name: &'p str) -> Self {
        self.then(Step::Field(name))
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(super) fn key(&'p self, key: Value<'p>) -> Self {
        self.then(Step::Key(key))
    }

    fn then(&'p self, step: Step<'p>) -> Self {
        Self {
            parent: Some(self),
            step,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match &self.step {
            Step::Root => Ok(()),
            Step::Field(name) => match self.parent.map(|parent| &parent.step) {
                None | Some(Step::Root) => f.write_str(name),
                Some(_) => write!(f, ".{name}"),
            },
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(Value::Text(key)) => write!(f, "[{}]", serde_json::Value::from(*key)),
            Step::Key(Value::Signed(key)) => write!(f, "[{key}]"),
            Step::Key(Value::Unsigned(key)) => write!(f, "[{key}]"),
            Step::Key(Value::Bool(key)) => write!(f, "[{key}]"),
            // No map has such keys.
            Step::Key(Value::Float(_) | Value::Bytes(_)) => f.write_str("[]"),
        }
    }
}
