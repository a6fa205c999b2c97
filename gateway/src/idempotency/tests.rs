#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, Ordering};

use mesh::{
    Cache, Clock, Config, Hub, Ids, Sources,
    store::{ScratchDatabase, Store},
};

use super::*;

struct Fixture {
    _dir: tempfile::TempDir,
    hub: Hub,
    ledger: Arc<Ledger>,
    runs: Arc<AtomicU32>,
    // Dropped after the hub.
    _database: Option<ScratchDatabase>,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let database = ScratchDatabase::create().await.unwrap();
        let sources = Sources {
            overrides: database.iter().map(ScratchDatabase::setting).collect(),
            ..Sources::default()
        };
        let hub = Hub::builder()
            .config(Config::load(&sources).unwrap())
            .data_dir(dir.path())
            .clock(clock.clone())
            .build()
            .await
            .unwrap();
        let store = hub.store("gateway", MIGRATIONS).await.unwrap();
        let ledger = Arc::new(Ledger::new(
            store,
            hub.cache(),
            clock,
            hub.ids().clone(),
            24,
        ));
        Self {
            _dir: dir,
            hub,
            ledger,
            runs: Arc::default(),
            _database: database,
        }
    }

    fn request(body: &str) -> Keyed {
        Keyed::new("u-1", "/m", "k-1", &[b"/api/orders", body.as_bytes()])
    }

    async fn send(&self, body: &str, answer: Result<Bytes, Status>) -> Result<Outcome, Failure> {
        let runs = Arc::clone(&self.runs);
        once(&self.ledger, Self::request(body), DEADLINE, async move {
            runs.fetch_add(1, Ordering::SeqCst);
            answer
        })
        .await
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    fn advance(&self, by: Duration) {
        self.hub.clock().advance(by);
    }
}

#[tokio::test]
async fn the_second_request_gets_the_first_answer() {
    let fixture = Fixture::new().await;
    let first = fixture
        .send("{}", Ok(Bytes::from_static(b"order 1")))
        .await
        .unwrap();
    assert!(!first.replayed);
    let second = fixture
        .send("{}", Ok(Bytes::from_static(b"order 2")))
        .await
        .unwrap();
    assert!(second.replayed);
    assert_eq!(second.answer.unwrap(), "order 1");
    assert_eq!(fixture.runs(), 1);
}

#[tokio::test]
async fn a_refusal_is_replayed_with_its_details() {
    let fixture = Fixture::new().await;
    let refusal =
        Failure::conflict(Reason::OutOfStock, "only 2 left").with_field("quantity", "too many");
    fixture.send("{}", Err(refusal.into())).await.unwrap();
    let second = fixture.send("{}", Ok(Bytes::new())).await.unwrap();
    let rendered = Rendered::of(&second.answer.unwrap_err());
    assert_eq!(rendered.reason, Reason::OutOfStock);
    assert_eq!(rendered.message, "only 2 left");
    assert_eq!(rendered.fields[0].field, "quantity");
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let fixture = Fixture::new().await;
    fixture.send("{}", Ok(Bytes::new())).await.unwrap();
    let other = fixture
        .send("{\"a\":1}", Ok(Bytes::new()))
        .await
        .unwrap_err();
    assert_eq!(other.reason(), Reason::IdempotencyKeyReused);
    assert_eq!(fixture.runs(), 1);
}

#[tokio::test]
async fn what_is_worth_trying_again_is_not_kept() {
    let fixture = Fixture::new().await;
    let down = Status::from(Failure::unavailable("payments cannot be reached"));
    assert!(fixture.send("{}", Err(down)).await.unwrap().answer.is_err());
    let again = fixture
        .send("{}", Ok(Bytes::from_static(b"done")))
        .await
        .unwrap();
    assert!(!again.replayed);
    assert_eq!(again.answer.unwrap(), "done");
}

#[tokio::test]
async fn a_running_request_is_not_run_twice_and_a_dead_one_is_taken_over() {
    let fixture = Fixture::new().await;
    // A claim whose process died: nobody will ever answer it.
    let claimed = fixture
        .ledger
        .claim(&Fixture::request("{}"), DEADLINE)
        .await
        .unwrap();
    let Found::Claimed(dead) = claimed else {
        panic!("{claimed:?}")
    };
    let busy = fixture.send("{}", Ok(Bytes::new())).await.unwrap_err();
    assert_eq!(busy.reason(), Reason::IdempotencyInProgress);
    assert_eq!(fixture.runs(), 0);

    fixture.advance(Duration::from_secs(16));
    let taken = fixture
        .send("{}", Ok(Bytes::from_static(b"second life")))
        .await
        .unwrap();
    assert!(!taken.replayed);
    // The dead one comes back and finds that it has lost its claim.
    let late = Ok(Bytes::from_static(b"late"));
    fixture
        .ledger
        .answer(&Fixture::request("{}"), dead, &late)
        .await
        .unwrap();
    let replay = fixture.send("{}", Ok(Bytes::new())).await.unwrap();
    assert_eq!(replay.answer.unwrap(), "second life");
}

