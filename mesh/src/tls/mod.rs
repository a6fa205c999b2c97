//! Mutual TLS between processes.
//!
//! Each process holds a certificate that says which targets it runs, as SPIFFE ids in URI names:
//! `spiffe://<trust domain>/hub/<target>`. The server refuses whoever has none of its trust domain; the
//! client refuses a server that does not carry the target it wants to reach. DNS names play no part, so an
//! address that changes hands cannot change what is behind it.
//!
//! The files are read again and again. New ones serve the next handshakes; a broken one is logged, and the
//! old ones stay.

pub mod dev;
mod identity;
mod material;
mod verify;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use identity::{PeerIdentity, spiffe_id};
pub use material::TlsError;

use crate::clock::Clock;
use material::{Files, Material};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The `[tls]` section: the certificate of this process, all in PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificate chain, the process's own certificate first.
    pub cert: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
    /// Certificates of the authorities that processes are believed of.
    pub ca: PathBuf,
    /// Trust domain of the installation.
    pub trust_domain: String,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            cert: PathBuf::new(),
            key: PathBuf::new(),
            ca: PathBuf::new(),
            trust_domain: "hub.local".to_owned(),
        }
    }
}

impl TlsSettings {
    fn is_absent(&self) -> bool {
        [&self.cert, &self.key, &self.ca]
            .iter()
            .all(|path| path.as_os_str().is_empty())
    }
}

/// The certificates of a process as they are now. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: TlsSettings,
    clock: Clock,
    current: RwLock<Arc<Current>>,
    generations: AtomicU64,
    /// The files that were looked at last, so that broken ones are logged once.
    seen: Mutex<Files>,
}

/// What one set of files makes.
struct Current {
    generation: u64,
    material: Material,
    server: Arc<ServerConfig>,
    /// By the target that is to be reached.
    clients: Mutex<HashMap<String, Arc<ClientConfig>>>,
}

impl Tls {
    /// Reads the files of `settings`; `None` when the section is empty.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(settings: TlsSettings, clock: Clock) -> Result<Option<Self>, TlsError> {
        if settings.is_absent() {
            return Ok(None);
        }
        let files = Files::read(&settings)?;
        let current = Current::new(&settings, &files, 1)?;
        let tls = Self(Arc::new(Shared {
            settings,
            clock,
            current: RwLock::new(Arc::new(current)),
            generations: AtomicU64::new(1),
            seen: Mutex::new(files),
        }));
        tls.show_expiry();
        Ok(Some(tls))
    }

    /// The targets that the certificate says this process may run.
    pub fn identity_of_process(&self) -> PeerIdentity {
        self.current().material.identity.clone()
    }

    /// The targets that a client's certificate speaks for, if it is of our trust domain.
    pub(crate) fn identity(&self, certificate: &CertificateDer<'_>) -> Option<PeerIdentity> {
        PeerIdentity::of(certificate, &self.0.settings.trust_domain)
            .filter(|identity| !identity.is_empty())
    }

    /// For the next handshake of a server.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().server)
    }

    /// For the next handshake of a client that wants to reach `target`, and the generation of the files that
    /// it is made from: a connection of an earlier one is better replaced.
    pub(crate) fn client(&self, target: &str) -> Result<(Arc<ClientConfig>, u64), TlsError> {
        let current = self.current();
        let mut clients = current.clients.lock();
        if let Some(config) = clients.get(target) {
            return Ok((Arc::clone(config), current.generation));
        }
        let config = Arc::new(
            current
                .material
                .client(&self.0.settings.trust_domain, target)?,
        );
        clients.insert(target.to_owned(), Arc::clone(&config));
        Ok((config, current.generation))
    }

    /// Grows by one each time that new files are taken up.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generations.load(Ordering::Acquire)
    }

    /// Looks at the files until `shutdown`.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.clock.sleep(LOOK) => {}
            }
            self.refresh();
            self.show_expiry();
        }
    }

    /// Takes up the files if they have changed and can be used.
    pub(crate) fn refresh(&self) {
        let shared = &*self.0;
        let files = match Files::read(&shared.settings) {
            Ok(files) => files,
            // A file that is being replaced may be gone for a moment.
            Err(error) => {
                tracing::warn!(%error, "the certificates cannot be read; the known ones stay");
                return;
            }
        };
        let mut seen = shared.seen.lock();
        if *seen == files {
            return;
        }
        let generation = shared.generations.load(Ordering::Acquire) + 1;
        match Current::new(&shared.settings, &files, generation) {
            Ok(current) => {
                tracing::info!(
                    targets = %current.material.identity,
                    expires = %current.material.expires,
                    "new certificates are in use"
                );
                *shared.current.write() = Arc::new(current);
                shared.generations.store(generation, Ordering::Release);
            }
            Err(error) => {
                tracing::error!(%error, "the new certificates cannot be used; the known ones stay");
            }
        }
        *seen = files;
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.0.current.read())
    }

    fn show_expiry(&self) {
        let left = self.current().material.expires - self.0.clock.now();
        metrics::gauge!("hub_certificate_expiry_seconds").set(left.num_seconds() as f64);
    }
}

impl Current {
    fn new(settings: &TlsSettings, files: &Files, generation: u64) -> Result<Self, TlsError> {
        let material = Material::parse(settings, files)?;
        Ok(Self {
            generation,
            server: Arc::new(material.server(&settings.trust_domain)?),
            material,
            clients: Mutex::default(),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("settings", &self.0.settings)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
