//! The way to the broker, encrypted: a proxy that ends TLS stands in for a broker that does.

use std::sync::Arc;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use super::*;

/// A certificate for 127.0.0.1 that signs itself.
struct Certificate {
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    Certificate {
        pem: made.cert.pem(),
        chain: vec![made.cert.der().clone()],
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
    }
}

/// Ends TLS in front of the broker at `url`. Returns the URL that leads through it.
async fn tls_proxy(url: &str, certificate: &Certificate, tasks: &mut JoinSet<()>) -> String {
    let mut uri: lapin::uri::AMQPUri = url.parse().unwrap();
    let target = (uri.authority.host.clone(), uri.authority.port);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificate.chain.clone(), certificate.key.clone_key())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    uri.scheme = lapin::uri::AMQPScheme::AMQPS;
    uri.authority.host = "127.0.0.1".to_owned();
    uri.authority.port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            connections.spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let server = TcpStream::connect((target.0.as_str(), target.1)).await;
                // A connection that ends is no failure of the proxy.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server.unwrap()).await;
            });
        }
    });
    uri.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_a_private_authority_is_trusted_when_it_is_named() {
    in_realm(async |realm| {
        let certificate = certificate();
        let mut tasks = JoinSet::new();
        let url = tls_proxy(realm.address.url.expose(), &certificate, &mut tasks).await;
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &certificate.pem).unwrap();
        let address = BrokerAddress {
            url: Secret::new(url),
            ca: Some(ca),
            ..realm.address.clone()
        };

        let stranger = BrokerAddress {
            ca: None,
            ..address.clone()
        };
        let bus = start(realm.bus_at(stranger, realm.config.clone()), None, vec![]).await;
        eventually(|| async {
            bus.broker_trouble()
                .is_some_and(|trouble| trouble.to_lowercase().contains("certificate"))
        })
        .await;
        bus.shutdown(Duration::from_secs(10)).await;

        let orders = realm.store("orders").await;
        let bus = start(
            realm.bus_at(address, realm.config.clone()),
            Some(&orders),
            vec![(Journalist::willing("orders.own"), &orders)],
        )
        .await;
        emit_range(&orders, 0, 10, 2).await;
        effects(&orders, 10).await;
        assert_complete(&orders, "orders.own", 10, 2).await;
        bus.shutdown(Duration::from_secs(10)).await;
    })
    .await;
}
