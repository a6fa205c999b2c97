//! The context and the message as they look on the wire.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

use super::{CallContext, Client};
use crate::{
    clock::Clock,
    error::{Failure, Reason},
    ids::Ids,
    principal::{Principal, PrincipalSeal},
    telemetry::TraceContext,
};

/// The largest request message that a service reads: 4 MiB, as everywhere in gRPC.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Length of the prefix of a gRPC message: a compression flag and the length of the message.
pub(super) const FRAME_PREFIX: usize = 5;
/// Longest request id or idempotency key that is taken over; the edge accepts no longer ones.
const MAX_ID: usize = 255;

const INTERNAL_PREFIX: &str = "x-hub-";
const PRINCIPAL: HeaderName = HeaderName::from_static("x-hub-principal");
const CLIENT_IP: HeaderName = HeaderName::from_static("x-hub-client-ip");
const CLIENT_AGENT: HeaderName = HeaderName::from_static("x-hub-client-agent");
const IDEMPOTENCY: HeaderName = HeaderName::from_static("x-hub-idempotency-key");
const CALLER: HeaderName = HeaderName::from_static("x-hub-caller");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Removes every header that only processes of the mesh may set. The edge calls it on what clients
/// send.
pub fn strip_internal_headers(headers: &mut HeaderMap) {
    let internal: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(INTERNAL_PREFIX))
        .cloned()
        .collect();
    for name in internal {
        headers.remove(name);
    }
}

/// Writes the context into the headers of a call to another process.
pub(super) fn write_context(
    context: &CallContext,
    seal: &PrincipalSeal,
    headers: &mut HeaderMap,
) -> Result<(), Failure> {
    strip_internal_headers(headers);
    let token = seal
        .seal(context.principal(), context.clock().now())
        .map_err(Failure::internal)?;
    put(headers, PRINCIPAL, &token);
    if let Some(caller) = context.caller() {
        put(headers, CALLER, caller);
    }
    put(headers, REQUEST_ID, context.request_id());
    put(headers, TRACEPARENT, &context.traceparent());
    if let Some(ip) = context.client_ip() {
        put(headers, CLIENT_IP, &ip.to_string());
    }
    if !context.user_agent().is_empty() {
        put(headers, CLIENT_AGENT, context.user_agent());
    }
    if let Some(key) = context.idempotency_key() {
        put(headers, IDEMPOTENCY, key);
    }
    if let Some(remaining) = context.remaining() {
        put(headers, TIMEOUT, &write_timeout(remaining));
    }
    Ok(())
}

/// Reads the context of a call from another process. Without a valid token the caller is anonymous
/// and nothing else that is internal is believed.
pub(super) fn read_context(
    headers: &HeaderMap,
    seal: &PrincipalSeal,
    clock: &Clock,
    ids: &Ids,
) -> Result<CallContext, Failure> {
    let request_id = text(headers, &REQUEST_ID)
        .filter(|id| is_id(id))
        .map_or_else(|| Arc::from(ids.uuid().to_string()), Arc::from);
    let mut context = CallContext::new(clock.clone(), request_id);
    if let Some(trace) = text(headers, &TRACEPARENT).and_then(|t| t.parse::<TraceContext>().ok()) {
        context = context.with_trace(trace);
    }
    if let Some(limit) = timeout_of(headers) {
        context = context.within(limit);
    }
    let Some(token) = text(headers, &PRINCIPAL) else {
        return Ok(context.with_principal(Principal::anonymous()));
    };
    let principal = seal.open(token, clock.now()).map_err(|error| {
        Failure::new(
            Reason::Unauthenticated,
            Reason::Unauthenticated.spec().message,
        )
        .caused_by(error)
    })?;
    if let Some(caller) = text(headers, &CALLER).filter(|caller| is_id(caller)) {
        context = context.with_caller(caller);
    }
    context = context.with_principal(principal).with_client(Client {
        ip: text(headers, &CLIENT_IP).and_then(|ip| ip.parse::<IpAddr>().ok()),
        user_agent: text(headers, &CLIENT_AGENT).unwrap_or_default().to_owned(),
    });
    Ok(match text(headers, &IDEMPOTENCY).filter(|key| is_id(key)) {
        Some(key) => context.with_idempotency_key(key),
        None => context,
    })
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A value that no header can hold (control characters in a user agent) is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A gRPC timeout: at most eight digits and a unit. Rounded down, so that budgets only shrink.
fn write_timeout(limit: Duration) -> String {
    const MOST: u128 = 99_999_999;
    for (unit, value) in [
        ('n', limit.as_nanos()),
        ('u', limit.as_micros()),
        ('m', limit.as_millis()),
    ] {
        if value <= MOST {
            return format!("{value}{unit}");
        }
    }
    format!("{}S", u128::from(limit.as_secs()).min(MOST))
}

/// How long the sender of a request waits, if it says so.
pub(super) fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    text(headers, &TIMEOUT).and_then(read_timeout)
}

/// Reads a gRPC timeout; `None` when it is not one.
fn read_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(value * 3600),
        'M' => Duration::from_secs(value * 60),
        'S' => Duration::from_secs(value),
        'm' => Duration::from_millis(value),
        'u' => Duration::from_micros(value),
        'n' => Duration::from_nanos(value),
        _ => return None,
    })
}

