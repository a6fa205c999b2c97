//! One RPC, from message bytes to message bytes: no message object is ever built on the way.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use mesh::{CallContext, Channel, Failure};
use tonic::{Code, Status, body::Body};

use crate::wire::{self, FRAME_PREFIX};

/// Calls RPCs through the mesh.
#[derive(Clone)]
pub struct Backend {
    channel: Channel,
}

impl Backend {
    /// Calls over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Sends `message` to the RPC at `path` and gives back the answer as it begins.
    ///
    /// # Errors
    /// The status of a call that failed before it had anything to say.
    pub async fn open(
        &self,
        path: &str,
        message: &[u8],
        metadata: HeaderMap,
        context: CallContext,
    ) -> Result<Response<Body>, Status> {
        let mut request = Request::new(Body::new(Full::new(wire::frame(message))));
        *request.method_mut() = Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = path
            .parse::<PathAndQuery>()
            .map(Uri::from)
            .map_err(|_| Status::internal("the path of an RPC is not a path"))?;
        *request.headers_mut() = metadata;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        request.extensions_mut().insert(context);
        let response = self.channel.dispatch(request).await;
        match failed(response.headers()) {
            Some(status) => Err(status),
            None => Ok(response),
        }
    }

    /// Calls a unary RPC: one message in, one message out.
    ///
    /// # Errors
    /// The status of the call, or INTERNAL when the answer is not one message.
    pub async fn unary(
        &self,
        path: &str,
        message: &[u8],
        metadata: HeaderMap,
        context: CallContext,
    ) -> Result<Bytes, Status> {
        let mut body = self
            .open(path, message, metadata, context)
            .await?
            .into_body();
        let mut first: Option<Bytes> = None;
        let mut joined: Option<BytesMut> = None;
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => match (&mut joined, &first) {
                    (Some(joined), _) => joined.extend_from_slice(&data),
                    (None, None) => first = Some(data),
                    (None, Some(first)) => {
                        let mut both = BytesMut::with_capacity(first.len() + data.len());
                        both.extend_from_slice(first);
                        both.extend_from_slice(&data);
                        joined = Some(both);
                    }
                },
                Err(frame) => {
                    if let Some(status) = frame.trailers_ref().and_then(failed) {
                        return Err(status);
                    }
                }
            }
            if joined
                .as_ref()
                .is_some_and(|joined| joined.len() > wire::MAX_REPLY)
            {
                return Err(Failure::internal("a service's answer is too long").into());
            }
        }
        let whole = joined.map(BytesMut::freeze).or(first).unwrap_or_default();
        one_message(&whole)
            .ok_or_else(|| Failure::internal("a service's answer is not one message").into())
    }
}

/// The status in headers or trailers, unless it is OK.
pub fn failed(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

fn one_message(whole: &Bytes) -> Option<Bytes> {
    let &[flag, a, b, c, d] = whole.first_chunk::<FRAME_PREFIX>()?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    (flag == 0 && whole.len() == FRAME_PREFIX + length).then(|| whole.slice(FRAME_PREFIX..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_exactly_one_message() {
        let framed = wire::frame(b"abc");
        assert_eq!(one_message(&framed).as_deref(), Some(&b"abc"[..]));
        assert_eq!(one_message(&wire::frame(b"")).as_deref(), Some(&b""[..]));
        assert_eq!(one_message(&framed.slice(..7)), None);
        assert_eq!(one_message(&Bytes::from_static(&[1, 0, 0, 0, 0])), None);
        assert_eq!(one_message(&Bytes::new()), None);
    }

    #[test]
    fn ok_is_no_failure() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        assert!(failed(&headers).is_none());
        headers.insert("grpc-status", HeaderValue::from_static("5"));
        assert_eq!(
            failed(&headers).map(|status| status.code()),
            Some(Code::NotFound)
        );
        assert!(failed(&HeaderMap::new()).is_none());
    }
}
