//! Names of blobs.
//!
//! A name goes into a path of a file system, a URL of an object store and a URL of our own, so it is
//! made of what means nothing special in any of them. Its ending says its media type: files keep none,
//! and a type that travels in the name is the same everywhere.

use std::{fmt, str::FromStr};

/// Longest name in bytes.
const LONGEST: usize = 512;
/// Most folders deep.
const DEEPEST: usize = 16;

/// Endings and what they mean.
const TYPES: &[(&str, &str)] = &[
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("csv", "text/csv; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("pdf", "application/pdf"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("bin", "application/octet-stream"),
];

/// The name of a blob, such as `images/products/sled.svg`: parts of lower-case letters, digits, `-`,
/// `_` and `.` (not at the begin), separated by `/`, with a known ending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    text: String,
    content_type: &'static str,
}

/// The text is not the name of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlobName {
    /// Its characters or its parts.
    #[error(
        "a blob's name is made of a-z, 0-9, '-', '_', '.' and '/', no part empty or beginning with '.'"
    )]
    Text,
    /// Its length.
    #[error("a blob's name has at most 512 bytes and 16 parts")]
    Length,
    /// Its ending.
    #[error("a blob's name ends with what it is, such as .svg or .json")]
    Ending,
}

impl BlobName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The media type that the ending says.
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST || text.split('/').count() > DEEPEST {
            return Err(InvalidBlobName::Length);
        }
        if !text.split('/').all(is_part) {
            return Err(InvalidBlobName::Text);
        }
        let ending = text.rsplit_once('.').map_or("", |(_, ending)| ending);
        let content_type = TYPES
            .iter()
            .find(|(known, _)| *known == ending)
            .map(|(_, content_type)| *content_type)
            .ok_or(InvalidBlobName::Ending)?;
        Ok(Self {
            text: text.to_owned(),
            content_type,
        })
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && part
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
