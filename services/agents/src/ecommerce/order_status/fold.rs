//! Folds facts into the state of an order.
//!
//! Facts arrive from several services in any order and more than once. The fold sorts them by time and
//! id, so every permutation and duplication of the same facts gives the same state.

use chrono::{DateTime, Utc};

use super::facts::Fact;

/// Where an order is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Status by the furthest fact.
    pub status: String,
    /// When that status began.
    pub since: DateTime<Utc>,
    /// What happened, oldest first, each once.
    pub timeline: Vec<Fact>,
    /// What looks wrong.
    pub anomalies: Vec<&'static str>,
}

/// How far a status is. The ends outrank the way there; among ends money that went back has the last word.
fn rank(status: &str) -> u8 {
    match status {
        "pending" => 1,
        "reserved" => 2,
        "paid" => 3,
        "processing" => 4,
        "shipped" => 5,
        "delivered" => 6,
        "completed" => 7,
        "out_of_stock" => 8,
        "payment_failed" => 9,
        "cancelled" => 10,
        "refunded" => 11,
        _ => 0,
    }
}

/// Whether nothing more is expected.
pub fn has_ended(status: &str) -> bool {
    rank(status) >= rank("completed")
}

/// The state that facts add up to; nothing without facts.
pub fn fold(facts: &[Fact]) -> Option<State> {
    let mut timeline = facts.to_vec();
    timeline.sort_by(|a, b| (a.at, &a.event_id).cmp(&(b.at, &b.event_id)));
    timeline.dedup_by(|a, b| a.event_id == b.event_id);
    let furthest = timeline
        .iter()
        .map(|fact| rank(&fact.status))
        .max()
        .filter(|rank| *rank > 0)?;
    let first = timeline
        .iter()
        .find(|fact| rank(&fact.status) == furthest)?;
    Some(State {
        status: first.status.clone(),
        since: first.at,
        anomalies: contradictions(&timeline),
        timeline,
    })
}

/// Facts that cannot both be right.
fn contradictions(timeline: &[Fact]) -> Vec<&'static str> {
    let delivered = timeline
        .iter()
        .find(|fact| fact.event_type == "DeliveryCompleted");
    let moved_after = delivered.is_some_and(|delivered| {
        timeline
            .iter()
            .any(|fact| fact.at > delivered.at && fact.status == "shipped")
    });
    let shipped_after_cancel = timeline
        .iter()
        .find(|fact| fact.status == "cancelled")
        .is_some_and(|cancelled| {
            timeline
                .iter()
                .any(|fact| fact.at > cancelled.at && fact.status == "shipped")
        });
    if moved_after || shipped_after_cancel {
        vec!["contradictory"]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fact(id: u32, seconds: i64, event_type: &str, status: &str) -> Fact {
        Fact {
            event_id: format!("e-{id}"),
            order_id: "o".to_owned(),
            at: DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap(),
            event_type: event_type.to_owned(),
            status: status.to_owned(),
            message: String::new(),
        }
    }

    fn delivered_order() -> Vec<Fact> {
        vec![
            fact(1, 0, "OrderCreated", "pending"),
            fact(2, 1, "InventoryReserved", "reserved"),
            fact(3, 2, "PaymentProcessed", "paid"),
            fact(4, 3, "ShipmentScheduled", "processing"),
            fact(5, 3_600, "ShipmentStatusUpdated", "shipped"),
            fact(6, 7_200, "ShipmentStatusUpdated", "shipped"),
            fact(7, 90_000, "DeliveryCompleted", "delivered"),
        ]
    }

    #[test]
    fn the_furthest_fact_names_the_state_and_its_first_moment() {
        let facts = delivered_order();
        let shipped = fold(&facts[..6]).unwrap();
        assert_eq!(shipped.status, "shipped");
        assert_eq!(shipped.since, facts[4].at);
        assert_eq!(fold(&facts).unwrap().status, "delivered");
        assert_eq!(fold(&[]), None);
    }

    #[test]
    fn a_parcel_that_moves_after_it_arrived_is_contradictory() {
        let mut facts = delivered_order();
        facts.push(fact(8, 100_000, "ShipmentStatusUpdated", "shipped"));
        assert_eq!(fold(&facts).unwrap().anomalies, ["contradictory"]);
    }

    proptest! {
        #[test]
        fn permutations_and_duplicates_fold_to_the_same_state(
            order in prop::collection::vec(0_usize..7, 0..20).prop_shuffle(),
            all in Just((0_usize..7).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let facts = delivered_order();
            let shuffled: Vec<Fact> =
                order.iter().chain(&all).map(|index| facts[*index].clone()).collect();
            prop_assert_eq!(fold(&shuffled), fold(&facts));
        }
    }
}
