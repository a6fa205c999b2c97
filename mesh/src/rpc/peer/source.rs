//! Asking for addresses, again and again.

use std::{io, sync::Arc, time::Duration};

use super::{
    WeakPeer,
    address::{Address, Security, Source},
    connection::Resolve,
};

/// How often addresses are asked for, and how soon again after a failure.
const INTERVAL: Duration = Duration::from_secs(5);
const LEAST: Duration = Duration::from_secs(1);
/// Addresses of a target that are used.
const MOST: usize = 256;

/// The addresses that a source gives now; `None` when they stand in the configuration.
pub(super) async fn addresses(
    source: &Source,
    resolver: &dyn Resolve,
) -> io::Result<Option<Vec<Address>>> {
    match source {
        Source::Static(_) => Ok(None),
        Source::Dns {
            host,
            port,
            security,
        } => {
            let mut found = resolver.lookup(host, *port).await?;
            // Servers shuffle their answers; the same processes must be the same list.
            found.sort_unstable();
            found.dedup();
            Ok(Some(
                found
                    .into_iter()
                    .take(MOST)
                    .filter_map(|address| Address::parse(&address.to_string(), *security))
                    .collect(),
            ))
        }
        Source::File { path, security } => {
            let text = tokio::fs::read_to_string(path).await?;
            lines(&text, *security).map(Some)
        }
    }
}

/// An address a line; what follows a `#` is a comment.
fn lines(text: &str, security: Security) -> io::Result<Vec<Address>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .take(MOST)
        .map(|line| {
            Address::of_line(line, security).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{line:?} is not an address"),
                )
            })
        })
        .collect()
}

/// Asks regularly, and sooner when a process could not be reached, as long as the peer exists.
pub(super) async fn keep_fresh(peer: WeakPeer) {
    loop {
        let Some(known) = peer.upgrade() else {
            return;
        };
        known.refresh().await;
        let (clock, stale) = (known.parts.clock.clone(), Arc::clone(&known.stale));
        drop(known);
        tokio::select! {
            () = clock.sleep(INTERVAL) => {}
            () = stale.notified() => clock.sleep(LEAST).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_has_an_address_a_line() {
        let text = "# orders\n10.0.0.1:7105\n\n http://10.0.0.2:7105 # old\n[::1]:1\n";
        let addresses = lines(text, Security::Tls).unwrap();
        let shown: Vec<String> = addresses.iter().map(Address::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:7105", "10.0.0.2:7105", "[::1]:1"]);
        assert_eq!(addresses[1].security, Security::Plaintext);
        assert!(lines("nonsense", Security::Tls).is_err());
    }
}
