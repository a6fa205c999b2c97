use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use contracts::hub::identity::v1::GetUserRequest;
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status, body::Body};

use super::fixture::*;
use crate::{Clock, Principal, Reason, Rendered, Role, User};

fn customer() -> Principal {
    let user = User {
        subject: "u-1".to_owned(),
        ..User::default()
    };
    Principal::user(Role::Customer, user).unwrap()
}

#[tokio::test]
async fn the_context_reaches_the_handler() {
    let process = process(manual_clock(), &[]).await;
    let ctx = process.anonymous().with_principal(customer());
    let answer = process
        .agents()
        .invoke(ctx.call(invoke("echo")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.agent, "customer:u-1");
    assert_eq!(answer.summary, "r-1");
    assert_eq!(answer.operation, ctx.trace().trace_id());
    // The policy's default of 10 s.
    assert_eq!(answer.session_id, "10000");
}

#[tokio::test]
async fn a_call_without_context_is_anonymous() {
    let process = process(manual_clock(), &[]).await;
    let answer = process
        .agents()
        .invoke(invoke("echo"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.agent, "anonymous:");
    assert!(!answer.summary.is_empty());
}

#[tokio::test]
async fn only_services_reach_methods_of_services() {
    let process = process(manual_clock(), &[]).await;
    let ctx = process.anonymous().with_principal(customer());
    let refused = process
        .agents()
        .invoke(ctx.call(invoke("ask-as-caller")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::PermissionDenied);
    let admin = Principal::user(Role::Admin, User::default()).unwrap();
    for principal in [Principal::anonymous(), admin] {
        let ctx = process.anonymous().with_principal(principal);
        let user = GetUserRequest {
            user_id: USER.to_owned(),
        };
        let refused = process
            .directory()
            .get_user(ctx.call(user))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    let answer = process
        .agents()
        .invoke(ctx.call(invoke("ask-as-service")))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().agent, "service:agents");
}

#[tokio::test]
async fn requests_are_validated_before_the_handler() {
    let process = process(manual_clock(), &[]).await;
    let refused = process
        .agents()
        .invoke(process.anonymous().call(invoke("No Such!")))
        .await
        .unwrap_err();
    let rendered = Rendered::of(&refused);
    assert_eq!(rendered.reason, Reason::InvalidArgument);
    assert_eq!(rendered.fields[0].field, "service_name");
    assert!(
        rendered.message.contains("service_name"),
        "{}",
        rendered.message
    );
    assert_eq!(process.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn malformed_and_oversized_bodies_are_refused() {
    let process = process(Clock::system(), &[]).await;
    let send = async |body: Vec<u8>| {
        let request = http::Request::post("/hub.agents.v1.AgentService/Invoke")
            .header("content-type", "application/grpc")
            .body(Body::new(Full::new(Bytes::from(body))))
            .unwrap();
        let response = process.hub.channel().dispatch(request).await;
        Status::from_header_map(response.headers()).unwrap()
    };
    let framed = |message: &[u8]| {
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        frame
    };
    assert_eq!(send(Vec::new()).await.code(), Code::InvalidArgument);
    assert_eq!(
        send(framed(&[0xff, 0xff])).await.code(),
        Code::InvalidArgument
    );
    let two = [framed(b""), framed(b"")].concat();
    assert_eq!(send(two).await.code(), Code::InvalidArgument);
    let large = send(framed(&vec![0; 5 * 1024 * 1024])).await;
    assert_eq!(Rendered::of(&large).reason, Reason::PayloadTooLarge);
}

#[tokio::test]
async fn failures_of_the_handler_show_no_internals() {
    let process = process(manual_clock(), &[]).await;
    for agent in ["panic", "internal", "raw"] {
        let failed = process
            .agents()
            .invoke(process.anonymous().call(invoke(agent)))
            .await
            .unwrap_err();
        assert_eq!(failed.code(), Code::Internal, "{agent}");
        assert_eq!(failed.message(), "internal error", "{agent}");
        let details = String::from_utf8_lossy(failed.details()).into_owned();
        assert!(!details.contains("secret"), "{agent}: {details}");
        assert!(
            details.contains("r-1"),
            "{agent} names the request: {details}"
        );
    }
    let missing = process
        .agents()
        .invoke(process.anonymous().call(invoke("nobody")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&missing).reason, Reason::NotFound);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[]).await;
    let ctx = process.anonymous();
    let mut agents = process.agents();
    let call = tokio::spawn(async move { agents.invoke(ctx.call(invoke("stuck"))).await });
    while process.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(10));
    let failed = call.await.unwrap().unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);

    let late = process.anonymous().within(Duration::ZERO);
    let failed = process
        .agents()
        .invoke(late.call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_time_left_shrinks_from_hop_to_hop() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[]).await;
    let ctx = process.anonymous().within(Duration::from_secs(6));
    let mut agents = process.agents();
    let call = tokio::spawn(async move { agents.invoke(ctx.call(invoke("slow"))).await });
    while process.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(4));
    assert_eq!(call.await.unwrap().unwrap().into_inner().session_id, "2000");
}

#[tokio::test]
async fn a_client_s_own_timeout_counts() {
    let process = process(manual_clock(), &[]).await;
    let mut request = process.anonymous().call(invoke("echo"));
    request.set_timeout(Duration::from_millis(250));
    let answer = process.agents().invoke(request).await.unwrap();
    assert_eq!(answer.into_inner().session_id, "250");
}

#[tokio::test]
async fn a_saturated_service_refuses_at_once() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[("mesh.concurrency", "1")]).await;
    let ctx = process.anonymous();
    let mut agents = process.agents();
    let stuck = tokio::spawn(async move { agents.invoke(ctx.call(invoke("stuck"))).await });
    while process.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let refused = process
        .agents()
        .invoke(process.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    let rendered = Rendered::of(&refused);
    assert_eq!(
        (rendered.reason, rendered.http_status()),
        (Reason::Overloaded, 503)
    );
    assert!(rendered.retry_after.is_some());
    stuck.abort();
    let _ = stuck.await;
    let answer = process
        .agents()
        .invoke(process.anonymous().call(invoke("echo")))
        .await;
    assert!(answer.is_ok(), "an abandoned call gives its place back");
}

