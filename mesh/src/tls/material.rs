//! Certificates and keys from their files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::FromDer;

use super::{
    PeerIdentity, TlsSettings,
    verify::{OurClients, TheTarget},
};

const HTTP2: &[u8] = b"h2";

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of `cert`, `key` and `ca` is missing.
    #[error("[tls] {0} is not set; cert, key and ca belong together")]
    Incomplete(&'static str),
    /// A file cannot be read.
    #[error("[tls] {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("[tls] {}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The certificate names no target of the trust domain.
    #[error("[tls] {}: the certificate names no spiffe://{trust_domain}/hub/<target>", path.display())]
    NoIdentity {
        /// The file.
        path: PathBuf,
        /// The trust domain.
        trust_domain: String,
    },
    /// Key and certificate do not fit, or the library refuses them.
    #[error("[tls] {0}")]
    Unusable(#[from] rustls::Error),
}

/// The bytes of the three files.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl Files {
    pub(super) fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let read = |name, path: &Path| {
            if path.as_os_str().is_empty() {
                return Err(TlsError::Incomplete(name));
            }
            fs::read(path).map_err(|source| TlsError::Unreadable {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            cert: read("cert", &settings.cert)?,
            key: read("key", &settings.key)?,
            ca: read("ca", &settings.ca)?,
        })
    }
}

/// The parsed files.
pub(super) struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    pub(super) identity: PeerIdentity,
    pub(super) expires: DateTime<Utc>,
}

impl Material {
    pub(super) fn parse(settings: &TlsSettings, files: &Files) -> Result<Self, TlsError> {
        let chain = certificates(&settings.cert, &files.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|error| malformed(&settings.key, error))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&settings.ca, &files.ca)? {
            roots
                .add(root)
                .map_err(|error| malformed(&settings.ca, error))?;
        }
        let own = chain
            .first()
            .ok_or_else(|| malformed(&settings.cert, "it holds no certificate"))?;
        let identity = PeerIdentity::of(own, &settings.trust_domain)
            .filter(|identity| !identity.is_empty())
            .ok_or_else(|| TlsError::NoIdentity {
                path: settings.cert.clone(),
                trust_domain: settings.trust_domain.clone(),
            })?;
        Ok(Self {
            expires: expiry(own).ok_or_else(|| malformed(&settings.cert, "it has no end"))?,
            identity,
            chain,
            key,
            roots: Arc::new(roots),
        })
    }

    /// How a server shakes hands: TLS 1.3, only with processes of our trust domain.
    pub(super) fn server(&self, trust_domain: &str) -> Result<ServerConfig, TlsError> {
        let inner =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(OurClients::new(inner, trust_domain)))
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        // Every handshake is verified anew, so that a certificate that was withdrawn opens no session.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// How a client shakes hands that wants to reach `target`.
    pub(super) fn client(
        &self,
        trust_domain: &str,
        target: &str,
    ) -> Result<ClientConfig, TlsError> {
        let verifier = TheTarget::new(Arc::clone(&self.roots), provider(), trust_domain, target);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(path, error))?;
    if certificates.is_empty() {
        return Err(malformed(path, "it holds no certificate"));
    }
    Ok(certificates)
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<DateTime<Utc>> {
    let (_, parsed) =
        x509_parser::certificate::X509Certificate::from_der(certificate.as_ref()).ok()?;
    DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0)
}

fn malformed(path: &Path, error: impl ToString) -> TlsError {
    TlsError::Malformed {
        path: path.to_owned(),
        message: error.to_string(),
    }
}
