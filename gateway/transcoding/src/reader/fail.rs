//! Errors of reading. The path to the field is put together on the way out, so that reading what is
//! right never spends anything on it.

use std::fmt::Write as _;

use crate::error::{RequestError, RequestErrorKind};

/// What reading gives; the error is boxed to keep the good case small.
pub(super) type Read<T> = Result<T, Box<Fail>>;

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Fail {
    kind: RequestErrorKind,
    description: String,
    /// Innermost first.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Index(usize),
    Key(String),
}

impl Fail {
    #[cold]
    pub(super) fn new(kind: RequestErrorKind, description: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind,
            description: description.into(),
            path: Vec::new(),
        })
    }

    #[cold]
    pub(super) fn value(description: impl Into<String>) -> Box<Self> {
        Self::new(RequestErrorKind::InvalidValue, description)
    }

    #[cold]
    pub(super) fn range(description: impl Into<String>) -> Box<Self> {
        Self::new(RequestErrorKind::OutOfRange, description)
    }

    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(Step::Field(name.to_owned()));
        self
    }

    #[cold]
    pub(super) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Step::Index(index));
        self
    }

    #[cold]
    pub(super) fn in_key(mut self: Box<Self>, key: &[u8]) -> Box<Self> {
        self.path
            .push(Step::Key(String::from_utf8_lossy(key).into_owned()));
        self
    }

    /// Forgets the path, for a caller that knows a better one.
    #[cold]
    pub(super) fn without_path(mut self: Box<Self>) -> Box<Self> {
        self.path.clear();
        self
    }

    pub(super) fn into_error(self) -> RequestError {
        let mut field = String::new();
        for step in self.path.iter().rev() {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Field(name) if field.is_empty() => write!(field, "{name}"),
                Step::Field(name) => write!(field, ".{name}"),
                Step::Index(index) => write!(field, "[{index}]"),
                Step::Key(key) => write!(field, "[{key:?}]"),
            };
        }
        RequestError::new(self.kind, self.description).at(field)
    }
}
