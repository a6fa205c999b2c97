//! Processes that know each other by certificates.

use std::{path::Path, sync::atomic::Ordering};

use contracts::hub::identity::v1::GetUserRequest;
use tonic::Code;

use super::fixture::*;
use crate::{
    Clock, Principal, Reason, Rendered,
    tls::dev::{DevAuthority, Leaf},
};

const TRUST_DOMAIN: &str = "hub.test";

fn issue(folder: &Path, name: &str, targets: &[&str]) -> Vec<(&'static str, String)> {
    let now = Clock::system().now();
    let leaf = Leaf {
        name: name.to_owned(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        hosts: Vec::new(),
        days: 1,
    };
    DevAuthority::open(folder, TRUST_DOMAIN, now)
        .unwrap()
        .issue(&leaf, now)
        .unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        ("tls.cert", file(&format!("{name}.pem"))),
        ("tls.key", file(&format!("{name}.key"))),
        ("tls.ca", file("ca.pem")),
        ("tls.trust_domain", TRUST_DOMAIN.to_owned()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings
        .iter()
        .map(|(path, value)| (*path, value.as_str()))
        .collect()
}

async fn server(folder: &Path) -> (Process, String) {
    let settings = issue(folder, "server", &["agents", "identity"]);
    let server = process(Clock::system(), &borrowed(&settings)).await;
    let address = server.listen().await.replace("http://", "https://");
    (server, address)
}

async fn client(folder: &Path, name: &str, targets: &[&str], address: &str) -> Process {
    let mut settings = issue(folder, name, targets);
    settings.push(("peers.agents", address.to_owned()));
    settings.push(("peers.identity", address.to_owned()));
    empty_process(Clock::system(), &borrowed(&settings)).await
}

#[tokio::test]
async fn a_call_between_processes_with_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = server(folder.path()).await;
    let gateway = client(folder.path(), "gateway", &["gateway"], &address).await;
    let ctx = gateway.anonymous().with_principal(Principal::guest("g-1"));
    let answer = gateway
        .agents()
        .invoke(ctx.call(invoke("ask-as-service")))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().agent, "service:agents");
}

#[tokio::test]
async fn nobody_calls_under_a_name_that_its_certificate_does_not_carry() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = server(folder.path()).await;
    // A shipping process that says it is the gateway, whose calls of Invoke are declared.
    let shipping = client(folder.path(), "shipping", &["shipping"], &address).await;
    let spoofed = shipping
        .agents()
        .invoke(shipping.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&spoofed).reason, Reason::CallUndeclared);
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);

    // Under its own name the call is not declared; it does not even leave the process.
    let ctx = shipping.anonymous().with_caller("shipping.schedule");
    let undeclared = shipping
        .agents()
        .invoke(ctx.call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&undeclared).reason, Reason::CallUndeclared);

    // And without any name no call leaves a process.
    let nameless = crate::CallContext::new(Clock::system(), "r-1")
        .with_principal(Principal::service("identity"));
    let user = GetUserRequest {
        user_id: USER.to_owned(),
    };
    let refused = shipping
        .directory()
        .get_user(nameless.call(user))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::CallUndeclared);
}

#[tokio::test]
async fn strangers_and_processes_without_certificate_are_not_let_in() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, address) = server(ours.path()).await;
    let stranger = client(theirs.path(), "gateway", &["gateway"], &address).await;
    let plain = address.replace("https://", "http://");
    let naked = empty_process(Clock::system(), &[("peers.agents", &plain)]).await;
    for client in [stranger, naked] {
        let refused = client
            .agents()
            .invoke(client.anonymous().call(invoke("echo")))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_process_of_another_target_at_the_address_is_not_called() {
    let folder = tempfile::tempdir().unwrap();
    let settings = issue(folder.path(), "orders", &["orders"]);
    let wrong = process(Clock::system(), &borrowed(&settings)).await;
    let address = wrong.listen().await.replace("http://", "https://");
    let gateway = client(folder.path(), "gateway", &["gateway"], &address).await;
    let refused = gateway
        .agents()
        .invoke(gateway.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(wrong.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn certificates_are_replaced_without_a_failed_call() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = server(folder.path()).await;
    let gateway = client(folder.path(), "gateway", &["gateway"], &address).await;
    for round in 1..=3 {
        for _ in 0..20 {
            gateway
                .agents()
                .invoke(gateway.anonymous().call(invoke("echo")))
                .await
                .unwrap();
        }
        issue(folder.path(), "server", &["agents", "identity"]);
        issue(folder.path(), "gateway", &["gateway"]);
        for process in [&server, &gateway] {
            let tls = process.hub.tls().unwrap();
            tls.refresh();
            assert_eq!(tls.generation(), round + 1);
        }
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 60);
}

#[tokio::test]
async fn serving_demands_protection_or_the_word_that_none_is_wanted() {
    let targets = ["agents"];
    let bare = empty_process(Clock::system(), &[]).await;
    let error = bare
        .hub
        .require_protection(targets)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--plaintext") && !error.contains('\n'),
        "{error}"
    );
    let plain = empty_process(Clock::system(), &[("mesh.plaintext", "true")]).await;
    plain.hub.require_protection(targets).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = issue(folder.path(), "orders", &["orders"]);
    let other = empty_process(Clock::system(), &borrowed(&settings)).await;
    let error = other
        .hub
        .require_protection(targets)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("orders") && error.contains("agents"),
        "{error}"
    );
    other.hub.require_protection(["orders"]).unwrap();
}
