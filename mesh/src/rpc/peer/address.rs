//! Where processes are: what an entry of `[peers]` says.

use std::{fmt, path::PathBuf};

use http::uri::{Authority, Scheme};

/// Where one process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    /// How it is named in requests.
    pub(super) authority: Authority,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Tls,
    Plaintext,
}

impl Security {
    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::Tls => Scheme::HTTPS,
            Self::Plaintext => Scheme::HTTP,
        }
    }
}

/// Where the addresses of a target come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// They stand in the configuration.
    Static(Vec<Address>),
    /// All addresses of a name, asked for again and again.
    Dns {
        host: String,
        port: u16,
        security: Security,
    },
    /// The lines of a file, read again and again.
    File { path: PathBuf, security: Security },
}

/// An entry of `[peers]` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeer {
    /// The key names no target.
    #[error("[peers] {0}: there is no such target")]
    UnknownTarget(String),
    /// The value is not a list of URLs.
    #[error(
        "[peers] {target}: {address:?} is not a URL such as http://127.0.0.1:7100, dns:host:port or file:/path"
    )]
    Address {
        /// The target.
        target: String,
        /// The value.
        address: String,
    },
    /// The value asks for TLS, and there are no certificates.
    #[error("[peers] {target}: {address:?} needs the section [tls]")]
    NeedsTls {
        /// The target.
        target: String,
        /// The value.
        address: String,
    },
}

impl Source {
    /// Reads the entry `value` of `target`. Names and files use TLS when the process has certificates
    /// (`security`); a URL says by its scheme.
    pub(super) fn parse(
        target: &str,
        value: &str,
        security: Security,
    ) -> Result<Self, InvalidPeer> {
        let invalid = || InvalidPeer::Address {
            target: target.to_owned(),
            address: value.to_owned(),
        };
        if let Some(name) = value.strip_prefix("dns:") {
            let address = Address::parse(name, security).ok_or_else(invalid)?;
            return Ok(Self::Dns {
                host: address.host,
                port: address.port,
                security,
            });
        }
        if let Some(path) = value.strip_prefix("file:") {
            let path = PathBuf::from(path);
            return path
                .is_absolute()
                .then_some(Self::File { path, security })
                .ok_or_else(invalid);
        }
        let addresses = value
            .split(',')
            .map(|url| {
                let address = Address::of_url(url.trim()).ok_or_else(|| InvalidPeer::Address {
                    target: target.to_owned(),
                    address: url.trim().to_owned(),
                })?;
                if address.security == Security::Tls && security == Security::Plaintext {
                    return Err(InvalidPeer::NeedsTls {
                        target: target.to_owned(),
                        address: url.trim().to_owned(),
                    });
                }
                Ok(address)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::Static(addresses))
    }
}

impl Address {
    /// Reads `host:port`.
    pub(super) fn parse(text: &str, security: Security) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let port = authority.port_u16()?;
        Some(Self {
            host: bare(authority.host()),
            port,
            security,
            authority,
        })
    }

    /// Reads a URL of scheme http or https without a path.
    fn of_url(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let (security, default) = match uri.scheme_str()? {
            "https" => (Security::Tls, 443),
            "http" => (Security::Plaintext, 80),
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        Some(Self {
            host: bare(authority.host()),
            port: authority.port_u16().unwrap_or(default),
            security,
            authority,
        })
    }

    /// Reads a line of a file: a URL, or `host:port`.
    pub(super) fn of_line(line: &str, security: Security) -> Option<Self> {
        Self::of_url(line).or_else(|| Self::parse(line, security))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.authority)
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_entry_is_a_list_a_name_or_a_file() {
        let parse = |value| Source::parse("orders", value, Security::Tls);
        let Source::Static(addresses) = parse("http://a:1, https://[::1]:2").unwrap() else {
            panic!("not a list");
        };
        assert_eq!(addresses[0].security, Security::Plaintext);
        assert_eq!((addresses[1].host.as_str(), addresses[1].port), ("::1", 2));
        assert_eq!(addresses[1].security, Security::Tls);
        assert_eq!(
            parse("dns:orders.hub.svc:7105").unwrap(),
            Source::Dns {
                host: "orders.hub.svc".to_owned(),
                port: 7105,
                security: Security::Tls
            }
        );
        assert!(matches!(
            parse("file:/etc/peers").unwrap(),
            Source::File { .. }
        ));
        for wrong in [
            "127.0.0.1",
            "dns:orders",
            "file:peers",
            "ftp://a:1",
            "",
            "http://",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(matches!(
            Source::parse("orders", "https://a:1", Security::Plaintext),
            Err(InvalidPeer::NeedsTls { .. })
        ));
    }
}
