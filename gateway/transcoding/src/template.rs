//! Path templates of `google.api.http`.
//!
//! The grammar, from `google/api/http.proto`:
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;
//! Segments = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;
//! Verb     = ":" LITERAL ;
//! ```
//!
//! Beyond the grammar, a template may be `/` or end in `/`; it then matches exactly that path.

use std::fmt::Write as _;

/// A parsed path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

/// One segment of a template, variables dissolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, after percent-decoding. Empty only as the end of a template in `/`.
    Literal(String),
    /// `*`: any one segment that is not empty.
    One,
    /// `**`: the rest of the path, which may be nothing.
    Rest,
}

/// A part of the path that becomes a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The field's path.
    pub field_path: Vec<String>,
    /// Index of the first segment.
    pub start: usize,
    /// Index after the last segment of the template; a final `**` may match more, or nothing.
    pub end: usize,
    /// The pattern as written: `*`, `shelves/*`, `**`.
    pub pattern: String,
    /// Whether the value keeps `%2F`, because it spans segments and a decoded `/` would mean
    /// something else.
    pub multi_segment: bool,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// A sentence that says what breaks the grammar.
    pub fn parse(source: &str) -> Result<Self, String> {
        let rest = source.strip_prefix('/').ok_or("must begin with `/`")?;
        let mut template = Self {
            source: source.to_owned(),
            segments: Vec::new(),
            verb: None,
            variables: Vec::new(),
        };
        let (path, verb) = split_verb(rest);
        if let Some(verb) = verb {
            if verb.is_empty() {
                return Err("the verb after `:` is empty".into());
            }
            template.verb = Some(literal(verb)?);
        }
        let pieces = split_segments(path)?;
        let last = pieces.len() - 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            if piece.is_empty() && index == last && template.verb.is_none() {
                template.segments.push(Segment::Literal(String::new()));
            } else if let Some(variable) = piece.strip_prefix('{') {
                let variable = variable.strip_suffix('}').ok_or("unbalanced `{`")?;
                template.variable(variable)?;
            } else {
                template.segments.push(segment(piece)?);
            }
        }
        let count = template.segments.len();
        if template.segments[..count - 1].contains(&Segment::Rest) {
            return Err("`**` must come last".into());
        }
        Ok(template)
    }

    fn variable(&mut self, text: &str) -> Result<(), String> {
        let (path, pattern) = text.split_once('=').unwrap_or((text, "*"));
        let field_path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if !field_path.iter().all(|name| is_identifier(name)) {
            return Err(format!("`{path}` is not a field path"));
        }
        if self
            .variables
            .iter()
            .any(|other| other.field_path == field_path)
        {
            return Err(format!("`{path}` is bound twice"));
        }
        let start = self.segments.len();
        for piece in pattern.split('/') {
            if piece.contains(['{', '}']) {
                return Err(format!("`{path}` holds another variable"));
            }
            self.segments.push(segment(piece)?);
        }
        let end = self.segments.len();
        self.variables.push(Variable {
            field_path,
            start,
            end,
            pattern: pattern.to_owned(),
            multi_segment: end - start > 1 || self.segments[start] == Segment::Rest,
        });
        Ok(())
    }

    /// The template as declared.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its segments, variables dissolved.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its verb, without the colon.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// Its variables, in order.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The path in OpenAPI's form. A wildcard outside of a variable is named after its position.
    pub fn openapi_path(&self) -> String {
        let mut path = String::new();
        let mut index = 0;
        while index < self.segments.len() {
            path.push('/');
            if let Some(variable) = self
                .variables
                .iter()
                .find(|variable| variable.start == index)
            {
                let _ = write!(path, "{{{}}}", variable.field_path.join("."));
                index = variable.end;
                continue;
            }
            match &self.segments[index] {
                Segment::Literal(text) => path.push_str(text),
                Segment::One | Segment::Rest => {
                    let _ = write!(path, "{{segment{index}}}");
                }
            }
            index += 1;
        }
        if let Some(verb) = &self.verb {
            let _ = write!(path, ":{verb}");
        }
        path
    }
}

/// The verb follows the last colon that is outside of braces and in the last segment.
fn split_verb(text: &str) -> (&str, Option<&str>) {
    let tail = text.rfind(['/', '}']).map_or(0, |at| at + 1);
    match text[tail..].rfind(':') {
        Some(at) => (&text[..tail + at], Some(&text[tail + at + 1..])),
        None => (text, None),
    }
}

