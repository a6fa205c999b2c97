use std::time::Duration;

use contracts::hub::agents::v1::InvokeStreamRequest;
use tonic::Code;

use super::fixture::*;

fn stream(agent: &str) -> InvokeStreamRequest {
    InvokeStreamRequest {
        service_name: agent.to_owned(),
        ..InvokeStreamRequest::default()
    }
}

#[tokio::test]
async fn a_stream_passes_through() {
    let process = process(manual_clock(), &[]).await;
    let mut answers = process
        .agents()
        .invoke_stream(process.anonymous().call(stream("short")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().event, "short");
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn an_endless_stream_ends_at_its_deadline() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[]).await;
    let mut answers = process
        .agents()
        .invoke_stream(process.anonymous().call(stream("endless")))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    clock.advance(Duration::from_secs(60));
    assert_eq!(
        answers.message().await.unwrap_err().code(),
        Code::DeadlineExceeded
    );
}

#[tokio::test]
async fn an_endless_stream_ends_when_the_process_drains() {
    let process = process(manual_clock(), &[]).await;
    let mut answers = process
        .agents()
        .invoke_stream(process.anonymous().call(stream("endless")))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    process.hub.drain().await;
    assert_eq!(
        answers.message().await.unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn a_stream_that_breaks_tells_nothing_of_our_internals() {
    let process = process(manual_clock(), &[]).await;
    let mut answers = process
        .agents()
        .invoke_stream(process.anonymous().call(stream("leaking")))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let broken = answers.message().await.unwrap_err();
    assert_eq!(
        (broken.code(), broken.message()),
        (Code::Internal, "internal error")
    );
    assert!(!String::from_utf8_lossy(broken.details()).contains("secret"));
}
