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

#[test]
fn a_charge_without_tombstone_is_caught() {
    is_caught(Bug::NoPaymentTombstone);
}

#[test]
fn an_acknowledgement_before_the_effect_is_caught() {
    is_caught(Bug::AcknowledgeBeforeEffect);
}

/// What a continuous integration relies on.
#[test]
fn a_broken_invariant_fails_the_command_and_names_the_seed() {
    let command = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_simulation"))
            .args(["--per-run", "60", "--threads", "1"])
            .args(arguments)
            .output()
            .unwrap()
    };
    let sound = command(&["--checkouts", "60", "--fair"]);
    assert!(sound.status.success(), "{sound:?}");
    let broken = command(&["--checkouts", "600", "--bug", "no-inbox"]);
    assert!(!broken.status.success());
    let (said, error) = (
        String::from_utf8_lossy(&broken.stdout),
        String::from_utf8_lossy(&broken.stderr),
    );
    assert!(said.contains("BROKEN: "), "{said}");
    assert!(
        said.contains("--replay --per-run 60 --bug no-inbox"),
        "{said}"
    );
    assert!(error.contains("seed "), "{error}");
}
