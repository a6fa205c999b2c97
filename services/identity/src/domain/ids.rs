//! Ids as the tables have them.
//!
//! Ids of users and sessions come from tokens, and an issuer outside may name its users as it likes. The
//! tables hold UUIDs; asking PostgreSQL for anything else is an error, not an empty answer.

use uuid::Uuid;

/// The id to look for. A text that is no UUID belongs to nobody, as the nil UUID does.
pub fn uuid(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_default()
}
