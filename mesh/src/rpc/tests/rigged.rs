//! Calls that are made to go wrong.

use std::{sync::atomic::Ordering, time::Duration};

use tonic::Code;

use super::fixture::*;
use crate::Clock;

/// The rule for the agents' `Invoke`.
fn rules(fault: &str) -> String {
    format!(r#"["rpc=hub.agents.v1.AgentService/Invoke:{fault}"]"#)
}

#[tokio::test]
async fn a_call_in_the_process_fails_before_or_after_it_was_executed() {
    for (fault, executed) in [("fail", 0), ("cut", 1)] {
        let process = process(manual_clock(), &[("faults.rules", &rules(fault))]).await;
        let ask = || async {
            let ctx = process.anonymous();
            process.agents().invoke(ctx.call(invoke("echo"))).await
        };
        ask().await.unwrap();
        process.hub.faults().arm();
        let failed = ask().await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        assert!(!failed.message().contains("fault"), "{failed}");
        assert_eq!(process.calls.load(Ordering::SeqCst), 1 + executed);
    }
}

#[tokio::test]
async fn a_slow_call_is_answered_in_the_end() {
    let clock = manual_clock();
    let process = process(clock.clone(), &[("faults.rules", &rules("delay=300ms"))]).await;
    process.hub.faults().arm();
    let begun = clock.monotonic();
    let ctx = process.anonymous();
    let mut agents = process.agents();
    let call = agents.invoke(ctx.call(invoke("echo")));
    let time = async {
        loop {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        answer = call => drop(answer.unwrap()),
        () = time => {}
    }
    assert!(clock.monotonic() - begun >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_call_to_another_process_fails_before_or_after_it_was_executed() {
    for (fault, executed) in [("fail", false), ("cut", true)] {
        let server = process(Clock::system(), &[]).await;
        let address = server.listen().await;
        let settings = [
            ("peers.agents", address.as_str()),
            ("faults.rules", &rules(fault)),
        ];
        let client = empty_process(Clock::system(), &settings).await;
        let ask = || async {
            let ctx = client.anonymous();
            client.agents().invoke(ctx.call(invoke("echo"))).await
        };
        ask().await.unwrap();
        client.hub.faults().arm();
        let failed = ask().await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        assert_eq!(server.calls.load(Ordering::SeqCst) > 1, executed);
    }
}
