//! Everything that can go wrong, by whose fault it is: the contract's ([`BuildError`]), the client's
//! ([`RouteError`], [`RequestError`]) or the service's ([`ResponseError`]).

use http::Method;

/// The contract cannot be compiled into routes and tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The path template breaks the grammar of `google.api.http`.
    #[error("{method}: path template `{template}`: {reason}")]
    Template {
        /// Full name of the RPC.
        method: String,
        /// The template as declared.
        template: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rule as a whole makes no sense.
    #[error("{method}: {reason}")]
    Rule {
        /// Full name of the RPC.
        method: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rule names a field that does not exist or cannot stand where it is used.
    #[error("{method}: field `{field}`: {reason}")]
    Field {
        /// Full name of the RPC.
        method: String,
        /// The field as written in the rule.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two rules match the same requests.
    #[error("{first} and {second} both serve {verb} `{template}`")]
    Conflict {
        /// Full name of the RPC that came first.
        first: String,
        /// Full name of the RPC that came second.
        second: String,
        /// HTTP method, `*` for any.
        verb: String,
        /// The second one's template.
        template: String,
    },
}

/// No rule serves the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No template matches the path.
    #[error("no such path")]
    NotFound,
    /// A template matches the path, but not for this HTTP method.
    #[error("the path does not take this method")]
    MethodNotAllowed {
        /// The methods that it does take, sorted by name.
        allow: Vec<Method>,
    },
    /// The path is not valid percent-encoded UTF-8.
    #[error("the path is not valid percent-encoded UTF-8")]
    Malformed,
}

/// The request does not fit the message that it should become.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{description}", Located(field))]
pub struct RequestError {
    /// Where: the path of proto field names, with `[2]` for the third element of a list and `["k"]`
    /// for the entry `k` of a map. Empty when the request as a whole is meant.
    pub field: String,
    /// What is wrong, in words for the caller.
    pub description: String,
    /// What is wrong, for programs.
    pub kind: RequestErrorKind,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The body is not JSON, or the query is not form-encoded.
    Syntax,
    /// The message has no such field, or it cannot be given here.
    UnknownField,
    /// A field is given twice.
    DuplicateField,
    /// The value is of the wrong type or cannot be read.
    InvalidValue,
    /// The value is of the right type but does not fit.
    OutOfRange,
    /// Two members of one `oneof` are given.
    OneofConflict,
    /// Body or query contradict the path.
    PathConflict,
    /// The body nests too deep.
    TooDeep,
    /// Text is not UTF-8.
    InvalidUtf8,
    /// The body is not of a content type that can be read.
    UnsupportedMediaType,
    /// There is a body where none is taken.
    UnexpectedBody,
}

struct Located<'a>(&'a str);

impl std::fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "{}: ", self.0)
        }
    }
}

impl RequestError {
    pub(crate) fn new(kind: RequestErrorKind, description: impl Into<String>) -> Self {
        Self {
            field: String::new(),
            description: description.into(),
            kind,
        }
    }

    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }
}

/// The service's answer cannot be written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The bytes are not protobuf wire format, or not of this message.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// The message nests too deep.
    #[error("the message nests too deep")]
    TooDeep,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// A well-known type holds a value that its JSON form cannot express.
    #[error("{0} holds a value that JSON cannot express")]
    Inexpressible(&'static str),
    /// An `Any` holds a type that the descriptor pool does not know.
    #[error("type `{0}` is not known")]
    UnknownType(String),
}
