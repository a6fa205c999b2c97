#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, net::SocketAddr};

use futures::future::BoxFuture;

use super::*;

/// Names that a test can move.
#[derive(Default)]
struct Names(Mutex<HashMap<String, Vec<SocketAddr>>>);

impl Names {
    fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.0.lock().insert(name.to_owned(), addresses);
    }
}

impl Resolve for Names {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            self.0
                .lock()
                .get(host)
                .cloned()
                .ok_or_else(|| std::io::Error::other("no such name"))
        })
    }
}

fn clock() -> Clock {
    Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

fn parts(clock: &Clock, names: Arc<Names>) -> PeerParts {
    PeerParts {
        ids: Ids::seeded(clock.clone(), 7),
        clock: clock.clone(),
        tls: None,
        world: None,
        resolver: names,
        ejection: Duration::from_secs(10),
        most_ejected_percent: 50,
    }
}

fn peer(clock: &Clock, value: &str) -> Arc<Peer> {
    Peer::new("orders", value, parts(clock, Arc::default())).unwrap()
}

fn shown(peer: &Peer) -> Vec<String> {
    peer.endpoints()
        .iter()
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

const FOUR: &str = "http://10.0.0.1:1,http://10.0.0.2:1,http://10.0.0.3:1,http://10.0.0.4:1";

#[tokio::test]
async fn calls_go_where_there_is_least_to_wait_for() {
    let clock = clock();
    let peer = peer(&clock, FOUR);
    let all = peer.endpoints();
    // The first process is ten times as slow as the others.
    for (index, endpoint) in all.iter().enumerate() {
        let took = Duration::from_millis(if index == 0 { 100 } else { 10 });
        peer.finish(&endpoint.begin(), Code::Ok, took);
    }
    let mut counts: HashMap<String, u32> = HashMap::new();
    let mut flights = Vec::new();
    for _ in 0..400 {
        let chosen = peer.pick(&[]).unwrap();
        *counts.entry(chosen.address.to_string()).or_default() += 1;
        flights.push(peer.begin(&chosen));
    }
    // With equal waiting times the slow one gets a tenth of what the others get.
    let slow = counts.remove("10.0.0.1:1").unwrap_or_default();
    assert!(slow < 40, "{slow}");
    for (address, count) in counts {
        assert!((90..=150).contains(&count), "{address}: {count}");
    }
    drop(flights);
    assert_eq!(all[1].cost(clock.monotonic()), 0.01);
}

#[tokio::test]
async fn every_process_is_tried_once_before_none_is_left() {
    let clock = clock();
    let peer = peer(&clock, FOUR);
    let mut tried = Vec::new();
    while let Some(endpoint) = peer.pick(&tried) {
        tried.push(endpoint);
    }
    assert_eq!(tried.len(), 4);
}

#[tokio::test]
async fn a_process_that_fails_is_left_out_and_let_in_again() {
    let clock = clock();
    let peer = peer(&clock, FOUR);
    let all = peer.endpoints();
    for _ in 0..5 {
        peer.finish(&all[0].begin(), Code::Unavailable, Duration::from_millis(1));
    }
    let picked = |peer: &Peer| {
        (0..200)
            .filter(|_| Arc::ptr_eq(&peer.pick(&[]).unwrap(), &all[0]))
            .count()
    };
    assert_eq!(picked(&peer), 0);
    clock.advance(Duration::from_secs(10));
    assert!(picked(&peer) > 0);
    // Refusals of a request say nothing about the process.
    for _ in 0..50 {
        peer.finish(&all[1].begin(), Code::NotFound, Duration::from_millis(1));
    }
    assert!(!all[1].is_ejected(clock.monotonic()));
}

#[tokio::test]
async fn half_of_the_processes_stay_however_many_fail() {
    let clock = clock();
    let peer = peer(&clock, FOUR);
    let all = peer.endpoints();
    for endpoint in all.iter() {
        for _ in 0..50 {
            peer.finish(&endpoint.begin(), Code::Internal, Duration::from_millis(1));
        }
    }
    let now = clock.monotonic();
    let out = all
        .iter()
        .filter(|endpoint| endpoint.is_ejected(now))
        .count();
    assert_eq!(out, 2);
}

#[tokio::test]
async fn a_process_that_succeeds_less_often_than_the_others_is_left_out() {
    let clock = clock();
    let peer = peer(
        &clock,
        "http://a:1,http://b:1,http://c:1,http://d:1,http://e:1",
    );
    let all = peer.endpoints();
    for (index, endpoint) in all.iter().enumerate() {
        for call in 0..60 {
            // One in three fails at the last process, never five in a row.
            let code = if index == 4 && call % 3 == 0 {
                Code::Unavailable
            } else {
                Code::Ok
            };
            peer.finish(&endpoint.begin(), code, Duration::from_millis(1));
        }
    }
    clock.advance(outlier::INTERVAL);
    peer.pick(&[]);
    let now = clock.monotonic();
    let out: Vec<bool> = all
        .iter()
        .map(|endpoint| endpoint.is_ejected(now))
        .collect();
    assert_eq!(out, [false, false, false, false, true]);
}

#[tokio::test]
async fn a_name_is_asked_for_again_and_known_processes_are_kept() {
    let clock = clock();
    let names = Arc::new(Names::default());
    names.set("orders.hub", &["10.0.0.1:7", "10.0.0.2:7"]);
    let peer = Peer::new(
        "orders",
        "dns:orders.hub:7",
        parts(&clock, Arc::clone(&names)),
    )
    .unwrap();
    peer.refresh().await;
    assert_eq!(shown(&peer), ["10.0.0.1:7", "10.0.0.2:7"]);
    let kept = Arc::clone(&peer.endpoints()[1]);

    names.set("orders.hub", &["10.0.0.3:7", "10.0.0.2:7"]);
    while shown(&peer) != ["10.0.0.2:7", "10.0.0.3:7"] {
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
    assert!(Arc::ptr_eq(&kept, &peer.endpoints()[0]));

    // No answer, or one without addresses, is no reason to forget those that work.
    names.set("orders.hub", &[]);
    peer.refresh().await;
    names.0.lock().clear();
    peer.refresh().await;
    assert_eq!(shown(&peer).len(), 2);
}

#[tokio::test]
async fn a_file_is_read_again() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders");
    std::fs::write(&file, "10.0.0.1:7\n").unwrap();
    let entry = format!("file:{}", file.display());
    let peer = Peer::new("orders", &entry, parts(&clock, Arc::default())).unwrap();
    peer.refresh().await;
    assert_eq!(shown(&peer), ["10.0.0.1:7"]);
    std::fs::write(&file, "10.0.0.1:7\n10.0.0.2:7 # new\n").unwrap();
    peer.refresh().await;
    assert_eq!(shown(&peer), ["10.0.0.1:7", "10.0.0.2:7"]);
    std::fs::write(&file, "nonsense\n").unwrap();
    peer.refresh().await;
    assert_eq!(shown(&peer).len(), 2);
}
