#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use chrono::TimeDelta;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    dev::{DevAuthority, Leaf},
    *,
};

fn leaf(name: &str, targets: &[&str]) -> Leaf {
    Leaf {
        name: name.to_owned(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        hosts: vec!["orders.hub.svc".to_owned()],
        days: 30,
    }
}

fn issue(folder: &Path, trust_domain: &str, leaf: &Leaf) -> TlsSettings {
    let now = Clock::system().now();
    DevAuthority::open(folder, trust_domain, now)
        .unwrap()
        .issue(leaf, now)
        .unwrap();
    TlsSettings {
        cert: folder.join(format!("{}.pem", leaf.name)),
        key: folder.join(format!("{}.key", leaf.name)),
        ca: folder.join("ca.pem"),
        trust_domain: trust_domain.to_owned(),
    }
}

fn load(settings: TlsSettings) -> Tls {
    Tls::load(settings, Clock::system()).unwrap().unwrap()
}

/// Whether a byte makes it from `client`, which wants `target`, to `server` and back.
async fn talk(server: &Tls, client: &Tls, target: &str) -> bool {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(server.server());
    let serving = async move {
        let mut stream = acceptor.accept(far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await
    };
    let (config, _) = client.client(target).unwrap();
    let calling = async move {
        let name = rustls_pki_types::ServerName::try_from("somewhere.else").unwrap();
        let mut stream = TlsConnector::from(config).connect(name, near).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        stream.read_u8().await
    };
    let (served, called) = tokio::join!(serving, calling);
    served.is_ok() && called.is_ok()
}

#[tokio::test]
async fn both_sides_look_at_the_targets_and_not_at_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let orders = load(issue(
        folder.path(),
        "hub.test",
        &leaf("o", &["orders", "cart"]),
    ));
    let gateway = load(issue(folder.path(), "hub.test", &leaf("g", &["gateway"])));
    assert!(
        orders.identity_of_process().runs("cart") && !orders.identity_of_process().runs("gateway")
    );
    assert!(talk(&orders, &gateway, "orders").await);
    assert!(talk(&orders, &gateway, "cart").await);
    assert!(!talk(&orders, &gateway, "payments").await);
}

#[tokio::test]
async fn another_trust_domain_or_authority_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let orders = load(issue(ours.path(), "hub.test", &leaf("o", &["orders"])));
    // The same authority signs for another trust domain.
    let foreign = load(issue(ours.path(), "other.test", &leaf("f", &["gateway"])));
    assert!(!talk(&orders, &foreign, "orders").await);
    assert!(!talk(&foreign, &orders, "gateway").await);
    // Another authority signs for ours.
    let forged = load(issue(theirs.path(), "hub.test", &leaf("x", &["gateway"])));
    assert!(!talk(&orders, &forged, "orders").await);
    assert!(!talk(&forged, &orders, "gateway").await);
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = issue(folder.path(), "hub.test", &leaf("o", &["orders"]));
    let server = load(settings.clone());
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(&settings.ca).unwrap();
    for root in
        <rustls_pki_types::CertificateDer as rustls_pki_types::pem::PemObject>::pem_slice_iter(&pem)
    {
        roots.add(root.unwrap()).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(server.server());
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (accepted, _) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
    assert!(accepted.is_err());
}

#[tokio::test]
async fn new_files_are_taken_up_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let settings = issue(folder.path(), "hub.test", &leaf("o", &["orders"]));
    let gateway = load(issue(folder.path(), "hub.test", &leaf("g", &["gateway"])));
    let orders = load(settings.clone());
    assert_eq!(orders.generation(), 1);
    orders.refresh();
    assert_eq!(orders.generation(), 1);

    let good = fs::read(&settings.cert).unwrap();
    fs::write(&settings.cert, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    orders.refresh();
    assert_eq!(orders.generation(), 1);
    assert!(talk(&orders, &gateway, "orders").await);
    // A key that does not fit, as in the middle of a replacement.
    fs::write(&settings.cert, good).unwrap();
    let key = fs::read(&settings.key).unwrap();
    fs::copy(folder.path().join("g.key"), &settings.key).unwrap();
    orders.refresh();
    assert_eq!(orders.generation(), 1);
    fs::write(&settings.key, key).unwrap();

    issue(folder.path(), "hub.test", &leaf("o", &["orders", "cart"]));
    assert!(!talk(&orders, &gateway, "cart").await);
    orders.refresh();
    assert_eq!(orders.generation(), 2);
    assert!(talk(&orders, &gateway, "cart").await);
}

#[test]
fn what_is_wrong_is_said_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = issue(folder.path(), "hub.test", &leaf("o", &["orders"]));
    let refused = |change: &dyn Fn(&mut TlsSettings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        Tls::load(settings, Clock::system())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&|settings| settings.key = PathBuf::new()).contains("key is not set"));
    assert!(refused(&|settings| settings.ca = "/nowhere.pem".into()).contains("/nowhere.pem"));
    assert!(
        refused(&|settings| settings.trust_domain = "x".to_owned()).contains("spiffe://x/hub/")
    );
    assert!(
        Tls::load(TlsSettings::default(), Clock::system())
            .unwrap()
            .is_none()
    );
}

#[cfg(unix)]
#[test]
fn keys_are_private_and_certificates_end() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let tls = load(issue(folder.path(), "hub.test", &leaf("o", &["orders"])));
    for key in ["ca.key", "o.key"] {
        let mode = fs::metadata(folder.path().join(key))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let left = tls.current().material.expires - Clock::system().now();
    assert!(
        left > TimeDelta::days(29) && left <= TimeDelta::days(31),
        "{left}"
    );
}
