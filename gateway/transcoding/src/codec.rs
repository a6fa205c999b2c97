//! JSON of any message by name, for whatever is not a request or a response: stored events, error
//! details, arguments of tools.

use bytes::Bytes;

use crate::error::{RequestError, ResponseError};
use crate::options::Options;
use crate::reader;
use crate::schema::{MessageId, Schema};
use crate::writer;

/// Reads and writes one type of message.
#[derive(Debug, Clone, Copy)]
pub struct MessageCodec<'t> {
    pub(crate) schema: &'t Schema,
    pub(crate) options: &'t Options,
    pub(crate) id: MessageId,
}

impl MessageCodec<'_> {
    /// Full name of the message.
    pub fn full_name(&self) -> &str {
        &self.schema.message(self.id).full_name
    }

    /// The JSON of a message in wire format.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn to_json(&self, message: &[u8]) -> Result<Vec<u8>, ResponseError> {
        let mut json = Vec::new();
        self.write_json(message, &mut json)?;
        Ok(json)
    }

    /// Appends the JSON of a message in wire format to `out`, which stays as it was on an error.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn write_json(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), ResponseError> {
        writer::write_message(
            self.schema,
            self.id,
            message,
            self.options.max_wire_depth,
            out,
        )
    }

    /// The wire format of a message in JSON.
    ///
    /// # Errors
    /// When the JSON is not such a message.
    pub fn from_json(&self, json: &[u8]) -> Result<Bytes, RequestError> {
        reader::read_message(self.schema, self.id, json, self.options.max_json_depth)
    }
}
