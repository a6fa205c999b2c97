//! Password hashing: Argon2id (RFC 9106) with the parameters that OWASP recommends (19 MiB, 2 passes).

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use mesh::{Failure, StartError};
use tokio::sync::Semaphore;

/// Hashes at the same time. Each takes 19 MiB and tens of milliseconds of a core: more at once would
/// only starve everything else.
const AT_ONCE: usize = 2;

/// Hashes and verifies passwords off the async threads.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    /// Verified against when an account does not exist, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Passwords {
    /// With the recommended parameters.
    ///
    /// # Errors
    /// The decoy cannot be hashed.
    pub fn new() -> Result<Self, StartError> {
        let params = Params::new(19 * 1024, 2, 1, None)
            .map_err(|error| StartError::other("identity", error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = argon2
            .hash_password(b"no account has this password")
            .map_err(|error| StartError::other("identity", error.to_string()))?
            .to_string();
        Ok(Self {
            argon2,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: decoy.into(),
        })
    }

    /// The PHC string of `password`.
    ///
    /// # Errors
    /// Hashing fails, which is internal.
    pub async fn hash(&self, password: String) -> Result<String, Failure> {
        let argon2 = self.argon2.clone();
        self.off_thread(move || {
            argon2
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(Failure::internal)
        })
        .await?
    }

    /// Whether `password` belongs to `hash`. Without a hash it works as long and says no.
    ///
    /// # Errors
    /// The check cannot run, which is internal.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Failure> {
        let argon2 = self.argon2.clone();
        let known = hash.as_deref().is_some_and(|hash| !hash.is_empty());
        let hash = hash
            .filter(|hash| !hash.is_empty())
            .unwrap_or_else(|| self.decoy.to_string());
        let matches = self
            .off_thread(move || {
                PasswordHash::new(&hash).is_ok_and(|parsed| {
                    argon2.verify_password(password.as_bytes(), &parsed).is_ok()
                })
            })
            .await?;
        Ok(known && matches)
    }

    async fn off_thread<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(Failure::internal)?;
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        })
        .await
        .map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::Passwords;

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords
            .hash("Holiday-Peak-2026!".to_owned())
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$"));
        for (password, expected) in [("Holiday-Peak-2026!", true), ("holiday-peak-2026!", false)] {
            let verdict = passwords
                .verify(password.to_owned(), Some(hash.clone()))
                .await;
            assert_eq!(verdict.unwrap(), expected);
        }
        let nobody = passwords
            .verify("no account has this password".to_owned(), None)
            .await;
        assert!(!nobody.unwrap());
    }
}
