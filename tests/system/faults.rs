//! Shoppers while things go wrong on purpose: answers that are late or lost, events that come twice or in
//! another order, stores that fail, a consumer that always does, and a full disk.

use std::collections::HashMap;

use futures::future::join_all;
use serde_json::{Value, json};
use system_tests::{
    Answer, Api, Hub, HubOptions, Mode, eventually, order_body, run, small_disks_refused,
};
use tokio::task::JoinHandle;

use crate::{
    checkout::{Complaints, Habit, Shop, shop_once},
    shared::{PRODUCT, id},
};

const SHOPPERS: usize = 6;
const ROUNDS: usize = 2;
/// Words that are nobody's business but the operator's.
const INTERNALS: [&str; 5] = ["disk", "sqlite", "injected", "no space", "database"];

/// What goes wrong, as the environment says it.
const RULES: &str = "HUB__FAULTS__RULES";
/// So short that a test need not wait, so many that nothing becomes a dead letter by bad luck.
const PATIENT: (&str, &str) = (
    "HUB__EVENTS__RETRY_DELAYS_MS",
    "[50, 100, 200, 400, 800, 1600, 3200, 6400]",
);

fn rules(faults: &[&str]) -> String {
    json!(faults).to_string()
}

/// Stops the hub in order and starts it again with these faults.
async fn restart_with(hub: &mut Hub, faults: &[&str]) {
    assert_eq!(hub.stop().await.unwrap(), Some(0));
    hub.set_environment(RULES, &rules(faults));
    hub.start_again().await.unwrap();
}

/// Shoppers who begin now, each with a key of its own that begins with `round`.
fn begin_shopping(api: &Api, round: &str, complaints: &Complaints) -> Vec<JoinHandle<Value>> {
    (0..SHOPPERS)
        .map(|shopper| {
            let (api, complaints) = (api.clone(), complaints.clone());
            let key = format!("{round}-{shopper}");
            tokio::spawn(async move { shop_once(api, &key, Habit::of(shopper), &complaints).await })
        })
        .collect()
}

/// Waits for shoppers and adds their orders; no order may be there already.
async fn finish_shopping(shoppers: Vec<JoinHandle<Value>>, orders: &mut HashMap<String, Value>) {
    for ended in join_all(shoppers).await {
        let order = ended.unwrap();
        let before = orders.insert(id(&order, "order_id").to_owned(), order);
        assert!(before.is_none(), "two keys gave one order");
    }
}

/// What was seen of a hub while things went wrong in it.
struct Trial {
    mode: Mode,
    metrics: String,
    log: String,
}

impl Trial {
    /// Lets shoppers order while `faults` happen, and checks goods and money of all of them afterwards.
    async fn of(faults: &[&str]) -> Self {
        let (key, value) = PATIENT;
        let options = HubOptions::unlimited().env(key, value);
        let mut hub = Hub::start_with(options).await.unwrap();
        let shop = Shop::open(&hub, 1_000).await;
        restart_with(&mut hub, faults).await;
        let complaints = Complaints::default();
        let mut orders = HashMap::new();
        for round in 0..ROUNDS {
            let shoppers = begin_shopping(&hub.api(), &format!("fault-{round}"), &complaints);
            finish_shopping(shoppers, &mut orders).await;
        }
        let trial = Self {
            mode: hub.mode(),
            metrics: hub.api().get("/metrics").await.text,
            log: hub.log(),
        };
        restart_with(&mut hub, &[]).await;
        let all: Vec<String> = orders.keys().cloned().collect();
        shop.check(&hub.api(), &orders, &all).await;
        println!("what shoppers had to repeat: {:?}", complaints.counts());
        trial
    }