#[tokio::test]
async fn the_call_goes_on_when_the_client_hangs_up() {
    let fixture = Fixture::new().await;
    let (started, start) = tokio::sync::oneshot::channel();
    let (finish, finished) = tokio::sync::oneshot::channel();
    let ledger = Arc::clone(&fixture.ledger);
    let client = tokio::spawn(async move {
        once(&ledger, Fixture::request("{}"), DEADLINE, async move {
            started.send(()).unwrap();
            finished.await.unwrap();
            Ok(Bytes::from_static(b"kept"))
        })
        .await
    });
    start.await.unwrap();
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    finish.send(()).unwrap();
    let replay = loop {
        match fixture.send("{}", Ok(Bytes::new())).await {
            Ok(outcome) => break outcome,
            Err(failure) => assert_eq!(failure.reason(), Reason::IdempotencyInProgress),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(replay.answer.unwrap(), "kept");
}

#[tokio::test]
async fn answers_are_forgotten_after_a_day() {
    let fixture = Fixture::new().await;
    fixture
        .send("{}", Ok(Bytes::from_static(b"1")))
        .await
        .unwrap();
    assert_eq!(fixture.ledger.purge().await.unwrap(), 0);
    fixture.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(fixture.ledger.purge().await.unwrap(), 1);
    let again = fixture
        .send("{}", Ok(Bytes::from_static(b"2")))
        .await
        .unwrap();
    assert!(!again.replayed);
}

#[test]
fn parts_of_a_request_do_not_run_together() {
    let one = Keyed::new("u", "/m", "k", &[b"ab", b"c"]);
    let two = Keyed::new("u", "/m", "k", &[b"a", b"bc"]);
    assert_eq!(one.id, two.id);
    assert_ne!(one.fingerprint, two.fingerprint);
    assert_ne!(
        Keyed::new("um", "/", "k", &[]).id,
        Keyed::new("u", "m/", "k", &[]).id
    );
}

#[test]
fn the_contract_says_who_needs_a_key() {
    assert!(require(Idempotency::Required, None).is_err());
    assert_eq!(
        require(Idempotency::Required, Some("k")).unwrap(),
        Some("k")
    );
    assert_eq!(require(Idempotency::Optional, None).unwrap(), None);
    assert_eq!(require(Idempotency::Unspecified, Some("k")).unwrap(), None);
}

/// Two gateways on one store, each sent the same request many times at once.
async fn race(store: Store) {
    let clock = Clock::system();
    let gateways: Vec<Arc<Ledger>> = (0..2)
        .map(|_| {
            let ids = Ids::random(clock.clone());
            let cache = Cache::in_process(clock.clone());
            Arc::new(Ledger::new(store.clone(), &cache, clock.clone(), ids, 24))
        })
        .collect();
    let runs = Arc::new(AtomicU32::new(0));
    let requests = (0..32).map(|number| {
        let (ledger, runs) = (Arc::clone(&gateways[number % 2]), Arc::clone(&runs));
        tokio::spawn(async move {
            let call = async move {
                runs.fetch_add(1, Ordering::SeqCst);
                Ok(Bytes::from(format!("run by {}", number % 2)))
            };
            once(&ledger, Fixture::request("{}"), DEADLINE, call).await
        })
    });
    let mut answers = Vec::new();
    for outcome in futures::future::join_all(requests).await {
        match outcome.unwrap() {
            Ok(outcome) => answers.push(outcome.answer.unwrap()),
            Err(failure) => assert_eq!(failure.reason(), Reason::IdempotencyInProgress),
        }
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// On PostgreSQL where there is one, else on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_with_one_key_one_runs_it() {
    let clock = Clock::system();
    let ids = Ids::random(clock.clone());
    let store = Store::scratch("gateway", MIGRATIONS, clock, ids)
        .await
        .unwrap();
    race(store).await;
}
