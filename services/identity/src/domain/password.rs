//! Which passwords are good enough.
//!
//! Length and a list of the passwords that everybody tries, as NIST SP 800-63B §5.1.1.2 asks; no rules
//! about kinds of characters, which make passwords worse.

use mesh::{Failure, Reason};

/// Fewest characters of a password.
pub const MIN_LENGTH: usize = 10;

/// Words that make up most guessed passwords of ten characters and more.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "qwertyuiop",
    "qwerty",
    "azerty",
    "iloveyou",
    "letmein",
    "welcome",
    "admin",
    "administrator",
    "login",
    "princess",
    "football",
    "baseball",
    "sunshine",
    "superman",
    "dragon",
    "monkey",
    "master",
    "shadow",
    "michael",
    "jennifer",
    "1234567890",
    "0123456789",
    "0987654321",
    "1111111111",
    "abcdefghij",
    "holidaypeak",
    "christmas",
    "changeme",
    "secret",
];

/// Refuses passwords that are short, common, or made of the account's own name.
///
/// # Errors
/// [`Reason::WeakPassword`] that names `field`.
pub fn check(field: &str, password: &str, email: &str) -> Result<(), Failure> {
    let problem = if password.chars().count() < MIN_LENGTH {
        Some("must have at least 10 characters")
    } else if distinct(password) < 4 {
        Some("must not repeat a few characters")
    } else if is_common(password) {
        Some("is one of the passwords that are tried first")
    } else if is_own_name(password, email) {
        Some("must not be made of the e-mail address")
    } else {
        None
    };
    match problem {
        None => Ok(()),
        Some(text) => Err(
            Failure::new(Reason::WeakPassword, format!("the password {text}"))
                .with_field(field, text),
        ),
    }
}

fn distinct(password: &str) -> usize {
    let mut characters: Vec<char> = password.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    characters.len()
}

/// A common word with nothing but digits and signs around it.
fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMON.iter().any(|word| {
        lower
            .strip_prefix(word)
            .or_else(|| lower.strip_suffix(word))
            .is_some_and(|rest| rest.chars().all(|c| !c.is_alphabetic()))
    })
}

fn is_own_name(password: &str, email: &str) -> bool {
    let local = email.split('@').next().unwrap_or_default();
    local.len() >= 4 && password.to_lowercase().contains(&local.to_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::check;

    fn refused(password: &str) -> bool {
        check("password", password, "nora.castellane@hub.test").is_err()
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in [
            "short",
            "aaaaaaaaaaaa",
            "password123",
            "Qwertyuiop1!",
            "Passwort2026",
            "nora.castellane!",
            "1234567890",
        ] {
            assert!(refused(weak), "{weak}");
        }
    }

    #[test]
    fn ordinary_long_passwords_pass() {
        for good in [
            "Holiday-Peak-2026!",
            "correct horse battery",
            "äöü-lärche-9",
        ] {
            assert!(!refused(good), "{good}");
        }
    }

    proptest! {
        #[test]
        fn short_ones_never_pass(password in ".{0,9}") {
            prop_assert!(refused(&password));
        }
    }
}
