//! The body of a server stream, which must end even when its handler does not end it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use super::{CallContext, server::shown_instead};
use crate::error::{Failure, Reason};

/// A stream that ends with a status at the call's deadline or when the process drains, and whose own end
/// tells nothing of our internals.
pub(super) struct GuardedStream {
    inner: Body,
    /// The call that the stream answers.
    context: Option<CallContext>,
    end: Option<Pin<Box<dyn Future<Output = Reason> + Send>>>,
}

impl GuardedStream {
    /// The stream of a call: ends at its deadline and when the process drains.
    pub(super) fn of_call(inner: Body, context: &CallContext, draining: CancellationToken) -> Self {
        let clock = context.clock().clone();
        let deadline = context.deadline();
        let end = async move {
            let deadline = async {
                match deadline {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = deadline => Reason::DeadlineExceeded,
                () = draining.cancelled() => Reason::Unavailable,
            }
        };
        Self {
            inner,
            context: Some(context.clone()),
            end: Some(Box::pin(end)),
        }
    }

    /// A stream without deadline: ends when the process drains.
    pub(super) fn until_drain(inner: Body, draining: CancellationToken) -> Self {
        let end = async move {
            draining.cancelled().await;
            Reason::Unavailable
        };
        Self {
            inner,
            context: None,
            end: Some(Box::pin(end)),
        }
    }

    /// Trailers that may be shown.
    fn shown(&self, trailers: HeaderMap) -> Result<HeaderMap, Status> {
        let shown = self.context.as_ref().and_then(|context| {
            let status = Status::from_header_map(&trailers)?;
            shown_instead(&status, context)
        });
        match shown {
            Some(status) => in_trailers(&status),
            None => Ok(trailers),
        }
    }
}

impl HttpBody for GuardedStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        // The end is polled first: a handler that always has something to send must end as well.
        if let Poll::Ready(reason) = end.as_mut().poll(cx) {
            self.end = None;
            let status = Status::from(Failure::new(reason, reason.spec().message));
            return Poll::Ready(Some(in_trailers(&status).map(Frame::trailers)));
        }
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        let frame = match frame.map(|frame| frame.map(Frame::into_trailers)) {
            None => {
                self.end = None;
                None
            }
            Some(Ok(Ok(trailers))) => {
                // Nothing follows trailers, the deadline's neither.
                self.end = None;
                Some(self.shown(trailers).map(Frame::trailers))
            }
            Some(Ok(Err(data))) => Some(Ok(data)),
            Some(Err(status)) => Some(Err(status)),
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none()
    }
}

fn in_trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(trailers)
}