#[tokio::test]
async fn an_optional_service_that_keeps_failing_is_not_asked() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[]).await;
    for _ in 0..20 {
        let _ = process
            .agents()
            .invoke(process.anonymous().call(invoke("down")))
            .await;
    }
    let calls = process.calls.load(Ordering::SeqCst);
    let cut_off = process
        .agents()
        .invoke(process.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(cut_off.code(), Code::Unavailable);
    assert_eq!(process.calls.load(Ordering::SeqCst), calls);
    clock.advance(Duration::from_secs(5));
    assert!(
        process
            .agents()
            .invoke(process.anonymous().call(invoke("echo")))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn callers_without_patience_do_not_cut_a_service_off() {
    let process = process(manual_clock(), &[]).await;
    for _ in 0..60 {
        let hurried = process.anonymous().within(Duration::ZERO);
        let expired = process
            .agents()
            .invoke(hurried.call(invoke("echo")))
            .await
            .unwrap_err();
        assert_eq!(expired.code(), Code::DeadlineExceeded);
    }
    let ctx = process.anonymous();
    assert!(
        process
            .agents()
            .invoke(ctx.call(invoke("echo")))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_does_not_run_anywhere_is_unavailable_and_what_does_not_exist_is_unimplemented() {
    let process = empty_process(manual_clock(), &[]).await;
    let absent = process
        .agents()
        .invoke(process.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    assert_eq!(absent.code(), Code::Unavailable);
    let request = http::Request::post("/hub.agents.v1.AgentService/NoSuch")
        .body(Body::empty())
        .unwrap();
    let response = process.hub.grpc_routes().serve(request).await;
    assert_eq!(
        Status::from_header_map(response.headers()).unwrap().code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn calls_are_counted_by_code() {
    crate::telemetry::install_metrics();
    let process = process(manual_clock(), &[]).await;
    let _ = process
        .agents()
        .invoke(process.anonymous().call(invoke("echo")))
        .await;
    let _ = process
        .agents()
        .invoke(process.anonymous().call(invoke("nobody")))
        .await;
    let rendered = crate::telemetry::render_metrics();
    for code in ["OK", "NOT_FOUND"] {
        let line = rendered.lines().find(|line| {
            line.starts_with("rpc_requests_total")
                && line.contains("method=\"Invoke\"")
                && line.contains(&format!("code=\"{code}\""))
        });
        assert!(line.is_some(), "{code} in {rendered}");
    }
    assert!(rendered.contains("rpc_duration_seconds_bucket"));
}

#[tokio::test]
async fn a_unary_answer_has_its_status_in_the_trailers() {
    let process = process(manual_clock(), &[]).await;
    let mut frame = vec![0, 0, 0, 0, 6, 0x0a, 4];
    frame.extend(b"echo");
    let request = http::Request::post("/hub.agents.v1.AgentService/Invoke")
        .header("content-type", "application/grpc")
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap();
    let response = process.hub.channel().dispatch(request).await;
    assert!(response.headers().get("grpc-status").is_none());
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_call_that_the_contract_does_not_declare_is_refused() {
    let process = process(manual_clock(), &[]).await;
    // Invoke declares GetUser (for these tests) but not ImportUsers; ListAgents declares nothing.
    let refused = process
        .agents()
        .invoke(process.anonymous().call(invoke("undeclared")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::CallUndeclared);
    // The edge may call what people may call and nothing else, however trusted the caller.
    let ctx = process
        .anonymous()
        .with_principal(Principal::service("gateway"));
    let user = GetUserRequest {
        user_id: USER.to_owned(),
    };
    let refused = process
        .directory()
        .get_user(ctx.call(user))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&refused).reason, Reason::CallUndeclared);
}

#[tokio::test]
async fn a_handler_that_forgets_the_context_is_still_known() {
    let process = process(manual_clock(), &[]).await;
    let answer = process
        .agents()
        .invoke(process.anonymous().call(invoke("forgets")))
        .await
        .unwrap_err();
    assert_eq!(Rendered::of(&answer).reason, Reason::CallUndeclared);
}
