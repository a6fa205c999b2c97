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

use super::CallContext;
use crate::error::{Failure, Reason};

/// A stream that ends with a status at the call's deadline or when the process drains.
pub(super) struct GuardedStream {
    inner: Body,
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
            end: Some(Box::pin(end)),
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
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(
                status
                    .add_header(&mut trailers)
                    .map(|()| Frame::trailers(trailers)),
            ));
        }
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(None) = frame {
            self.end = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none()
    }
}
