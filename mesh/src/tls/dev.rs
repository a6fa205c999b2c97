//! A certificate authority for one's own machine.
//!
//! It stands in for cert-manager or SPIRE: a key in a file, certificates for the targets of a process. The
//! authority in a folder is made once and signs again whenever it is asked, so that a certificate can be
//! replaced while processes run.

use std::{
    fs, io,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Datelike, Days, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::spiffe_id;
use crate::private;

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
/// Days that the authority itself is valid.
const CA_DAYS: u64 = 3650;

/// A certificate to be made.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Name of its files: `<name>.pem` and `<name>.key`.
    pub name: String,
    /// The targets that it speaks for.
    pub targets: Vec<String>,
    /// DNS names and addresses besides `localhost` and the loopback addresses. Our own processes do not
    /// look at them; other clients may.
    pub hosts: Vec<String>,
    /// Days that it is valid.
    pub days: u64,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The library refuses.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The development authority of a folder.
#[derive(Debug)]
pub struct DevAuthority {
    folder: PathBuf,
    trust_domain: String,
    issuer: Issuer<'static, KeyPair>,
}

impl DevAuthority {
    /// Opens the authority in `folder`, or makes one there.
    ///
    /// # Errors
    /// The folder cannot be used, or holds something else under the authority's names.
    pub fn open(folder: &Path, trust_domain: &str, now: DateTime<Utc>) -> Result<Self, DevError> {
        private::create_dir(folder).map_err(|source| at(folder, source))?;
        let (certificate, key) = (folder.join(CA), folder.join(CA_KEY));
        let issuer = match fs::read_to_string(&key) {
            Ok(pem) => {
                let known =
                    fs::read_to_string(&certificate).map_err(|source| at(&certificate, source))?;
                Issuer::from_ca_cert_pem(&known, KeyPair::from_pem(&pem)?)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pair = KeyPair::generate()?;
                let params = authority(now);
                write(&certificate, &params.self_signed(&pair)?.pem())?;
                write(&key, &pair.serialize_pem())?;
                Issuer::new(params, pair)
            }
            Err(source) => return Err(at(&key, source)),
        };
        Ok(Self {
            folder: folder.to_owned(),
            trust_domain: trust_domain.to_owned(),
            issuer,
        })
    }

    /// Signs a certificate and writes it with its key, replacing one of the same name.
    ///
    /// # Errors
    /// A host that no certificate can name, or a file that cannot be written.
    pub fn issue(&self, leaf: &Leaf, now: DateTime<Utc>) -> Result<(), DevError> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&leaf.name);
        set_validity(&mut params, now, leaf.days);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        for target in &leaf.targets {
            let id = spiffe_id(&self.trust_domain, target);
            params.subject_alt_names.push(SanType::URI(id.try_into()?));
        }
        let here = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for host in here.iter().chain(&leaf.hosts) {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.clone().try_into()?),
            });
        }
        let certificate = params.signed_by(&pair, &self.issuer)?;
        // The key first: whoever watches the folder takes the pair up when both fit.
        let file = |end: &str| self.folder.join(format!("{}{end}", leaf.name));
        write(&file(".key"), &pair.serialize_pem())?;
        write(&file(".pem"), &certificate.pem())
    }
}

fn authority(now: DateTime<Utc>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Holiday Peak Hub development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_DAYS);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Sets a validity from yesterday, because clocks differ, to the end of the last day.
fn set_validity(params: &mut CertificateParams, now: DateTime<Utc>, days: u64) {
    let begin = now.checked_sub_days(Days::new(1)).unwrap_or(now);
    let end = now
        .checked_add_days(Days::new(days.saturating_add(1)))
        .unwrap_or(now);
    // Months and days of the calendar fit into a byte.
    params.not_before = date_time_ymd(begin.year(), begin.month() as u8, begin.day() as u8);
    params.not_after = date_time_ymd(end.year(), end.month() as u8, end.day() as u8);
}

/// Writes a file that only its owner may read, aside first: a reader sees the old one or the new one.
fn write(path: &Path, content: &str) -> Result<(), DevError> {
    let aside = path.with_extension("new");
    let written = private::options()
        .truncate(true)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&aside, path));
    written.map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> DevError {
    DevError::File {
        path: path.to_owned(),
        source,
    }
}
