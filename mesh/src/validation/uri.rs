//! URIs by the grammar of RFC 3986, with the IPv6 zones of RFC 6874.

use super::formats::is_ipv6;

/// `scheme ":" hier-part [ "?" query ] [ "#" fragment ]`.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    is_scheme(scheme) && is_tail(rest, FirstSegment::Any)
}

/// A URI, or a reference relative to one.
pub(super) fn is_uri_reference(text: &str) -> bool {
    is_uri(text) || is_tail(text, FirstSegment::WithoutColon)
}

/// Whether the first segment of a path without a leading slash may hold a colon; in a relative
/// reference it would read as a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstSegment {
    Any,
    WithoutColon,
}

fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Everything after the scheme.
fn is_tail(text: &str, first: FirstSegment) -> bool {
    let (text, fragment) = split(text, '#');
    let (text, query) = split(text, '?');
    let in_query = |part: &str| spelled(part, |b| is_pchar(b) || b == b'/' || b == b'?');
    fragment.is_none_or(in_query) && query.is_none_or(in_query) && is_hierarchy(text, first)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_hierarchy(text: &str, first: FirstSegment) -> bool {
    let is_path = |path: &str| spelled(path, |b| is_pchar(b) || b == b'/');
    if let Some(rest) = text.strip_prefix("//") {
        let end = rest.find('/').unwrap_or(rest.len());
        return is_authority(&rest[..end]) && is_path(&rest[end..]);
    }
    let segment = text.split('/').next().unwrap_or(text);
    is_path(text) && (first == FirstSegment::Any || !segment.contains(':'))
}

fn is_authority(text: &str) -> bool {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    let in_user = |user: &str| spelled(user, |b| is_unreserved(b) || is_sub_delim(b) || b == b':');
    user.is_none_or(in_user) && is_host_and_optional_port(host)
}

fn is_host_and_optional_port(text: &str) -> bool {
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(literal, port)| {
            is_ip_literal(literal)
                && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        });
    }
    let (host, port) = split(text, ':');
    port.is_none_or(digits)
        && spelled(host, |b| is_unreserved(b) || is_sub_delim(b))
        && decodes_to_utf8(host)
}

/// What stands between brackets: an IPv6 address with or without a zone, or an address of the future.
fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_hexdigit())
                && !address.is_empty()
                && address
                    .bytes()
                    .all(|b| is_unreserved(b) || is_sub_delim(b) || b == b':')
        });
    }
    match text.split_once("%25") {
        Some((address, zone)) => {
            !address.contains('%')
                && is_ipv6(address)
                && !zone.is_empty()
                && spelled(zone, is_unreserved)
                && decodes_to_utf8(zone)
        }
        None => !text.contains('%') && is_ipv6(text),
    }
}

/// Whether every byte is allowed or part of a percent-encoded one.
fn spelled(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [b, rest @ ..] if allowed(*b) => rest,
            _ => return false,
        };
    }
}

/// RFC 3986 §3.2.2: percent-encoded bytes of a host name are UTF-8.
fn decodes_to_utf8(host: &str) -> bool {
    if !host.contains('%') {
        return true;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
    let mut decoded = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => (nibble(*high) << 4 | nibble(*low), after),
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = after;
    }
    std::str::from_utf8(&decoded).is_ok()
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
}

fn is_sub_delim(b: u8) -> bool {
    b"!$&'()*+,;=".contains(&b)
}

fn is_pchar(b: u8) -> bool {
    is_unreserved(b) || is_sub_delim(b) || b == b':' || b == b'@'
}
