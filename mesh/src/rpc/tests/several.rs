//! Several processes for one target: what happens when one of them goes, fails or is slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::hub::agents::v1::ListAgentsRequest;
use tonic::Code;

use super::fixture::*;
use crate::{Clock, Reason, Rendered};

/// Nothing here is optional, so that calls wait for who comes back.
const REQUIRED: (&str, &str) = ("mesh.optional_targets", "[]");

/// Calls that change something, one after another in several tasks, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    succeeded: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<tonic::Status>>>,
}

impl Load {
    fn start(client: &Process, tasks: usize) -> Self {
        let (stop, succeeded) = (Arc::default(), Arc::default());
        let tasks = (0..tasks)
            .map(|_| {
                let (mut agents, ctx) = (client.agents(), client.anonymous());
                let (stop, succeeded): (Arc<AtomicBool>, Arc<AtomicUsize>) =
                    (Arc::clone(&stop), Arc::clone(&succeeded));
                tokio::spawn(async move {
                    let mut failures = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        match agents.invoke(ctx.call(invoke("echo"))).await {
                            Ok(_) => drop(succeeded.fetch_add(1, Ordering::SeqCst)),
                            Err(status) => failures.push(status),
                        }
                    }
                    failures
                })
            })
            .collect();
        Self {
            stop,
            succeeded,
            tasks,
        }
    }

    /// Waits for `more` further successes.
    async fn goes_on(&self, more: usize) {
        let wanted = self.succeeded.load(Ordering::SeqCst) + more;
        while self.succeeded.load(Ordering::SeqCst) < wanted {
            assert!(
                self.tasks.iter().any(|task| !task.is_finished()),
                "every task has ended"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) -> (usize, Vec<tonic::Status>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap());
        }
        (self.succeeded.load(Ordering::SeqCst), failures)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_drains_loses_no_call_and_repeats_none() {
    let (first, second) = (
        process(Clock::system(), &[]).await,
        process(Clock::system(), &[]).await,
    );
    let addresses = format!("{},{}", first.listen().await, second.listen().await);
    let client = empty_process(Clock::system(), &[("peers.agents", &addresses), REQUIRED]).await;
    let load = Load::start(&client, 8);
    load.goes_on(200).await;
    first.hub.drain().await;
    first.listener_ended().await;
    load.goes_on(200).await;
    let (succeeded, failures) = load.end().await;
    assert_eq!(failures.len(), 0, "{:?}", failures.first());
    let (first, second) = (
        first.calls.load(Ordering::SeqCst),
        second.calls.load(Ordering::SeqCst),
    );
    assert!(first > 0 && second > 0, "{first} {second}");
    assert_eq!(first + second, succeeded, "no call was executed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_process_is_waited_for_while_it_is_replaced() {
    let first = process(Clock::system(), &[]).await;
    let address = first.listen().await;
    let client = empty_process(Clock::system(), &[("peers.agents", &address), REQUIRED]).await;
    let load = Load::start(&client, 4);
    load.goes_on(50).await;
    first.hub.drain().await;
    first.listener_ended().await;
    // A process started again on the same port, as a rolling restart does.
    let second = process(Clock::system(), &[]).await;
    second
        .listen_on(address.trim_start_matches("http://"))
        .await;
    load.goes_on(50).await;
    let (succeeded, failures) = load.end().await;
    assert_eq!(failures.len(), 0, "{:?}", failures.first());
    let executed = first.calls.load(Ordering::SeqCst) + second.calls.load(Ordering::SeqCst);
    assert_eq!(executed, succeeded);
}

#[tokio::test]
async fn who_cannot_be_reached_costs_no_call() {
    let server = process(Clock::system(), &[]).await;
    // Nobody listens on port 1; a call that changes something is sent on all the same.
    let addresses = format!("http://127.0.0.1:1,{}", server.listen().await);
    let client = empty_process(Clock::system(), &[("peers.agents", &addresses)]).await;
    for _ in 0..50 {
        client
            .agents()
            .invoke(client.anonymous().call(invoke("echo")))
            .await
            .unwrap();
    }
    assert_eq!(server.calls.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn a_required_target_that_stays_away_is_unavailable_with_a_time_to_wait() {
    let client = empty_process(
        Clock::system(),
        &[
            ("peers.agents", "http://127.0.0.1:1"),
            REQUIRED,
            ("mesh.patience_ms", "50"),
        ],
    )
    .await;
    let failed = client
        .agents()
        .invoke(client.anonymous().call(invoke("echo")))
        .await
        .unwrap_err();
    let rendered = Rendered::of(&failed);
    assert_eq!(rendered.reason, Reason::Unavailable);
    assert!(rendered.retry_after.is_some());
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_trusted_with_a_second_try_of_a_change() {
    let server = process(Clock::system(), &[]).await;
    let wire = Wire::to(&server.listen().await).await;
    let client = empty_process(Clock::system(), &[("peers.agents", &wire.address)]).await;
    let ctx = client.anonymous().within(Duration::from_secs(5));
    let mut agents = client.agents();
    let call = tokio::spawn(async move { agents.invoke(ctx.call(invoke("stuck"))).await });
    while server.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    wire.cut();
    let failed = call.await.unwrap().unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert_eq!(server.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_read_is_hedged_and_a_slow_change_is_not() {
    let (first, second) = (
        process(Clock::system(), &[]).await,
        process(Clock::system(), &[]).await,
    );
    let addresses = format!("{},{}", first.listen().await, second.listen().await);
    let client = empty_process(Clock::system(), &[("peers.agents", &addresses)]).await;
    let list = || async {
        client
            .agents()
            .list_agents(client.anonymous().call(ListAgentsRequest {}))
            .await
    };
    // What is slow is known only once it is known what is usual.
    for _ in 0..200 {
        let _ = list().await;
    }
    first.stall.store(true, Ordering::SeqCst);
    let before = first.calls.load(Ordering::SeqCst);
    // Each call ends although the first process never answers again; some had asked it first.
    while first.calls.load(Ordering::SeqCst) < before + 3 {
        list().await.unwrap();
    }
    // The budget ran dry nowhere: a call that did not hedge would still hang.
    assert!(second.calls.load(Ordering::SeqCst) > 0);

    let unhedged = tokio::spawn({
        let (mut agents, ctx) = (client.agents(), client.anonymous());
        let ctx = ctx.within(Duration::from_millis(300));
        async move { agents.invoke(ctx.call(invoke("stuck"))).await }
    });
    let executed = first.calls.load(Ordering::SeqCst) + second.calls.load(Ordering::SeqCst);
    let failed = unhedged.await.unwrap().unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
    let after = first.calls.load(Ordering::SeqCst) + second.calls.load(Ordering::SeqCst);
    assert!(after - executed <= 1, "{executed} -> {after}");
}

#[tokio::test]
async fn a_process_that_only_fails_is_left_out() {
    let server = process(Clock::system(), &[]).await;
    let broken = Impostor::listen().await;
    let addresses = format!("{},{}", broken.address, server.listen().await);
    let client = empty_process(Clock::system(), &[("peers.agents", &addresses)]).await;
    let mut failures = 0;
    for _ in 0..200 {
        let outcome = client
            .agents()
            .invoke(client.anonymous().call(invoke("echo")))
            .await;
        failures += usize::from(outcome.is_err());
    }
    // Five failures in a row eject it, and it stays out for longer than this takes.
    assert!(failures <= 5, "{failures}");
    assert!(server.calls.load(Ordering::SeqCst) >= 195);
}
