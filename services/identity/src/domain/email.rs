//! E-mail addresses as keys.

/// The form under which an address is stored and compared: trimmed, lower case.
///
/// The local part is case-sensitive by RFC 5321 but by no mail provider; two accounts that differ only
/// in case would be a trap.
pub fn normalize(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalize;

    proptest! {
        #[test]
        fn normal_form_is_stable(email in ".{0,60}") {
            let once = normalize(&email);
            prop_assert_eq!(normalize(&once), once);
        }
    }

    #[test]
    fn case_and_space_do_not_matter() {
        assert_eq!(normalize(" Nora@Hub.Test "), "nora@hub.test");
    }
}
