//! Opaque tokens: random for the holder, a hash for us.
//!
//! Refresh tokens and tokens in mails are 256 random bits. Only their SHA-256 is stored, so a copy of
//! the database signs nobody in. A fast hash is right here: there is nothing to guess in 256 bits.

use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mesh::Failure;

/// A fresh token with the hash to store.
#[derive(Clone)]
pub struct OpaqueToken {
    /// What the holder gets, base64url.
    pub token: String,
    /// What is stored.
    pub hash: Vec<u8>,
}

/// Makes a token.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn generate() -> Result<OpaqueToken, Failure> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(Failure::internal)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let hash = hash(&token);
    Ok(OpaqueToken { token, hash })
}

/// The stored form of `token`.
pub fn hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::{generate, hash};

    #[test]
    fn tokens_differ_and_hash_to_what_is_stored() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.token, two.token);
        assert_eq!(hash(&one.token), one.hash);
        assert_eq!(one.token.len(), 43);
    }
}
