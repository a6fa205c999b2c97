//! `hub certs`: certificates for processes on one's own machine.

use std::path::Path;

use anyhow::bail;
use mesh::{
    Clock, PolicyTable,
    tls::{
        TlsSettings,
        dev::{DevAuthority, Leaf},
    },
};

use crate::cli::{DevCertsOptions, Settings};

/// Makes a development authority, if the folder has none, and certificates that it signs.
///
/// # Errors
/// An unknown target, or a folder that cannot be written.
pub fn dev(settings: &Settings, options: &DevCertsOptions) -> anyhow::Result<()> {
    let tls: TlsSettings = settings.load()?.section("tls")?;
    let known: Vec<String> = PolicyTable::from_pool(contracts::descriptor_pool())?
        .targets()
        .map(|target| target.name.clone())
        .collect();
    let leaves = leaves(options, &known)?;
    let now = Clock::system().now();
    let authority = DevAuthority::open(&options.out, &tls.trust_domain, now)?;
    for leaf in &leaves {
        authority.issue(leaf, now)?;
        let file = |end: &str| shown(&options.out, &format!("{}{end}", leaf.name));
        println!(
            "{} {} for {}",
            file(".pem"),
            file(".key"),
            leaf.targets.join(", ")
        );
    }
    println!(
        "signed by {}; whoever has {} can sign more",
        shown(&options.out, "ca.pem"),
        shown(&options.out, "ca.key")
    );
    Ok(())
}

/// One certificate a `--target`; without any, one for each target that there is.
fn leaves(options: &DevCertsOptions, known: &[String]) -> anyhow::Result<Vec<Leaf>> {
    let groups: Vec<Vec<String>> = if options.target.is_empty() {
        known.iter().map(|target| vec![target.clone()]).collect()
    } else {
        let names = |group: &String| {
            group
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect()
        };
        options.target.iter().map(names).collect()
    };
    if let Some(unknown) = groups.iter().flatten().find(|name| !known.contains(name)) {
        bail!(
            "unknown service {unknown:?}; there are {}",
            known.join(", ")
        );
    }
    if options.name.is_some() && groups.len() != 1 {
        bail!("--name names one certificate: give one --target with it");
    }
    Ok(groups
        .into_iter()
        .map(|targets| Leaf {
            name: options.name.clone().unwrap_or_else(|| targets.join("-")),
            targets,
            hosts: options.host.clone(),
            days: options.days,
        })
        .collect())
}

fn shown(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(target: &[&str], name: Option<&str>) -> DevCertsOptions {
        DevCertsOptions {
            out: "certs".into(),
            target: target.iter().map(|name| (*name).to_owned()).collect(),
            name: name.map(str::to_owned),
            host: Vec::new(),
            days: 30,
        }
    }

    #[test]
    fn a_process_with_several_targets_has_one_certificate() {
        let known = ["cart", "gateway", "orders"].map(str::to_owned);
        let names = |options: &DevCertsOptions| -> Vec<String> {
            leaves(options, &known)
                .unwrap()
                .into_iter()
                .map(|leaf| format!("{}={}", leaf.name, leaf.targets.join("+")))
                .collect()
        };
        assert_eq!(
            names(&options(&[], None)),
            ["cart=cart", "gateway=gateway", "orders=orders"]
        );
        assert_eq!(
            names(&options(&["cart,orders", "gateway"], None)),
            ["cart-orders=cart+orders", "gateway=gateway"]
        );
        assert_eq!(
            names(&options(&["cart,orders"], Some("shop"))),
            ["shop=cart+orders"]
        );
        assert!(leaves(&options(&["crat"], None), &known).is_err());
        assert!(leaves(&options(&["cart", "orders"], Some("shop")), &known).is_err());
    }
}
