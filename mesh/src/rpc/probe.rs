//! The port for those who look after a process: its kubelet and its Prometheus.
//!
//! They have no certificate of the mesh, so they cannot ask where it is served. This port tells whether the
//! process lives and is ready, and its metrics, in plaintext and nothing else: `grpc.health.v1`, `/live`,
//! `/ready`, `/metrics`.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tonic::body::Body;

use super::routes::is_health;
use crate::{hub::Hub, telemetry};

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves probes on a bound listener until `stopped` completes. It goes on while the hub drains, so that the
/// drain can be seen.
pub async fn serve_probes(listener: TcpListener, hub: Hub, stopped: impl Future<Output = ()>) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            hub.clock().sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let hub = hub.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let hub = hub.clone();
                async move { Ok::<_, Infallible>(answer(&hub, request).await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT);
            // Whoever breaks off has seen enough.
            let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(hub: &Hub, request: Request<Incoming>) -> Response<Body> {
    match request.uri().path() {
        path if is_health(path) => hub.grpc_routes().serve(request.map(Body::new)).await,
        "/live" => text(StatusCode::OK, "ok\n".to_owned()),
        "/ready" => {
            // While draining nothing needs to be asked.
            if hub.is_ready() && hub.health().await.is_ready() {
                text(StatusCode::OK, "ok\n".to_owned())
            } else {
                text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned())
            }
        }
        "/metrics" => text(StatusCode::OK, telemetry::render_metrics()),
        _ => text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