fn split_segments(text: &str) -> Result<Vec<&str>, String> {
    let mut pieces = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '{' if inside => return Err("a variable holds another variable".into()),
            '{' => inside = true,
            '}' if !inside => return Err("unbalanced `}`".into()),
            '}' => inside = false,
            '/' if !inside => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err("unbalanced `{`".into());
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn segment(text: &str) -> Result<Segment, String> {
    match text {
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Rest),
        "" => Err("a segment is empty".into()),
        text => literal(text).map(Segment::Literal),
    }
}

fn literal(text: &str) -> Result<String, String> {
    if let Some(character) = text.chars().find(|c| "{}*=?#/ ".contains(*c)) {
        return Err(format!("`{character}` cannot stand in a literal"));
    }
    decode(text, Slashes::Decode).ok_or_else(|| format!("`{text}` is not valid percent-encoding"))
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What becomes of an encoded slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slashes {
    /// `%2F` becomes `/`.
    Decode,
    /// `%2F` stays as it is.
    Keep,
}

/// Percent-decodes `text`; `None` when an escape is broken or the result is not UTF-8.
pub(crate) fn decode(text: &str, slashes: Slashes) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            decoded.push(bytes[at]);
            at += 1;
            continue;
        }
        let byte = hex(*bytes.get(at + 1)?)? << 4 | hex(*bytes.get(at + 2)?)?;
        if byte == b'/' && slashes == Slashes::Keep {
            decoded.extend_from_slice(&bytes[at..at + 3]);
        } else {
            decoded.push(byte);
        }
        at += 3;
    }
    String::from_utf8(decoded).ok()
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parses_variables_and_verbs() {
        let template = Template::parse("/v1/{parent=shelves/*}/books/{book.id}:move").unwrap();
        assert_eq!(template.verb(), Some("move"));
        assert_eq!(
            template.segments(),
            [
                Segment::Literal("v1".into()),
                Segment::Literal("shelves".into()),
                Segment::One,
                Segment::Literal("books".into()),
                Segment::One,
            ]
        );
        let [parent, book] = template.variables() else {
            panic!("two variables")
        };
        assert_eq!(
            (parent.start, parent.end, parent.multi_segment),
            (1, 3, true)
        );
        assert_eq!((book.start, book.end, book.multi_segment), (4, 5, false));
        assert_eq!(book.field_path, ["book", "id"]);
        assert_eq!(template.openapi_path(), "/v1/{parent}/books/{book.id}:move");
    }

    #[test]
    fn a_colon_inside_a_variable_is_no_verb() {
        assert!(
            Template::parse("/v1/{name=a:b/*}")
                .unwrap()
                .verb()
                .is_none()
        );
        assert_eq!(
            Template::parse("/v1/{name=**}:undelete").unwrap().verb(),
            Some("undelete")
        );
    }

    #[test]
    fn refuses_what_the_grammar_does_not_have() {
        for source in [
            "",
            "v1",
            "/v1//a",
            "//",
            "/v1/{a",
            "/v1/a}",
            "/v1/{a={b}}",
            "/v1/{a.}",
            "/v1/{}",
            "/v1/**/a",
            "/v1/{a=**}/b",
            "/v1/{a}/{a}",
            "/v1/a:",
            "/v1/a*",
            "/v1/{a}b",
            "/v1/%zz",
            "/v1/:verb",
            "/v1/{1a}",
            "/v1/{a=}",
        ] {
            assert!(Template::parse(source).is_err(), "{source}");
        }
        for source in ["/", "/v1/", "/v1", "/*", "/**", "/{a=**}", "/v1/a%2Fb"] {
            assert!(Template::parse(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn decodes_and_keeps_slashes() {
        assert_eq!(decode("a%2Fb%20c", Slashes::Decode).unwrap(), "a/b c");
        assert_eq!(decode("a%2fb%20c", Slashes::Keep).unwrap(), "a%2fb c");
        assert_eq!(decode("%E2%82%AC", Slashes::Decode).unwrap(), "€");
        for broken in ["%", "%a", "%g0", "%ff", "a%2"] {
            assert_eq!(decode(broken, Slashes::Decode), None, "{broken}");
        }
    }
}
