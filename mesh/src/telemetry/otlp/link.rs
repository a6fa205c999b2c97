//! One signal's way to the collector.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::Channel,
};

use super::{
    batch::Stage,
    environment::{Destination, Signal},
};
use crate::clock::Clock;

/// Times that a message is sent before it is given up.
const ATTEMPTS: u32 = 3;
/// How long the second attempt waits; each further one twice as long.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What takes a message of a signal.
#[async_trait]
pub(super) trait Collector<M>: Send {
    /// Hands a message over.
    async fn export(&mut self, request: Request<M>) -> Result<(), Status>;
}

#[async_trait]
impl Collector<ExportTraceServiceRequest> for TraceServiceClient<Channel> {
    async fn export(&mut self, request: Request<ExportTraceServiceRequest>) -> Result<(), Status> {
        TraceServiceClient::export(self, request).await.map(drop)
    }
}

#[async_trait]
impl Collector<ExportMetricsServiceRequest> for MetricsServiceClient<Channel> {
    async fn export(
        &mut self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<(), Status> {
        MetricsServiceClient::export(self, request).await.map(drop)
    }
}

#[async_trait]
impl Collector<ExportLogsServiceRequest> for LogsServiceClient<Channel> {
    async fn export(&mut self, request: Request<ExportLogsServiceRequest>) -> Result<(), Status> {
        LogsServiceClient::export(self, request).await.map(drop)
    }
}

/// A client with what every message carries, and the memory of whether the last one arrived.
pub(super) struct Link<C> {
    client: C,
    signal: Signal,
    headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
    timeout: Duration,
    clock: Clock,
    stop: CancellationToken,
    state: State,
}

/// Whether messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Arriving,
    Lost,
}

impl<C> Link<C> {
    pub(super) fn new(
        client: C,
        to: &Destination,
        signal: Signal,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            signal,
            headers: to.headers.clone(),
            timeout: to.timeout,
            clock,
            stop,
            state: State::Arriving,
        }
    }

    /// Sends a message, again if the collector asks for patience. A message that does not arrive is gone;
    /// the log says so when that begins and when it ends, and not in between.
    pub(super) async fn send<M>(&mut self, message: M, stage: Stage)
    where
        C: Collector<M>,
        M: Clone,
    {
        let outcome = self.attempts(message, stage).await;
        match (outcome, self.state) {
            (Err(status), State::Arriving) => {
                self.state = State::Lost;
                tracing::warn!(
                    signal = self.signal.name(),
                    code = ?status.code(),
                    reason = status.message(),
                    "the telemetry collector takes nothing; what is recorded meanwhile is lost"
                );
            }
            (Ok(()), State::Lost) => {
                self.state = State::Arriving;
                tracing::info!(
                    signal = self.signal.name(),
                    "the telemetry collector takes data again"
                );
            }
            (Ok(()), State::Arriving) | (Err(_), State::Lost) => {}
        }
    }

    async fn attempts<M>(&mut self, message: M, stage: Stage) -> Result<(), Status>
    where
        C: Collector<M>,
        M: Clone,
    {
        let mut pause = RETRY_PAUSE;
        for _ in 1..ATTEMPTS {
            if stage == Stage::Ending || self.state == State::Lost {
                break;
            }
            match self.attempt(message.clone()).await {
                Err(status) if is_temporary(status.code()) => {}
                outcome => return outcome,
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.clock.sleep(pause) => {}
            }
            pause *= 2;
        }
        self.attempt(message).await
    }

    async fn attempt<M>(&mut self, message: M) -> Result<(), Status>
    where
        C: Collector<M>,
    {
        let mut request = Request::new(message);
        for (key, value) in &self.headers {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        self.clock
            .timeout(self.timeout, self.client.export(request))
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
    }
}

/// Whether OTLP wants a message with this answer to be sent again.
fn is_temporary(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// A message and its key.
    type Got = (u32, Option<String>);

    /// Answers as told, then with success, and keeps what it got.
    #[derive(Clone, Default)]
    struct Scripted {
        answers: Arc<Mutex<Vec<Code>>>,
        got: Arc<Mutex<Vec<Got>>>,
    }

    #[async_trait]
    impl Collector<u32> for Scripted {
        async fn export(&mut self, request: Request<u32>) -> Result<(), Status> {
            let key = request
                .metadata()
                .get("x-key")
                .and_then(|key| key.to_str().ok())
                .map(str::to_owned);
            self.got.lock().push((request.into_inner(), key));
            match self.answers.lock().pop() {
                Some(code) => Err(Status::new(code, "")),
                None => Ok(()),
            }
        }
    }

    fn link(client: Scripted) -> (Link<Scripted>, Clock) {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let to = Destination {
            endpoint: "http://c:4317".parse().unwrap(),
            headers: vec![("x-key".parse().unwrap(), "k".parse().unwrap())],
            timeout: Duration::from_secs(10),
            ca: None,
            compression: super::super::environment::Compression::Off,
        };
        let stop = CancellationToken::new();
        (
            Link::new(client, &to, Signal::Traces, clock.clone(), stop),
            clock,
        )
    }

    #[tokio::test]
    async fn a_collector_that_restarts_gets_the_message_after_all() {
        let client = Scripted::default();
        client.answers.lock().push(Code::Unavailable);
        let (mut link, clock) = link(client.clone());
        let sending = tokio::spawn(async move {
            link.send(7, Stage::Running).await;
            link.state
        });
        while client.got.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        while !sending.is_finished() {
            clock.advance(RETRY_PAUSE);
            tokio::task::yield_now().await;
        }
        assert_eq!(sending.await.unwrap(), State::Arriving);
        let got = client.got.lock().clone();
        assert_eq!(got, vec![(7, Some("k".to_owned())); 2]);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_sent_again() {
        let client = Scripted::default();
        *client.answers.lock() = vec![Code::PermissionDenied; 2];
        let (mut link, _) = link(client.clone());
        link.send(1, Stage::Running).await;
        assert_eq!(link.state, State::Lost);
        link.send(2, Stage::Running).await;
        assert_eq!(link.state, State::Lost);
        link.send(3, Stage::Running).await;
        assert_eq!(link.state, State::Arriving);
        assert_eq!(client.got.lock().len(), 3);
    }
}
