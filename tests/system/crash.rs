//! `kill -9` at a hundred random moments under checkout load.
//!
//! Each round lets shoppers order, kills every process of the hub at a random moment, starts it again, lets
//! the shoppers finish by repeating what failed with the same idempotency key, waits until every order has
//! ended, and checks what must never break.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde_json::Value;
use system_tests::{Hub, Mode};

use crate::checkout::{Complaints, Habit, Shop, shop_once};

const SHOPPERS: usize = 6;

/// On engines each round waits until the leases of the dead have expired, which is what takes the time.
fn rounds(mode: Mode) -> u64 {
    match mode {
        Mode::Embedded => 100,
        Mode::Engines | Mode::Mesh => 5,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_when_the_process_is_killed() {
    let mut hub = Hub::start().await.unwrap();
    // Enough for every round.
    let shop = Shop::open(&hub, 5_000).await;
    let complaints = Complaints::default();
    let mut random = SmallRng::seed_from_u64(20_261_121);
    let mut orders: HashMap<String, Value> = HashMap::new();
    for round in 0..rounds(hub.mode()) {
        let api = hub.api();
        let shoppers: Vec<_> = (0..SHOPPERS)
            .map(|shopper| {
                let (api, complaints) = (api.clone(), complaints.clone());
                tokio::spawn(async move {
                    let key = format!("crash-{round}-{shopper}");
                    shop_once(api, &key, Habit::of(shopper), &complaints).await
                })
            })
            .collect();
        let moment = Duration::from_micros(random.random_range(0..250_000));
        // Not a wait for something to happen: the moment of the crash is the test's input.
        tokio::time::sleep(moment).await;
        hub.crash_and_restart().await.unwrap();
        let mut fresh = Vec::new();
        for ended in join_all(shoppers).await {
            let order = ended.unwrap();
            let id = order["order_id"].as_str().unwrap().to_owned();
            fresh.push(id.clone());
            let before = orders.insert(id, order);
            assert!(before.is_none(), "two keys gave one order");
        }
        shop.check(&hub.api(), &orders, &fresh).await;
    }
}
