//! Server streams over HTTP: each message is sent when it comes.
//!
//! A stream that is idle says so from time to time, so that proxies keep it open; a stream that is
//! still running when the hub stops is ended properly, and the client takes it up again elsewhere.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderName, HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use mesh::{Failure, Rendered, Shutdown};
use tonic::{Code, Status, body::Body};
use transcoding::{
    Binding,
    stream::{SseEvent, StreamEncoder, StreamFormat},
};

use crate::{
    body::EdgeBody,
    call::failed,
    edge::Edge,
    exchange::Exchange,
    pipeline,
    refusal::{ErrorFormat, http_status, render},
    routes::Route,
    wire,
};

/// Tells nginx not to wait for more.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// The response that carries the messages of `body`.
pub(super) fn respond(
    edge: &Arc<Edge>,
    exchange: &Exchange,
    route: &Arc<Route>,
    binding: &Binding,
    format: StreamFormat,
    body: Body,
) -> Response<EdgeBody> {
    let mut encoder = StreamEncoder::new(format);
    let mut opening = Vec::new();
    encoder.open(&mut opening);
    if format == StreamFormat::Sse {
        // Headers alone do not reach every client; a comment does.
        encoder.keep_alive(&mut opening);
    }
    let relay = Relay {
        edge: Arc::clone(edge),
        route: Arc::clone(route),
        template: binding.template().to_owned(),
        request_id: Arc::clone(&exchange.request_id),
        encoder,
        body,
        buffer: BytesMut::new(),
        stop: edge.hub.shutdown_token(),
        heartbeat: Duration::from_secs(edge.config.heartbeat_seconds.max(1)),
        pending: Some(opening.into()).filter(|opening: &Bytes| !opening.is_empty()),
        over: false,
    };
    let frames = stream::unfold(relay, |mut relay| async move {
        let piece = relay.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(piece)), relay))
    });
    let mut response = Response::new(EdgeBody::Stream(UnsyncBoxBody::new(StreamBody::new(
        frames,
    ))));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.content_type()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(UNBUFFERED.0, UNBUFFERED.1);
    response
}

/// Takes messages from a service and gives pieces of a body.
struct Relay {
    edge: Arc<Edge>,
    route: Arc<Route>,
    template: String,
    request_id: Arc<str>,
    encoder: StreamEncoder,
    body: Body,
    buffer: BytesMut,
    stop: Shutdown,
    heartbeat: Duration,
    pending: Option<Bytes>,
    over: bool,
}

/// What came from the service.
enum Step {
    Messages(Vec<u8>),
    End,
    Failed(Status),
    Idle,
}

impl Relay {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        if self.over {
            return None;
        }
        let mut out = Vec::new();
        match self.step().await {
            Step::Messages(messages) => out = messages,
            Step::Idle => self.encoder.keep_alive(&mut out),
            Step::End => {
                self.over = true;
                self.encoder.close(&mut out);
            }
            // Browsers come back by themselves and say what they have seen.
            Step::Failed(status) if self.is_resumable(&status) => {
                self.over = true;
                self.encoder.close(&mut out);
            }
            Step::Failed(status) => {
                self.over = true;
                let rendered = Rendered::of(&status);
                let now = self.edge.hub.clock().now();
                let status = http_status(&rendered);
                let json = render(&rendered, status, ErrorFormat::House, &self.request_id, now);
                self.encoder.failure(&json, &mut out);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    async fn step(&mut self) -> Step {
        loop {
            let clock = self.edge.hub.clock().clone();
            let frame = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Step::Failed(pipeline::stopping().into()),
                frame = self.body.frame() => frame,
                () = clock.sleep(self.heartbeat) => return Step::Idle,
            };
            let frame = match frame {
                None => return Step::End,
                Some(Err(status)) => return Step::Failed(status),
                Some(Ok(frame)) => frame,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => match frame.trailers_ref().and_then(failed) {
                    Some(status) => return Step::Failed(status),
                    None => return Step::End,
                },
            };
            self.buffer.extend_from_slice(&data);
            match self.messages() {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Step::Messages(out),
                Err(failure) => return Step::Failed(failure.into()),
            }
        }
    }

    /// Whether the stream only ended for now: its time is over, or the hub stops.
    fn is_resumable(&self, status: &Status) -> bool {
        self.encoder.format() == StreamFormat::Sse
            && (status.code() == Code::DeadlineExceeded || self.stop.is_cancelled())
    }

    /// All messages that have arrived whole.
    fn messages(&mut self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let mut json = Vec::new();
        while let Some(message) = wire::take_message(&mut self.buffer).map_err(Failure::internal)? {
            let binding = self
                .edge
                .transcoder
                .bindings_of(self.route.policy.descriptor.full_name())
                .find(|binding| binding.template() == self.template)
                .ok_or_else(|| Failure::internal("a binding is gone"))?;
            json.clear();
            self.edge
                .transcoder
                .write_response_into(binding, &message, &mut json)
                .map_err(Failure::internal)?;
            let field =
                |number: Option<u32>| number.and_then(|number| wire::text_field(&message, number));
            let event = SseEvent {
                id: field(self.route.event.id).map(Into::into),
                event: field(self.route.event.kind).map(Into::into),
                data: &json,
            };
            self.encoder.event(&event, &mut out);
        }
        Ok(out)
    }
}
