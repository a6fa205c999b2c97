//! Bodies: what the edge sends, and how much of what clients send it is willing to read.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use mesh::{Clock, Failure, Reason};

/// Any error of a foreign body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that comes from a client.
pub trait Inbound: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}
impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static> Inbound for B {}

/// A body that the edge sends.
#[derive(Debug)]
pub enum EdgeBody {
    /// Everything at once; `None` when it has been taken.
    Full(Option<Bytes>),
    /// Piece by piece.
    Stream(UnsyncBoxBody<Bytes, Infallible>),
    /// The answer of an RPC as it is.
    Grpc(tonic::body::Body),
}

impl EdgeBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self::Full(None)
    }
}

impl From<Bytes> for EdgeBody {
    fn from(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Grpc(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
            Self::Grpc(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(body) => body.size_hint(),
            Self::Grpc(body) => body.size_hint(),
        }
    }
}

/// Bytes beyond the limit that are read and thrown away. HTTP/1 clients look for an answer only when they
/// have sent everything: a connection that is closed on them while they send breaks before they read it.
const DISCARDED: u64 = 8 * 1024 * 1024;
/// How long that may take.
const DISCARDING: Duration = Duration::from_secs(2);

/// Reads a whole body of at most `limit` bytes within `patience`.
///
/// # Errors
/// [`Reason::PayloadTooLarge`], after a bounded rest was thrown away; [`Reason::InvalidArgument`] when the
/// client is too slow or goes away.
pub async fn read_all<B: Inbound>(
    mut body: B,
    limit: usize,
    patience: Duration,
    clock: &Clock,
) -> Result<Bytes, Failure> {
    let expected = body.size_hint();
    if expected.lower() > limit as u64 {
        if expected.lower() <= DISCARDED {
            discard(&mut body, clock).await;
        }
        return Err(too_large(limit));
    }
    if expected.exact() == Some(0) {
        return Ok(Bytes::new());
    }
    let reading = async {
        let mut first = Bytes::new();
        let mut rest: Option<BytesMut> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Failure::new(Reason::InvalidArgument, "the request body broke off")
                    .caused_by(error.into())
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let have = rest.as_ref().map_or(first.len(), BytesMut::len);
            if have + data.len() > limit {
                return Err(too_large(limit));
            }
            match &mut rest {
                Some(rest) => rest.extend_from_slice(&data),
                None if first.is_empty() => first = data,
                None => {
                    let mut joined = BytesMut::with_capacity((have + data.len()).max(8 * 1024));
                    joined.extend_from_slice(&first);
                    joined.extend_from_slice(&data);
                    rest = Some(joined);
                }
            }
        }
        Ok(rest.map_or(first, BytesMut::freeze))
    };
    match clock.timeout(patience, reading).await {
        Ok(outcome) => {
            let too_large = |failure: &Failure| failure.reason() == Reason::PayloadTooLarge;
            if outcome.as_ref().is_err_and(too_large) {
                discard(&mut body, clock).await;
            }
            outcome
        }
        Err(_) => Err(Failure::new(
            Reason::InvalidArgument,
            "the request body did not arrive in time",
        )),
    }
}

/// Throws a bounded rest of a body away.
async fn discard<B: Inbound>(body: &mut B, clock: &Clock) {
    let discarding = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whoever takes longer finds the connection closed.
    let _ = clock.timeout(DISCARDING, discarding).await;
}

fn too_large(limit: usize) -> Failure {
    Failure::new(
        Reason::PayloadTooLarge,
        format!("the request body must be at most {limit} bytes"),
    )
}

/// A request body of an RPC that is passed on as it arrives, but not beyond a number of bytes, and
/// not slower than a frame per `patience`.
pub struct Bounded<B> {
    inner: B,
    left: usize,
    limit: usize,
    patience: Duration,
    clock: Clock,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B> Bounded<B> {
    /// Bounds `inner`.
    pub fn new(inner: B, limit: usize, patience: Duration, clock: Clock) -> Self {
        Self {
            inner,
            left: limit,
            limit,
            patience,
            clock,
            waiting: None,
        }
    }
}

impl<B: Inbound> Body for Bounded<B> {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                let length = frame.data_ref().map_or(0, Bytes::len);
                match this.left.checked_sub(length) {
                    Some(left) => {
                        this.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => Poll::Ready(Some(Err(too_large(this.limit).into()))),
                }
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(tonic::Status::cancelled(
                "the request body broke off",
            )))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let (clock, patience) = (&this.clock, this.patience);
                let waiting = this.waiting.get_or_insert_with(|| {
                    let clock = clock.clone();
                    Box::pin(async move { clock.sleep(patience).await })
                });
                match waiting.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(tonic::Status::cancelled(
                        "the request body did not arrive in time",
                    )))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::stream;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn pieces(pieces: &'static [&'static str]) -> impl Inbound {
        StreamBody::new(stream::iter(pieces.iter().map(|piece| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))
        })))
    }

    #[tokio::test]
    async fn reads_up_to_the_limit() {
        let clock = Clock::system();
        let whole = read_all(pieces(&["ab", "", "cd", "e"]), 5, PATIENCE, &clock).await;
        assert_eq!(whole.unwrap(), "abcde");
        let none = read_all(pieces(&[]), 5, PATIENCE, &clock).await;
        assert!(none.unwrap().is_empty());
        let over = read_all(pieces(&["abc", "def"]), 5, PATIENCE, &clock).await;
        assert_eq!(over.unwrap_err().reason(), Reason::PayloadTooLarge);
        let announced = read_all(
            Full::new(Bytes::from_static(b"abcdef")),
            5,
            PATIENCE,
            &clock,
        )
        .await;
        assert_eq!(announced.unwrap_err().reason(), Reason::PayloadTooLarge);
    }

    #[tokio::test]
    async fn does_not_wait_for_ever() {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let reading = read_all(silent, 5, PATIENCE, &clock);
        let advance = async { clock.advance(PATIENCE) };
        let (outcome, ()) = tokio::join!(reading, advance);
        assert_eq!(outcome.unwrap_err().reason(), Reason::InvalidArgument);
    }

    #[tokio::test]
    async fn an_rpc_body_is_bounded_too() {
        let body = Bounded::new(pieces(&["abc", "def"]), 5, PATIENCE, Clock::system());
        let status = body.collect().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
