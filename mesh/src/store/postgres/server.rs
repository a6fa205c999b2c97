//! Where the server is and how connections to it are made.

use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls, Notification, Socket,
    config::{Host, SslMode},
    tls::TlsStream,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{super::StoreError, fault::with_causes};

/// How long an attempt to connect may take when the URL does not say.
const CONNECTING: Duration = Duration::from_secs(5);
/// After this silence the other side is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long sent data may stay unacknowledged before a connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// A server as a URL names it.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    label: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.label).finish()
    }
}

impl Server {
    /// Reads `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=/ca.pem`.
    ///
    /// `sslmode` is `disable` (the default) or one of `require`, `verify-ca` and `verify-full`, which are
    /// one here: TLS, with certificate and name of the server checked against `sslrootcert`, or against
    /// the public authorities. `prefer` and `allow` are refused, because whoever can read the traffic
    /// can also talk them out of it.
    pub(super) fn parse(url: &str, application: &str) -> Result<Self, StoreError> {
        let refuse = |message: String| StoreError::Connect {
            server: "DATABASE_URL".to_owned(),
            message,
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refuse("the URL must begin with postgres://".to_owned()));
        }
        let (plain, security) = split_security(url).map_err(refuse)?;
        let mut config: Config = plain.parse().map_err(|error| refuse(with_causes(&error)))?;
        config.ssl_mode(match security.verified {
            Verified::Not => SslMode::Disable,
            Verified::Against(_) => SslMode::Require,
        });
        let tls = match &security.verified {
            Verified::Not => None,
            Verified::Against(roots) => Some(connector(roots).map_err(refuse)?),
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        config.keepalives_idle(config.get_keepalives_idle().min(KEEPALIVE));
        if config.get_application_name().is_none() {
            config.application_name(application);
        }
        Ok(Self {
            label: label(&config),
            config,
            tls,
        })
    }

    /// Host, port and database, for messages.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// A pool of connections, each of which runs `setup` when it is made.
    pub(super) fn pool(
        &self,
        size: usize,
        wait: Duration,
        setup: String,
    ) -> Result<Pool, StoreError> {
        let settings = ManagerConfig {
            // A connection that broke is noticed by the one who uses it; asking each time costs a flight.
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match &self.tls {
            Some(tls) => Manager::from_config(self.config.clone(), tls.clone(), settings),
            None => Manager::from_config(self.config.clone(), NoTls, settings),
        };
        let setup: Arc<str> = setup.into();
        let mut builder = Pool::builder(manager)
            .max_size(size.max(1))
            .wait_timeout(Some(wait))
            .create_timeout(Some(2 * CONNECTING))
            .runtime(Runtime::Tokio1);
        if !setup.is_empty() {
            builder = builder.post_create(Hook::async_fn(move |client, _| {
                let setup = Arc::clone(&setup);
                Box::pin(async move {
                    client
                        .batch_execute(&setup)
                        .await
                        .map_err(HookError::Backend)
                })
            }));
        }
        builder.build().map_err(|error| StoreError::Connect {
            server: self.label.clone(),
            message: error.to_string(),
        })
    }

    /// A connection of its own, outside any pool; `heard` gets the notifications that arrive on it, and is
    /// closed when the connection ends.
    pub(super) async fn listen(
        &self,
        heard: Sender<Notification>,
    ) -> Result<Client, tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                tokio::spawn(forward(connection, heard));
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(forward(connection, heard));
                Ok(client)
            }
        }
    }
}

/// Drives a connection until it ends. A notification that finds too many unheard is dropped: it is one
/// more knock at the same door.
async fn forward<T>(mut connection: Connection<Socket, T>, heard: Sender<Notification>)
where
    T: TlsStream + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if let Err(TrySendError::Closed(_)) = heard.try_send(notification) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

enum Verified {
    Not,
    Against(Roots),
}

enum Roots {
    Public,
    File(String),
}

struct Security {
    verified: Verified,
}

/// Takes the parameters out of the URL that the driver does not know or understands differently.
fn split_security(url: &str) -> Result<(String, Security), String> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "disable";
    let mut roots = Roots::Public;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", "system")) => roots = Roots::Public,
            Some(("sslrootcert", path)) if path.contains('%') => {
                return Err("sslrootcert must be a path without escapes".to_owned());
            }
            Some(("sslrootcert", path)) => roots = Roots::File(path.to_owned()),
            _ => rest.push(pair),
        }
    }
    let verified = match mode {
        "disable" => Verified::Not,
        "require" | "verify-ca" | "verify-full" => Verified::Against(roots),
        "prefer" | "allow" => {
            return Err(format!(
                "sslmode={mode} protects nothing: say verify-full, or disable"
            ));
        }
        other => return Err(format!("sslmode={other} is not known")),
    };
    let plain = if rest.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", rest.join("&"))
    };
    Ok((plain, Security { verified }))
}

fn connector(roots: &Roots) -> Result<MakeRustlsConnect, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Public => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::File(path) => {
            let in_file = |error: String| format!("sslrootcert {path}: {error}");
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| in_file(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| in_file(error.to_string()))?;
                store
                    .add(certificate)
                    .map_err(|error| in_file(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(in_file("no certificate".to_owned()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn label(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config
            .get_hostaddrs()
            .first()
            .map_or_else(|| "?".to_owned(), ToString::to_string),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("?");
    format!("{host}:{port}/{database}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_url_says_whom_to_trust() {
        let server = Server::parse("postgres://u:secret@db:6432/hub", "test").unwrap();
        assert_eq!(server.label(), "db:6432/hub");
        assert!(server.tls.is_none() && server.config.get_ssl_mode() == SslMode::Disable);
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgresql://u@db/hub?connect_timeout=3&sslmode={mode}");
            let server = Server::parse(&url, "test").unwrap();
            assert!(server.tls.is_some());
            assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
            assert_eq!(
                server.config.get_connect_timeout(),
                Some(&Duration::from_secs(3))
            );
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for (url, expected) in [
            ("mysql://u:secret@db/hub", "postgres://"),
            ("postgres://u:secret@db/hub?sslmode=prefer", "verify-full"),
            ("postgres://u:secret@db/hub?sslmode=none", "not known"),
            ("postgres://u:secret@db:port/hub", "port"),
            (
                "postgres://u:secret@db/hub?sslmode=verify-full&sslrootcert=/nowhere.pem",
                "/nowhere.pem",
            ),
        ] {
            let refused = Server::parse(url, "test").unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
