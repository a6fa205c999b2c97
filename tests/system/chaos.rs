//! Processes and engines that die, and services that are replaced, under checkout load.
//!
//! These tests stop the servers that other tests need, so they are run by themselves:
//! `tests/with-services tests/chaos`.

#![allow(
    clippy::disallowed_methods,
    reason = "outages of real processes are measured on the real clock"
)]

use std::{
    collections::HashMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use system_tests::{Api, Hub, HubOptions, eventually_within};
use tokio::process::Command;

use crate::checkout::{Complaints, Habit, Shop, shop_once};

pub const SHOPPERS: usize = 8;
/// The least time that shoppers go on ordering.
const LOAD: Duration = Duration::from_secs(60);
/// Twelve processes and three servers on two cores take their time, and the tests are about what is lost.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long a victim is away.
const OUTAGE: Duration = Duration::from_secs(3);
const ENGINES: [&str; 3] = ["postgres", "redis", "rabbitmq"];

/// Shoppers who order one after the other until they are told to stop.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    finished: Arc<AtomicU64>,
    orders: Arc<Mutex<HashMap<String, Value>>>,
    complaints: Complaints,
    shoppers: Vec<tokio::task::JoinHandle<()>>,
}

impl Crowd {
    /// Lets them begin.
    pub fn gather(api: &Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let finished = Arc::new(AtomicU64::new(0));
        let orders: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
        let complaints = Complaints::default();
        let shoppers = (0..SHOPPERS)
            .map(|shopper| {
                let (api, stop, finished) = (api.clone(), Arc::clone(&stop), Arc::clone(&finished));
                let (orders, complaints) = (Arc::clone(&orders), complaints.clone());
                tokio::spawn(async move {
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("chaos-{shopper}-{round}");
                        let habit = Habit::of(shopper + round);
                        let order = shop_once(api.clone(), &key, habit, &complaints).await;
                        let id = order["order_id"].as_str().unwrap().to_owned();
                        let before = orders.lock().insert(id, order);
                        assert!(before.is_none(), "two keys gave one order");
                        finished.fetch_add(1, Ordering::Relaxed);
                        round += 1;
                    }
                })
            })
            .collect();
        Self {
            stop,
            finished,
            orders,
            complaints,
            shoppers,
        }
    }

    /// Waits until orders are finished again that were not yet, and says how long that took.
    pub async fn recovers(&self, from: &str) -> Duration {
        let before = self.finished.load(Ordering::Relaxed);
        let begin = Instant::now();
        let wanted = before + SHOPPERS as u64;
        eventually_within(
            PATIENCE,
            &format!("orders to be finished after {from}"),
            || async { (self.finished.load(Ordering::Relaxed) >= wanted).then_some(()) },
        )
        .await;
        begin.elapsed()
    }

    /// Tells them to stop; gives their orders by id, and what they were told meanwhile.
    pub async fn disperse(self) -> (HashMap<String, Value>, Complaints) {
        self.stop.store(true, Ordering::Relaxed);
        for shopper in join_all(self.shoppers).await {
            shopper.unwrap();
        }
        let orders = std::mem::take(&mut *self.orders.lock());
        (orders, self.complaints)
    }
}

async fn engine(command: &str, name: &str) -> anyhow::Result<()> {
    let control = env::var("HUB_TEST_ENGINES")?;
    let status = Command::new(control).args([command, name]).status().await?;
    ensure!(status.success(), "{command} {name}: {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "stops the servers that other tests need; tests/chaos runs it"]
async fn whatever_is_killed_no_order_is_lost_or_charged_twice() {
    let mut hub = Hub::start_with(HubOptions::unlimited().replicas(1))
        .await
        .unwrap();
    let shop = Shop::open(&hub, 100_000).await;
    let crowd = Crowd::gather(&hub.api());
    let begin = Instant::now();
    crowd.recovers("the start").await;
    let mut report = Vec::new();
    for victim in hub.members() {
        hub.kill_member(&victim).await.unwrap();
        // Not a wait for something to happen: the length of the outage is the test's input.
        tokio::time::sleep(OUTAGE).await;
        hub.start_member(&victim).await.unwrap();
        report.push((victim.clone(), crowd.recovers(&victim).await));
    }
    for victim in ENGINES {
        engine("kill", victim).await.unwrap();
        tokio::time::sleep(OUTAGE).await;
        engine("start", victim).await.unwrap();
        report.push((victim.to_owned(), crowd.recovers(victim).await));
    }
    while begin.elapsed() < LOAD {
        crowd.recovers("nothing").await;
    }
    let length = begin.elapsed();
    let (orders, complaints) = crowd.disperse().await;
    let fresh: Vec<String> = orders.keys().cloned().collect();
    shop.check(&hub.api(), &orders, &fresh).await;
    println!("\n{} orders in {:.0} s", orders.len(), length.as_secs_f64());
    println!("| killed | next {SHOPPERS} orders finished after it was back |");
    for (victim, took) in report {
        println!("| {victim} | {:.1} s |", took.as_secs_f64());
    }
    println!(
        "answers that shoppers had to repeat: {:?}",
        complaints.counts()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two processes of each kind; tests/chaos runs it"]
async fn a_rolling_restart_under_load_fails_no_request() {
    let options = HubOptions::unlimited()
        .replicas(2)
        .env("HUB__HUB__DRAIN_DELAY_MS", "1000");
    let mut hub = Hub::start_with(options).await.unwrap();
    let shop = Shop::open(&hub, 100_000).await;
    let balanced = Api::balanced(&hub.gateways());
    let crowd = Crowd::gather(&balanced);
    crowd.recovers("the start").await;
    for member in hub.members() {
        assert_eq!(hub.stop_member(&member).await.unwrap(), Some(0));
        hub.start_member(&member).await.unwrap();
        crowd.recovers(&member).await;
    }
    let (orders, complaints) = crowd.disperse().await;
    let fresh: Vec<String> = orders.keys().cloned().collect();
    shop.check(&hub.api(), &orders, &fresh).await;
    println!(
        "\n{} orders while {} processes were replaced",
        orders.len(),
        hub.members().len()
    );
    assert!(complaints.counts().is_empty(), "{:?}", complaints.counts());
}