/// The message in the body of a unary call: exactly one uncompressed frame.
pub(super) fn unary_message(body: &Bytes) -> Result<Bytes, Failure> {
    let malformed = || Failure::new(Reason::InvalidArgument, "the body is not one gRPC message");
    let (Some(flag), Some(length)) = (
        body.first(),
        body.get(1..FRAME_PREFIX)
            .and_then(|length| <[u8; 4]>::try_from(length).ok()),
    ) else {
        return Err(malformed());
    };
    if *flag != 0 {
        return Err(Failure::new(
            Reason::Unimplemented,
            "compressed messages are not supported",
        ));
    }
    if body.len() - FRAME_PREFIX != u32::from_be_bytes(length) as usize {
        return Err(malformed());
    }
    Ok(body.slice(FRAME_PREFIX..))
}

/// The status in the headers of an answer, if the call failed before it had anything to send.
pub(super) fn failed_status<B>(response: &http::Response<B>) -> Option<Status> {
    response.headers().get("grpc-status")?;
    Status::from_header_map(response.headers()).filter(|status| status.code() != tonic::Code::Ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn fixture() -> (Clock, Ids, PrincipalSeal) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let ids = Ids::seeded(clock.clone(), 1);
        (clock, ids, PrincipalSeal::new(&[1; 32]))
    }

    #[test]
    fn a_context_survives_the_wire() {
        let (clock, ids, seal) = fixture();
        let context = CallContext::new(clock.clone(), "r-9")
            .with_principal(Principal::guest("g"))
            .with_caller("gateway")
            .with_client(Client {
                ip: Some("10.0.0.7".parse().unwrap()),
                user_agent: "curl/8".into(),
            })
            .with_idempotency_key("key-1")
            .within(Duration::from_millis(1500));
        let mut headers = HeaderMap::new();
        headers.insert("x-hub-principal", HeaderValue::from_static("forged"));
        write_context(&context, &seal, &mut headers).unwrap();
        let seen = read_context(&headers, &seal, &clock, &ids).unwrap();
        assert_eq!(seen.principal(), context.principal());
        assert_eq!(seen.caller(), Some("gateway"));
        assert_eq!(seen.request_id(), "r-9");
        assert_eq!(seen.client_ip(), context.client_ip());
        assert_eq!(seen.user_agent(), "curl/8");
        assert_eq!(seen.idempotency_key(), Some("key-1"));
        assert_eq!(seen.remaining(), Some(Duration::from_millis(1500)));
        assert_eq!(seen.trace().trace_id(), context.trace().trace_id());
    }

    #[test]
    fn nothing_internal_is_believed_without_a_token() {
        let (clock, ids, seal) = fixture();
        let mut headers = HeaderMap::new();
        headers.insert("x-hub-client-ip", HeaderValue::from_static("1.2.3.4"));
        headers.insert("x-hub-idempotency-key", HeaderValue::from_static("k"));
        headers.insert("x-hub-caller", HeaderValue::from_static("gateway"));
        let seen = read_context(&headers, &seal, &clock, &ids).unwrap();
        assert!(seen.principal().is_anonymous());
        assert_eq!(seen.client_ip(), None);
        assert_eq!(seen.idempotency_key(), None);
        assert_eq!(seen.caller(), None);

        headers.insert("x-hub-principal", HeaderValue::from_static("a.b.c"));
        let refused = read_context(&headers, &seal, &clock, &ids).unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated);
    }

    #[test]
    fn internal_headers_are_stripped() {
        let mut headers = HeaderMap::new();
        headers.append("x-hub-principal", HeaderValue::from_static("a"));
        headers.append("x-hub-principal", HeaderValue::from_static("b"));
        headers.append("x-hub-anything", HeaderValue::from_static("c"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        strip_internal_headers(&mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn only_one_plain_frame_is_a_message() {
        let frame = |flag: u8, length: u32, body: &[u8]| {
            let mut bytes = vec![flag];
            bytes.extend(length.to_be_bytes());
            bytes.extend(body);
            unary_message(&Bytes::from(bytes))
        };
        assert_eq!(frame(0, 3, b"abc").unwrap(), "abc");
        assert_eq!(frame(0, 0, b"").unwrap(), "");
        assert!(frame(0, 2, b"abc").is_err());
        assert!(frame(0, 4, b"abc").is_err());
        assert_eq!(
            frame(1, 3, b"abc").unwrap_err().reason(),
            Reason::Unimplemented
        );
        assert!(unary_message(&Bytes::new()).is_err());
    }

    proptest! {
        #[test]
        fn timeouts_only_shrink(nanos in 0_u64..10_000_000_000_000_000) {
            let limit = Duration::from_nanos(nanos);
            let read = read_timeout(&write_timeout(limit)).unwrap();
            prop_assert!(read <= limit);
            prop_assert!(limit - read < Duration::from_secs(1));
        }

        #[test]
        fn reading_a_timeout_never_panics(text in "\\PC{0,12}") {
            let _ = read_timeout(&text);
        }
    }
}
