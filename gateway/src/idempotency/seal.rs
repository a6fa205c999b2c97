//! Encryption of stored answers under the request that earned them.
//!
//! An answer may hold tokens, and the ledger must not become a place to find some. The key is derived
//! from the idempotency key and the whole request; the ledger holds neither, only other digests. Who
//! can repeat the request can read the answer, and nobody else.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};

/// The cipher of one request's answer.
pub struct Seal {
    key: [u8; 32],
}

/// The answer cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored answer cannot be read or written")]
pub struct SealError;

impl Seal {
    /// The cipher with `key`.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Encrypts `plain`; each time differently.
    pub fn close(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.key).map_err(|_| SealError)?;
        let mut text = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::empty(), &mut text)
            .map_err(|_| SealError)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Decrypts what [`Seal::close`] made.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.key).map_err(|_| SealError)?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut text = text.to_vec();
        let plain = key
            .open_in_place(nonce.into(), Aad::empty(), &mut text)
            .map_err(|_| SealError)?;
        Ok(plain.to_vec())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(********)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_same_request_reads_the_answer() {
        let seal = Seal::new([1; 32]);
        let sealed = seal.close(b"refresh_token").unwrap();
        assert_ne!(sealed, seal.close(b"refresh_token").unwrap());
        assert_eq!(seal.open(&sealed).unwrap(), b"refresh_token");
        assert_eq!(Seal::new([2; 32]).open(&sealed), Err(SealError));
        assert_eq!(seal.open(&sealed[..8]), Err(SealError));
        assert!(!sealed.windows(7).any(|window| window == b"refresh"));
    }
}
