use std::{sync::atomic::Ordering, time::Duration};

use contracts::hub::agents::v1::ListAgentsRequest;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha::server_reflection_client::ServerReflectionClient as AlphaClient,
};

use super::fixture::*;
use crate::{Clock, Principal, Reason, Rendered};

#[tokio::test]
async fn a_call_to_another_process_carries_everything() {
    let server = process(Clock::system(), &[]).await;
    let address = server.listen().await;
    let client = empty_process(Clock::system(), &[("peers.agents", &address)]).await;
    let ctx = client
        .anonymous()
        .with_principal(Principal::guest("g-1"))
        .within(Duration::from_secs(5));
    let answer = client
        .agents()
        .invoke(ctx.call(invoke("echo")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.agent, "guest:g-1");
    assert_eq!(answer.summary, "r-1");
    assert_eq!(answer.operation, ctx.trace().trace_id());
    let left: u64 = answer.session_id.parse().unwrap();
    assert!(left > 0 && left <= 5000, "{left}");

    let failed = client
        .agents()
        .invoke(ctx.call(invoke("raw")))
        .await
        .unwrap_err();
    assert_eq!(
        (failed.code(), failed.message()),
        (Code::Internal, "internal error")
    );
    let invalid = client
        .agents()
        .invoke(ctx.call(invoke("No!")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&invalid).fields[0].field, "service_name");
    let answer = client
        .agents()
        .invoke(ctx.call(invoke("ask-as-service")))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().agent, "service:agents");
}

#[tokio::test]
async fn a_process_with_another_key_is_not_believed() {
    let server = process(Clock::system(), &[]).await;
    let address = server.listen().await;
    let settings = [
        ("peers.agents", address.as_str()),
        ("mesh.internal_key", "another key of at least 32 characters"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let sources = settings
        .iter()
        .fold(crate::Sources::default(), |sources, (path, value)| {
            sources.with_override(path, *value)
        });
    let stranger = crate::Hub::builder()
        .config(crate::Config::load(&sources).unwrap())
        .data_dir(dir.path())
        .build()
        .await
        .unwrap();
    let ctx = crate::CallContext::background("agents", &stranger).with_caller("gateway");
    let refused = contracts::hub::agents::v1::agent_service_client::AgentServiceClient::new(
        stranger.channel(),
    )
    .invoke(ctx.call(invoke("echo")))
    .await
    .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::Unauthenticated);
    assert_eq!(server.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn safe_calls_are_sent_again_and_others_are_not() {
    let server = process(Clock::system(), &[]).await;
    let address = server.listen().await;
    let client = empty_process(Clock::system(), &[("peers.agents", &address)]).await;
    // ListAgents is declared safe and fails twice.
    client
        .agents()
        .list_agents(client.anonymous().call(ListAgentsRequest {}))
        .await
        .unwrap();
    assert_eq!(server.calls.load(Ordering::SeqCst), 3);
    // Invoke is not.
    let failed = client
        .agents()
        .invoke(client.anonymous().call(invoke("down")))
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert_eq!(server.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_process_that_is_gone_is_unavailable_and_then_not_asked() {
    let client = empty_process(Clock::system(), &[("peers.agents", "http://127.0.0.1:1")]).await;
    for _ in 0..21 {
        let failed = client
            .agents()
            .invoke(client.anonymous().call(invoke("echo")))
            .await
            .unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
    }
    let failed = client
        .agents()
        .invoke(client.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    assert!(
        failed.message().contains("not asked"),
        "{}",
        failed.message()
    );
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let server = process(Clock::system(), &[]).await;
    let address = server.listen().await;
    let connection = tonic::transport::Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(connection.clone());
    for service in ["", "hub.agents.v1.AgentService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, ServingStatus::Serving as i32, "{service:?}");
    }
    let absent = HealthCheckRequest {
        service: "hub.orders.v1.OrderService".to_owned(),
    };
    assert_eq!(
        health.check(absent).await.unwrap_err().code(),
        Code::NotFound
    );

    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(connection.clone())
        .server_reflection_info(futures::stream::iter([list]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<&str> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in ["hub.orders.v1.OrderService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let none = futures::stream::empty();
    assert!(
        AlphaClient::new(connection)
            .server_reflection_info(none)
            .await
            .is_ok()
    );

    server.hub.drain().await;
    assert!(!server.hub.is_ready());
}
