//! Bodies that are not JSON, and the content type of those that are.

use super::Reader;
use super::fail::{Fail, Read};
use crate::error::RequestErrorKind;
use crate::wire::{Tag, WireType, put_bytes};

impl Reader<'_, '_> {
    /// The fields of a `google.api.HttpBody`.
    pub(super) fn raw_body(&mut self, content_type: Option<&str>, body: &[u8]) {
        for (number, bytes) in [(1, content_type.unwrap_or_default().as_bytes()), (2, body)] {
            if !bytes.is_empty() {
                self.out
                    .extend_from_slice(Tag::new(number, WireType::Bytes).bytes());
                put_bytes(bytes, &mut self.out);
            }
        }
    }
}

/// Accepts `application/json`, `application/*+json` and a missing content type.
pub(super) fn check_json(content_type: Option<&str>) -> Read<()> {
    let Some(content_type) = content_type else {
        return Ok(());
    };
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    if subtype == "json" || subtype.ends_with("+json") {
        return Ok(());
    }
    Err(Fail::new(
        RequestErrorKind::UnsupportedMediaType,
        "the content type must be application/json",
    ))
}
