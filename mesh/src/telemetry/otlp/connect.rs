//! The connection to a collector.

use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::environment::Destination;

/// Port of OTLP over gRPC where the endpoint names none.
const PORT: u16 = 4317;

/// Connects when the first message is sent, and again whenever the connection is lost.
///
/// # Errors
/// What is wrong with the certificate authorities.
pub(super) fn connect(to: &Destination) -> Result<Channel, String> {
    let endpoint = Endpoint::from(to.endpoint.clone()).connect_timeout(to.timeout);
    if to.endpoint.scheme_str() != Some("https") {
        return Ok(endpoint.connect_lazy());
    }
    let tls = TlsConnector::from(Arc::new(client_config(to)?));
    Ok(
        endpoint.connect_with_connector_lazy(service_fn(move |uri: Uri| {
            let tls = tls.clone();
            async move { open(&tls, &uri).await.map(TokioIo::new) }
        })),
    )
}

async fn open(
    tls: &TlsConnector,
    uri: &Uri,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let host = uri.host().unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(std::io::Error::other)?;
    let stream = TcpStream::connect((
        host.trim_matches(['[', ']']),
        uri.port_u16().unwrap_or(PORT),
    ))
    .await?;
    stream.set_nodelay(true)?;
    tls.connect(name, stream).await
}

fn client_config(to: &Destination) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &to.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong = |error: String| format!("{}: {error}", path.display());
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(error.to_string()))?;
            for certificate in certificates {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
