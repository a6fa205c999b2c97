//! Requests to protobuf wire format: path captures, query and JSON body in one pass, without a
//! message object in between.
//!
//! Each value is appended to the output where it is read. The length of a sub-message is not known
//! before its end, so one byte is kept for it and the content moved in the rare case that this is
//! not enough. Captured and query fields inside of sub-messages become further occurrences of those,
//! which every protobuf reader merges.

mod fail;
mod json;
mod number;
mod object;
mod query;
mod raw_body;
mod scalar;
mod well_known;

use std::ops::Range;

use bytes::Bytes;

use crate::binding::{Binding, BodyRule};
use crate::error::{RequestError, RequestErrorKind};
use crate::schema::{Field, Kind, MessageId, Schema};
use crate::wire::{begin_length, end_length};
use fail::{Fail, Read};
use json::Scanner;

/// A request as it came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) captures: &'a [String],
    pub(crate) query: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

struct Reader<'s, 'j> {
    schema: &'s Schema,
    json: Scanner<'j>,
    out: Vec<u8>,
    /// By capture: where its tag and value stand in the output.
    captured: Vec<Range<usize>>,
}

/// Reads one JSON value as a message.
pub(crate) fn read_message(
    schema: &Schema,
    id: MessageId,
    json: &[u8],
    max_depth: usize,
) -> Result<Bytes, RequestError> {
    let mut reader = Reader::new(schema, json, max_depth);
    reader
        .message(id, &[])
        .and_then(|()| reader.json.end())
        .map_err(|fail| fail.into_error())?;
    Ok(reader.out.into())
}

/// Reads a request by a rule.
pub(crate) fn read_request(
    schema: &Schema,
    binding: &Binding,
    parts: Parts<'_>,
    max_depth: usize,
) -> Result<Bytes, RequestError> {
    let mut reader = Reader::new(schema, parts.body, max_depth);
    reader
        .request(binding, parts)
        .map_err(|fail| fail.into_error())?;
    Ok(reader.out.into())
}

impl<'s, 'j> Reader<'s, 'j> {
    fn new(schema: &'s Schema, json: &'j [u8], max_depth: usize) -> Self {
        Self {
            schema,
            json: Scanner::new(json, max_depth),
            out: Vec::with_capacity(json.len() + 16),
            captured: Vec::new(),
        }
    }

    fn request(&mut self, binding: &Binding, parts: Parts<'_>) -> Read<()> {
        let table = self.schema.message(binding.input);
        for (path, value) in binding.capture_plan.paths.iter().zip(parts.captures) {
            let range = self.nested_text(binding.input, path, value)?;
            self.captured.push(range);
        }
        match (&binding.body, binding.body_field) {
            (BodyRule::Whole, _) if binding.takes_http_body => {
                self.raw_body(parts.content_type, parts.body);
            }
            (BodyRule::Whole, _) => {
                if self.json.peek().is_some() {
                    raw_body::check_json(parts.content_type)?;
                    self.message(binding.input, &binding.capture_plan.tree)?;
                    self.json.end()?;
                }
            }
            (BodyRule::Field(_), Some(index)) => {
                let field = &table.fields[usize::from(index)];
                if binding.takes_http_body {
                    self.out.extend_from_slice(field.tag.bytes());
                    let start = begin_length(&mut self.out);
                    self.raw_body(parts.content_type, parts.body);
                    end_length(start, &mut self.out);
                } else if self.json.peek().is_some() {
                    raw_body::check_json(parts.content_type)?;
                    self.body_field(field, index, binding)?;
                }
            }
            _ => self.no_body()?,
        }
        self.query(binding, parts.query.unwrap_or_default())
    }

    fn body_field(&mut self, field: &Field, index: u16, binding: &Binding) -> Read<()> {
        let mut oneofs = object::Seen::default();
        self.member(field, index, &binding.capture_plan.tree, &mut oneofs)
            .map_err(|fail| fail.in_field(&field.name))?;
        self.json.end()
    }

    /// Clients like to send `{}` with every POST; anything more would be lost silently.
    fn no_body(&mut self) -> Read<()> {
        let empty = match self.json.peek() {
            None => true,
            Some(b'{') => {
                self.json.open(b'{', "an object")?;
                matches!(self.json.next(b'}', true), Ok(false)) && self.json.end().is_ok()
            }
            Some(_) => false,
        };
        if empty {
            Ok(())
        } else {
            Err(Fail::new(
                RequestErrorKind::UnexpectedBody,
                "this method takes no body",
            ))
        }
    }

    /// Writes a value given as text to the field at the end of `path`, and returns where the tag and
    /// value of that innermost field stand.
    fn nested_text(&mut self, id: MessageId, path: &[u16], text: &str) -> Read<Range<usize>> {
        let table = self.schema.message(id);
        let Some((&index, rest)) = path.split_first() else {
            return Ok(0..0);
        };
        let field = &table.fields[usize::from(index)];
        match field.kind {
            Kind::Message(inner) if !rest.is_empty() => {
                self.out.extend_from_slice(field.tag.bytes());
                let start = begin_length(&mut self.out);
                let length = self
                    .nested_text(inner, rest, text)
                    .map_err(|fail| fail.in_field(&field.name))?
                    .len();
                end_length(start, &mut self.out);
                // It is still the last thing written, wherever it was moved.
                Ok(self.out.len() - length..self.out.len())
            }
            _ => {
                let start = self.out.len();
                self.text(field, text)
                    .map_err(|fail| fail.in_field(&field.name))?;
                Ok(start..self.out.len())
            }
        }
    }
}
