//! What is known about a request before anyone looks at what it asks for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use mesh::{CallContext, Client, Clock, Ids, TraceContext};

use crate::{config::Network, refusal::ErrorFormat};

/// The header that carries the id of a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const MAX_REQUEST_ID: usize = 128;
const MAX_USER_AGENT: usize = 512;

/// Facts about one request and its connection.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The client's id of the request if it sent a proper one, else a new one.
    pub request_id: Arc<str>,
    /// The span of this request.
    pub trace: TraceContext,
    /// When it arrived.
    pub started: Instant,
    /// Address and program of the client.
    pub client: Client,
    /// Whether the client's connection is encrypted (to the proxy in front of us, if any).
    pub secure: bool,
    /// How errors are rendered.
    pub errors: ErrorFormat,
    /// The method as sent.
    pub method: Method,
    /// The page that makes the request, if a browser says so.
    pub origin: Option<HeaderValue>,
}

impl Exchange {
    /// Reads the facts of a request that arrived from `peer`.
    pub fn read(
        parts: &Parts,
        peer: SocketAddr,
        proxies: &[Network],
        clock: &Clock,
        ids: &Ids,
    ) -> Self {
        let headers = &parts.headers;
        let trace = text(headers, &TRACEPARENT)
            .and_then(|text| text.parse::<TraceContext>().ok())
            .map_or_else(TraceContext::generate, TraceContext::entered);
        let believed = proxies.iter().any(|network| network.contains(peer.ip()));
        Self {
            request_id: text(headers, &REQUEST_ID)
                .filter(|id| is_request_id(id))
                .map_or_else(|| Arc::from(ids.uuid().to_string()), Arc::from),
            trace,
            started: clock.monotonic(),
            client: Client {
                ip: Some(if believed {
                    client_address(headers, peer.ip(), proxies)
                } else {
                    peer.ip().to_canonical()
                }),
                user_agent: text(headers, &header::USER_AGENT)
                    .map(|agent| agent.get(..MAX_USER_AGENT).unwrap_or(agent).to_owned())
                    .unwrap_or_default(),
            },
            secure: believed && text(headers, &FORWARDED_PROTO) == Some("https"),
            errors: ErrorFormat::negotiate(headers.get(header::ACCEPT)),
            method: parts.method.clone(),
            origin: headers.get(header::ORIGIN).cloned(),
        }
    }

    /// The context of calls that serve this request, still without principal or deadline.
    pub fn context(&self, clock: &Clock) -> CallContext {
        CallContext::new(clock.clone(), Arc::clone(&self.request_id))
            .with_caller(crate::service::NAME)
            .with_trace(self.trace)
            .with_client(self.client.clone())
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.client
            .ip
            .unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }

    /// Adds what every response says about its request.
    pub fn decorate(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Ok(trace) = HeaderValue::from_str(&self.trace.to_string()) {
            headers.insert(TRACEPARENT, trace);
        }
    }
}

/// The text of a header, if it is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Ids end up in logs, so only characters without meaning there are taken over.
fn is_request_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_REQUEST_ID
        && id.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/')
        })
}

/// The rightmost address in `X-Forwarded-For` that is not one of our proxies: what is further left was
/// written by the client and proves nothing.
fn client_address(headers: &HeaderMap, peer: IpAddr, proxies: &[Network]) -> IpAddr {
    let mut nearest = peer;
    let hops = headers
        .get_all(FORWARDED_FOR)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect::<Vec<_>>();
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address;
        if !proxies.iter().any(|network| network.contains(address)) {
            break;
        }
    }
    nearest.to_canonical()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Request;

    use super::*;

    fn read(headers: &[(&str, &str)], peer: &str, proxies: &[&str]) -> Exchange {
        let mut request = Request::builder().uri("/api/products");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let clock = Clock::system();
        let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        Exchange::read(&parts, peer, &proxies, &clock, &Ids::random(clock.clone()))
    }

    #[test]
    fn a_proper_request_id_is_kept() {
        let kept = read(&[("x-request-id", "abc-123")], "192.0.2.1", &[]);
        assert_eq!(&*kept.request_id, "abc-123");
        for odd in ["", "a b", "x\ty", "{}", &"a".repeat(129)] {
            let made = read(&[("x-request-id", odd)], "192.0.2.1", &[]);
            assert_eq!(made.request_id.len(), 36, "{odd:?}");
        }
    }

    #[test]
    fn the_trace_goes_on() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let exchange = read(&[("traceparent", sent)], "192.0.2.1", &[]);
        assert_eq!(
            exchange.trace.trace_id(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_ne!(exchange.trace.span_id(), "b7ad6b7169203331");
        let mut headers = HeaderMap::new();
        exchange.decorate(&mut headers);
        assert!(
            headers[TRACEPARENT]
                .to_str()
                .unwrap()
                .contains("0af7651916cd43dd8448eb211c80319c")
        );
    }

    #[test]
    fn only_proxies_are_believed_about_the_client() {
        let forwarded = [
            ("x-forwarded-for", "203.0.113.7, 198.51.100.2, 10.0.0.9"),
            ("x-forwarded-proto", "https"),
        ];
        let direct = read(&forwarded, "192.0.2.1", &["10.0.0.0/8"]);
        assert_eq!(direct.address().to_string(), "192.0.2.1");
        assert!(!direct.secure);
        let proxied = read(&forwarded, "10.0.0.1", &["10.0.0.0/8"]);
        assert_eq!(proxied.address().to_string(), "198.51.100.2");
        assert!(proxied.secure);
        let nonsense = read(&[("x-forwarded-for", "x, y")], "10.0.0.1", &["10.0.0.0/8"]);
        assert_eq!(nonsense.address().to_string(), "10.0.0.1");
    }
}
