//! Protobuf wire format to JSON, without a message object in between.
//!
//! Serializers write the fields of a message once each and in the order of their numbers. The writer
//! counts on it: it walks the wire and the table side by side, fills the gaps with default values
//! and prints each value where it stands. But the bytes are not trusted. The first field that comes
//! late or twice stops that walk; the whole message is then written again in the patient mode, which
//! notes every occurrence first, lets the last scalar win, merges repeated occurrences of a
//! sub-message and sorts. One restart in all, so a hostile message costs at most twice as much.

mod map;
mod object;
mod scalar;
mod text;
mod well_known;

use crate::error::ResponseError;
use crate::schema::{Form, MessageId, Schema};
use crate::wire::{Cursor, Malformed, Raw};

pub(crate) use text::put_string;

/// Why writing stopped.
enum Stop {
    /// Fields are not once and in order: begin again, patiently.
    OutOfOrder,
    /// The message cannot be written.
    Failed(Box<ResponseError>),
}

impl Stop {
    fn into_error(self) -> ResponseError {
        match self {
            Self::Failed(error) => *error,
            // Only the hopeful mode says so, and what it says is not final.
            Self::OutOfOrder => ResponseError::Malformed("fields are out of order"),
        }
    }
}

impl From<ResponseError> for Stop {
    #[cold]
    fn from(error: ResponseError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<Malformed> for Stop {
    #[cold]
    fn from(Malformed(reason): Malformed) -> Self {
        ResponseError::Malformed(reason).into()
    }
}

/// Whether fields are expected once each and in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Hopeful,
    Patient,
}

struct Writer<'s, 'o> {
    schema: &'s Schema,
    out: &'o mut Vec<u8>,
    mode: Mode,
}

/// Appends the JSON of a message to `out`; on an error `out` is left as it was.
pub(crate) fn write_message(
    schema: &Schema,
    id: MessageId,
    data: &[u8],
    max_depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    attempt(schema, data, out, |writer| {
        writer.message(id, data, max_depth)
    })
}

/// Appends the JSON of one field of a message to `out`; a field that is not set has its default
/// value, which is `{}` for a message.
pub(crate) fn write_field(
    schema: &Schema,
    id: MessageId,
    field: usize,
    data: &[u8],
    max_depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    attempt(schema, data, out, |writer| {
        writer.single_field(id, field, data, max_depth)
    })
}

fn attempt(
    schema: &Schema,
    data: &[u8],
    out: &mut Vec<u8>,
    write: impl Fn(&mut Writer<'_, '_>) -> Result<(), Stop>,
) -> Result<(), ResponseError> {
    let start = out.len();
    out.reserve(data.len() * 2 + 64);
    if write(&mut Writer {
        schema,
        out,
        mode: Mode::Hopeful,
    })
    .is_ok()
    {
        return Ok(());
    }
    // Whatever went wrong may come right: what was refused may be half of a message, or a value that
    // a later one replaces.
    out.truncate(start);
    write(&mut Writer {
        schema,
        out,
        mode: Mode::Patient,
    })
    .map_err(|stop| {
        out.truncate(start);
        stop.into_error()
    })
}

/// The wire format of one message field of a message, its occurrences merged.
pub(crate) fn merged_field(
    schema: &Schema,
    id: MessageId,
    field: usize,
    data: &[u8],
) -> Result<Vec<u8>, ResponseError> {
    object::merged_field(schema.message(id), field, data).map_err(Stop::into_error)
}

/// The content type and data of a `google.api.HttpBody`.
pub(crate) fn http_body(data: &[u8]) -> Result<(&[u8], &[u8]), ResponseError> {
    let (mut content_type, mut content): (&[u8], &[u8]) = (&[], &[]);
    let mut cursor = Cursor::new(data);
    let malformed = |Malformed(reason)| ResponseError::Malformed(reason);
    while !cursor.is_empty() {
        let (number, wire_type) = cursor.tag().map_err(malformed)?;
        match number {
            1 | 2 => {
                let Raw::Bytes(bytes) = cursor.value(wire_type).map_err(malformed)? else {
                    return Err(ResponseError::Malformed("wrong wire type"));
                };
                *(if number == 1 {
                    &mut content_type
                } else {
                    &mut content
                }) = bytes;
            }
            _ => cursor.skip(number, wire_type).map_err(malformed)?,
        }
    }
    Ok((content_type, content))
}

impl Writer<'_, '_> {
    /// Any message, in its JSON form. `depth` is how many levels may still be opened.
    fn message(&mut self, id: MessageId, data: &[u8], depth: usize) -> Result<(), Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ResponseError::TooDeep.into());
        };
        let table = self.schema.message(id);
        match table.form {
            Form::Object | Form::HttpBody => {
                self.out.push(b'{');
                self.fields(table, data, depth)?;
                self.close(b'}');
                Ok(())
            }
            form => self.well_known(form, table, data, depth),
        }
    }

    /// Ends an object or array: its last member left a comma behind, unless there was none.
    #[inline]
    fn close(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(last) if *last == b',' => *last = bracket,
            _ => self.out.push(bracket),
        }
    }
}

fn wrong_wire_type() -> Stop {
    ResponseError::Malformed("wrong wire type").into()
}
