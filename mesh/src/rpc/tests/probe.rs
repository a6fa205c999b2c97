//! The port for those without a certificate.

use http_body_util::BodyExt;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::fixture::*;
use crate::Clock;

/// Status and body of `GET path`.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(path)
        .header("host", "probe")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn it_tells_of_life_readiness_and_metrics_and_of_nothing_else() {
    let process = process(Clock::system(), &[]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let probing = tokio::spawn(crate::rpc::serve_probes(
        listener,
        process.hub.clone(),
        std::future::pending(),
    ));
    assert_eq!(get(address, "/live").await.0, 200);
    assert_eq!(get(address, "/ready").await.0, 200);
    assert_eq!(get(address, "/metrics").await.0, 200);
    assert_eq!(
        get(address, "/hub.agents.v1.AgentService/Invoke").await.0,
        404
    );

    let connection = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(connection.clone());
    let ask = || HealthCheckRequest {
        service: String::new(),
    };
    let status = health.check(ask()).await.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::Serving as i32);
    // The mesh itself is not to be had here.
    let mut agents =
        contracts::hub::agents::v1::agent_service_client::AgentServiceClient::new(connection);
    assert!(agents.invoke(invoke("echo")).await.is_err());

    // A drain is seen here, and life goes on.
    process.hub.drain().await;
    let status = health.check(ask()).await.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::NotServing as i32);
    assert_eq!(get(address, "/ready").await.0, 503);
    assert_eq!(get(address, "/live").await.0, 200);
    probing.abort();
}
