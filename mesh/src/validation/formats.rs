//! Well-known string formats: addresses, names and identifiers.
//!
//! Each follows the grammar that protovalidate names for the rule, by hand rather than by regular
//! expression: these run on nearly every request.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::uri;

/// A format that a string can be required to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Email,
    Hostname,
    Ip(Family),
    /// An address with a prefix length, host bits allowed.
    Network(Family),
    /// An address with a prefix length, all host bits zero.
    Prefix(Family),
    Uri,
    UriReference,
    Address,
    Uuid,
    TrimmedUuid,
    Ulid,
    HostAndPort,
    ProtobufName,
    ProtobufDotName,
    HeaderName(Strictness),
    HeaderValue(Strictness),
}

/// Which addresses are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

/// How closely an HTTP header must follow its RFC; loose only keeps out what splits headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    Strict,
    Loose,
}

impl Format {
    pub(super) fn holds(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Hostname => is_hostname(text),
            Self::Ip(family) => is_ip(text, family),
            Self::Network(family) => network(text, family).is_some(),
            Self::Prefix(family) => network(text, family) == Some(HostBits::Zero),
            Self::Uri => uri::is_uri(text),
            Self::UriReference => uri::is_uri_reference(text),
            Self::Address => is_hostname(text) || is_ip(text, Family::Any),
            Self::Uuid => is_uuid(text.as_bytes()),
            Self::TrimmedUuid => text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::Ulid => is_ulid(text.as_bytes()),
            Self::HostAndPort => is_host_and_port(text),
            Self::ProtobufName => text.split('.').all(is_identifier),
            Self::ProtobufDotName => text
                .strip_prefix('.')
                .is_some_and(|name| name.split('.').all(is_identifier)),
            Self::HeaderName(Strictness::Strict) => is_header_name(text),
            Self::HeaderName(Strictness::Loose) => !text.is_empty() && is_one_line(text),
            Self::HeaderValue(Strictness::Strict) => {
                text.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f))
            }
            Self::HeaderValue(Strictness::Loose) => is_one_line(text),
        }
    }
}

/// The HTML5 definition: one `@`, a local part of atom characters and dots, a dotted domain.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    !local.is_empty() && local.bytes().all(atom) && domain.split('.').all(is_label)
}

/// One to 63 letters, digits and inner dashes.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// At most 253 characters of labels, the last one not a number; one trailing dot is allowed.
fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or(name);
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

fn is_ip(text: &str, family: Family) -> bool {
    match family {
        Family::V4 => text.parse::<Ipv4Addr>().is_ok(),
        Family::V6 => is_ipv6(text),
        Family::Any => text.parse::<Ipv4Addr>().is_ok() || is_ipv6(text),
    }
}

/// An IPv6 address, with a zone (RFC 4007) if it names one.
pub(super) fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((_, zone)) if zone.is_empty() || zone.contains('\0') => return false,
        Some((address, _)) => address,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostBits {
    Zero,
    Set,
}

/// `address/length`, and whether the bits after the prefix are zero.
fn network(text: &str, family: Family) -> Option<HostBits> {
    let (address, length) = text.split_once('/')?;
    let length = decimal(length)?;
    let host_bits = |bits: u128, width: u32| {
        let host = width.checked_sub(length)?;
        let zero = bits & !u128::MAX.checked_shl(host).unwrap_or(0) == 0;
        Some(if zero { HostBits::Zero } else { HostBits::Set })
    };
    if let (Family::Any | Family::V4, Ok(v4)) = (family, address.parse::<Ipv4Addr>()) {
        return host_bits(u128::from(v4.to_bits()), 32);
    }
    match (family, address.parse::<Ipv6Addr>()) {
        (Family::Any | Family::V6, Ok(v6)) => host_bits(v6.to_bits(), 128),
        _ => None,
    }
}

/// A decimal number as it is written canonically: no sign, no leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Crockford base 32, 128 bits: 26 digits, the first at most 7.
fn is_ulid(bytes: &[u8]) -> bool {
    let digit = |b: &u8| {
        let upper = b.to_ascii_uppercase();
        upper.is_ascii_alphanumeric() && !b"ILOU".contains(&upper)
    };
    bytes.len() == 26 && bytes[0] <= b'7' && bytes.iter().all(digit)
}

/// A host name, an IPv4 address or a bracketed IPv6 address, then `:` and a port.
fn is_host_and_port(text: &str) -> bool {
    let is_port = |port: &str| decimal(port).is_some_and(|port| port <= 65_535);
    if let Some(rest) = text.strip_prefix('[') {
        return rest
            .rsplit_once(']')
            .and_then(|(host, port)| Some((host, port.strip_prefix(':')?)))
            .is_some_and(|(host, port)| is_ipv6(host) && is_port(port));
    }
    text.rsplit_once(':')
        .is_some_and(|(host, port)| (is_hostname(host) || is_ip(host, Family::V4)) && is_port(port))
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// RFC 7230 token characters and a comma (the contract's pattern has the range `+` to `.`), after an
/// optional colon for HTTP/2 pseudo-headers.
fn is_header_name(text: &str) -> bool {
    let token = text.strip_prefix(':').unwrap_or(text);
    let character = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+,-.^_|~`".contains(&b);
    !token.is_empty() && token.bytes().all(character)
}

fn is_one_line(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, 0 | b'\n' | b'\r'))
}