    /// Whether this happened at a place, as far as the process with the gateway knows.
    fn happened(&self, point: &str, kind: &str) -> bool {
        let wanted = [
            "hub_faults_injected_total{".to_owned(),
            format!("point=\"{point}\""),
            format!("kind=\"{kind}\""),
        ];
        self.metrics
            .lines()
            .filter(|line| wanted.iter().all(|part| line.contains(part.as_str())))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .any(|count| count > 0.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_slow_network_checkouts_take_longer_and_nobody_pays_twice() {
    let trial = Trial::of(&["rpc=*:delay=5ms..150ms"]).await;
    assert!(trial.happened("rpc", "delay"));
    assert!(
        trial.log.contains("a fault will be injected on purpose"),
        "{}",
        trial.log
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_cost_a_repetition_and_nothing_else() {
    let trial = Trial::of(&[
        "rpc=hub.payments.v1.*:cut,probability=0.2",
        "rpc=hub.inventory.v1.*:cut,probability=0.2",
        "rpc=*:cut,probability=0.1",
        "rpc=*:fail,probability=0.05",
    ])
    .await;
    assert!(trial.happened("rpc", "cut"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_come_twice_or_late_have_their_effect_once() {
    let trial = Trial::of(&[
        "publish=*:duplicate,probability=0.3",
        "publish=*:reorder,probability=0.3",
        "publish=*:cut,probability=0.2",
        "publish=*:fail,probability=0.1",
        "consumer=*:cut,probability=0.1",
    ])
    .await;
    if trial.mode != Mode::Mesh {
        for kind in ["duplicate", "reorder", "cut"] {
            assert!(trial.happened("publish", kind), "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_fail_or_keep_the_word_of_a_commit_leave_nothing_half_done() {
    let trial = Trial::of(&[
        "store=*:fail,probability=0.02",
        "store=*:cut,probability=0.05",
    ])
    .await;
    assert!(trial.happened("store", "fail"));
}

/// The ids of the letters in what `hub dlq list` has printed.
fn letters(printed: &str) -> Vec<String> {
    let lines = printed
        .lines()
        .filter(|line| line.contains("shipping.schedule"));
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

async fn dead_letters(hub: &Hub) -> Vec<String> {
    let arguments = ["dlq", "list", "--consumer", "shipping.schedule"];
    let listed = hub.command(&arguments).await.unwrap();
    assert_eq!(listed.code, Some(0), "{listed:?}");
    letters(&listed.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_consumer_always_fails_at_is_a_dead_letter_until_it_is_replayed() {
    let options = HubOptions::unlimited()
        .env(RULES, &rules(&["consumer=shipping.schedule:fail"]))
        .env("HUB__EVENTS__RETRY_DELAYS_MS", "[50, 100]");
    let mut hub = Hub::start_with(options).await.unwrap();
    let shop = Shop::open(&hub, 100).await;
    let guest = hub.api().guest().await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let body = order_body("pm_card_visa");
    let order = guest.post("/api/orders", body).await.expect(201);
    let order_id = id(&order, "order_id").to_owned();
    let letter = eventually("the event to be given up", || async {
        dead_letters(&hub).await.pop()
    })
    .await;
    let shown = hub.command(&["dlq", "show", &letter]).await.unwrap();
    assert!(shown.stdout.contains(&order_id), "{shown:?}");
    let waiting = guest
        .get(&format!("/api/orders/{order_id}"))
        .await
        .expect(200);
    assert_eq!(waiting["payment_status"], "paid", "{waiting}");
    assert_ne!(waiting["status"], "processing", "{waiting}");

    // Mended; the letter is still there, and nobody tries by himself.
    restart_with(&mut hub, &[]).await;
    assert_eq!(dead_letters(&hub).await, std::slice::from_ref(&letter));
    let replayed = hub.command(&["dlq", "replay", &letter]).await.unwrap();
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let packed = guest.order_reaches(&order_id, &["processing"]).await;
    assert!(dead_letters(&hub).await.is_empty());
    let orders = HashMap::from([(order_id.clone(), packed)]);
    shop.check(&hub.api(), &orders, &[order_id]).await;
}

#[tokio::test]
async fn a_hub_with_a_fault_that_does_not_exist_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("HUB_LISTEN", "127.0.0.1:0".to_owned())];
    let fault = [
        "up",
        "--empty",
        "--fault",
        "store=order:fail,probability=0.5",
    ];
    let finished = run(folder.path(), &fault, &environment).await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("\"store=order:fail"),
        "{finished:?}"
    );
    assert!(finished.stderr.contains("orders"), "{finished:?}");

    let production = [
        environment[0].clone(),
        ("HUB_PROFILE", "production".to_owned()),
        ("HUB__PAYMENTS__PROVIDER", "test".to_owned()),
    ];
    let fault = ["up", "--empty", "--fault", "store=orders:fail"];
    let finished = run(folder.path(), &fault, &production).await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("never injected"), "{finished:?}");
}

/// Checks a refusal for want of room: the client may come back, and learns nothing of how we keep things.
#[track_caller]
fn assert_refused_for_now(answer: Answer) {
    let patience: u64 = answer.header("retry-after").parse().unwrap();
    assert!(patience > 0);
    let said = answer.text.to_lowercase();
    for word in INTERNALS {
        assert!(!said.contains(word), "{word} is in {said}");
    }
    answer.expect_error(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_writes_are_refused_reads_go_on_and_nothing_is_half_done() {
    if let Some(reason) = small_disks_refused().await {
        println!("skipped: this machine gives a process no disk of its own: {reason}");
        return;
    }
    let options = HubOptions::unlimited().on_disk_of(96);
    let hub = Hub::start_with(options).await.unwrap();
    let shop = Shop::open(&hub, 1_000).await;
    let complaints = Complaints::default();
    let mut orders = HashMap::new();
    let before = begin_shopping(&hub.api(), "room", &complaints);
    finish_shopping(before, &mut orders).await;
    let guest = hub.api().guest().await;
    guest.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let body = order_body("pm_card_visa");
    let order = guest.post("/api/orders", body).await.expect(201);
    let order_id = id(&order, "order_id").to_owned();
    let packed = guest.order_reaches(&order_id, &["processing"]).await;
    orders.insert(order_id.clone(), packed);

    let filler = hub.fill_disk().unwrap();
    let shoppers = begin_shopping(&hub.api(), "no-room", &complaints);
    let refused = eventually("a write to be refused", || async {
        let answer = guest.add_to_cart(PRODUCT, "", 1).await;
        (answer.status != 201).then_some(answer)
    })
    .await;
    assert_refused_for_now(refused);
    eventually("shoppers to be refused", || async {
        let refusals = complaints.counts().get("503").copied().unwrap_or(0);
        (refusals >= SHOPPERS as u64).then_some(())
    })
    .await;
    for path in [
        format!("/api/orders/{order_id}"),
        "/api/cart".to_owned(),
        format!("/api/products/{PRODUCT}"),
        "/api/products/search?q=sled".to_owned(),
    ] {
        guest.get(&path).await.expect(200);
    }

    // With room again the same process goes on.
    drop(filler);
    finish_shopping(shoppers, &mut orders).await;
    let after = begin_shopping(&hub.api(), "room-again", &complaints);
    finish_shopping(after, &mut orders).await;
    let all: Vec<String> = orders.keys().cloned().collect();
    shop.check(&hub.api(), &orders, &all).await;
    assert_eq!(orders.len(), 1 + 3 * SHOPPERS);
}
