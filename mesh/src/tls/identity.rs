//! Which targets a certificate speaks for.

use std::{collections::BTreeSet, fmt};

use rustls_pki_types::CertificateDer;
use x509_parser::{extensions::GeneralName, prelude::FromDer};

/// The SPIFFE id of `target` in `trust_domain`.
pub fn spiffe_id(trust_domain: &str, target: &str) -> String {
    format!("spiffe://{trust_domain}/hub/{target}")
}

/// The targets that a verified certificate of our trust domain names. Cheap enough to clone per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerIdentity(BTreeSet<String>);

impl PeerIdentity {
    /// Reads the targets out of a certificate; other names and other trust domains are passed over.
    pub(super) fn of(certificate: &CertificateDer<'_>, trust_domain: &str) -> Option<Self> {
        let prefix = spiffe_id(trust_domain, "");
        let (_, parsed) =
            x509_parser::certificate::X509Certificate::from_der(certificate.as_ref()).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let targets = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(prefix.as_str()),
                _ => None,
            })
            .filter(|target| !target.is_empty() && !target.contains('/'))
            .map(str::to_owned)
            .collect();
        Some(Self(targets))
    }

    /// Whether the certificate speaks for `target`.
    pub fn runs(&self, target: &str) -> bool {
        self.0.contains(target)
    }

    /// Whether it speaks for no target.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The targets by name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(target)?;
        }
        Ok(())
    }
}
