//! The order saga in worlds where everything goes wrong.

#![allow(clippy::unwrap_used)]

use simulation::{Bug, Keep, Plan, Run, Weather, run};

/// Runs of one plan, from seed 1 on.
const RUNS: u64 = 8;

fn tell(run: &Run) -> String {
    format!(
        "seed {}: {:#?}\nreplay: cargo run --release -p simulation -- --seed {} --replay",
        run.seed, run.broken, run.seed
    )
}

#[test]
fn in_fair_weather_every_checkout_is_answered() {
    let plan = Plan {
        weather: Weather::Fair,
        ..Plan::default()
    };
    let run = run(7, plan, Keep::Hash).unwrap();
    assert!(run.broken.is_empty(), "{}", tell(&run));
    assert_eq!(run.counts.checkouts, 250);
    assert_eq!(run.counts.unanswered, 0, "{:?}", run.counts);
    assert!(run.counts.ordered > 100, "{:?}", run.counts);
}

#[test]
fn a_seed_is_one_run_and_another_seed_is_another() {
    let plan = Plan {
        checkouts: 60,
        ..Plan::default()
    };
    let first = run(3, plan, Keep::Tail).unwrap();
    let again = run(3, plan, Keep::Hash).unwrap();
    assert_eq!((first.hash, first.steps), (again.hash, again.steps));
    assert_eq!(first.counts, again.counts);
    let other = run(4, plan, Keep::Hash).unwrap();
    assert_ne!(first.hash, other.hash);
}

#[test]
fn no_fault_breaks_an_invariant() {
    let mut crashes = 0;
    for seed in 1..=RUNS {
        let run = run(seed, Plan::default(), Keep::Hash).unwrap();
        assert!(run.broken.is_empty(), "{}", tell(&run));
        crashes += run.counts.crashes;
    }
    assert!(crashes > 0, "the weather was too good to show anything");
}

/// Looks for a seed that shows the bug, and repeats it.
fn is_caught(bug: Bug) {
    let plan = Plan {
        bug: Some(bug),
        ..Plan::default()
    };
    let caught = (1..=RUNS)
        .map(|seed| run(seed, plan, Keep::Hash).unwrap())
        .find(|run| !run.broken.is_empty())
        .unwrap_or_else(|| panic!("{bug:?} was not caught"));
    let again = run(caught.seed, plan, Keep::Tail).unwrap();
    assert_eq!(again.broken, caught.broken);
    assert_eq!(again.hash, caught.hash);
    assert!(!again.tail.is_empty());
}

#[test]
fn a_missing_inbox_is_caught() {
    is_caught(Bug::NoInbox);
}

#[test]
fn a_reservation_without_tombstone_is_caught() {
    is_caught(Bug::NoReservationTombstone);
}

#[test]
fn a_confirmation_of_what_was_not_stored_is_caught() {
    is_caught(Bug::ConfirmBeforeStored);
}
