//! What was observed of a stage, and how it is weighed against the plan.
//!
//! Observations are few at first and few for rare services, so three sources are mixed: the service's own
//! (n of them), the carrier's over all its services (m), and the plan. The service's have the weight
//! n / (n + K); of what remains the carrier's have m / (m + K), and the plan has the rest. This is the
//! weight that a prior worth K observations leaves to the data (Efron and Morris, JASA 70, 1975, for means;
//! here for whole distributions as a linear pool).

use chrono::{DateTime, Utc};

use super::{
    hours::Hours,
    plan::{Plan, open_hours},
    stage::Stage,
};
use crate::logistics::network::{Network, Service};

/// Observations that weigh as much as what is known without them.
const K: f64 = 20.0;

/// A stage of a parcel that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTime {
    /// The carrier's service.
    pub service_level: String,
    /// When the parcel was planned.
    pub scheduled_at: DateTime<Utc>,
    /// When it was planned to arrive.
    pub planned_delivery: DateTime<Utc>,
    /// When it entered the stage.
    pub entered_at: DateTime<Utc>,
    /// When it left it.
    pub left_at: DateTime<Utc>,
}

/// What was observed of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Of the service.
    pub service: Vec<StageTime>,
    /// Of all services of the carrier, these included.
    pub carrier: Vec<StageTime>,
}

/// What to expect of a stage of a parcel.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// How long it takes, in open hours.
    pub hours: Hours,
    /// Observations of the service.
    pub of_service: usize,
    /// Observations of the carrier, the service's included.
    pub of_carrier: usize,
    /// Weight of the plan, 0 to 1.
    pub plan_share: f64,
}

/// Mixes what was observed with the plan.
pub fn expect(
    network: &Network,
    service: &Service,
    plan: &Plan,
    stage: Stage,
    observed: &Observed,
) -> Expectation {
    let durations = |times: &[StageTime]| -> Vec<f64> {
        times
            .iter()
            .filter_map(|time| comparable(network, service, plan, stage, time))
            .collect()
    };
    let (own, all) = (durations(&observed.service), durations(&observed.carrier));
    let (of_service, of_carrier) = (own.len(), all.len().max(own.len()));
    let weight = |count: usize| count as f64 / (count as f64 + K);
    let (own_share, carrier_share) = (
        weight(own.len()),
        (1.0 - weight(own.len())) * weight(all.len()),
    );
    let plan_share = (1.0 - own_share - carrier_share).max(0.0);
    let planned = plan.expectation(stage, service);
    let (own, all) = (Hours::observed(&own), Hours::observed(&all));
    let mut parts = vec![(plan_share, &planned)];
    parts.extend(own.as_ref().map(|own| (own_share, own)));
    parts.extend(all.as_ref().map(|all| (carrier_share, all)));
    Expectation {
        hours: Hours::mixture(&parts),
        of_service,
        of_carrier,
        plan_share,
    }
}

/// How long the stage would have taken for this parcel: as planned, and as much more or less as it took
/// for the other one. That makes parcels of different distances and hours of the day comparable. `None`
/// when the other's plan is not known any more.
fn comparable(
    network: &Network,
    service: &Service,
    plan: &Plan,
    stage: Stage,
    time: &StageTime,
) -> Option<f64> {
    let its_service = network.find(&service.carrier_id, &time.service_level)?;
    let arrival = its_service.calendar.day_of(time.planned_delivery);
    let its_plan = Plan::until(its_service, time.scheduled_at, arrival)?;
    let took = open_hours(its_service, time.entered_at, time.left_at);
    Some((plan.hours(stage) + took - its_plan.hours(stage)).max(0.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

    use super::*;
    use crate::logistics::fixture;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// A parcel over two working days, ten open hours later in transit than planned.
    fn late(level: &str) -> StageTime {
        let entered_at = at("2026-11-10T05:00:00Z");
        StageTime {
            service_level: level.to_owned(),
            scheduled_at: at("2026-11-09T17:00:00Z"),
            planned_delivery: at("2026-11-12T03:00:00Z"),
            entered_at,
            left_at: entered_at + TimeDelta::hours(34 + 10),
        }
    }

    #[test]
    fn observations_outweigh_the_plan_as_they_come() {
        let network = Network::of(&fixture::carriers());
        let service = network.find("alpha", "ground").unwrap();
        let plan = Plan::of(service, at("2026-11-16T17:00:00Z"), 4).unwrap();
        let stage = Stage::InTransit;
        let expected = |own: usize, others: usize| {
            let mut carrier = vec![late("express"); others];
            carrier.extend(vec![late("ground"); own]);
            let observed = Observed {
                service: vec![late("ground"); own],
                carrier,
            };
            expect(&network, service, &plan, stage, &observed)
        };
        assert_eq!(expected(0, 0).plan_share, 1.0);
        let planned = plan.expectation(stage, service);
        assert!((expected(0, 0).hours.mean() - planned.mean()).abs() < 1e-9);
        // 20 own: half; of the other half 40 of the carrier's have two thirds.
        let some = expected(20, 20);
        assert!((some.plan_share - 1.0 / 6.0).abs() < 1e-9);
        assert_eq!((some.of_service, some.of_carrier), (20, 40));
        // This parcel goes four days: the plan has 82 hours, and the others were ten late.
        assert_eq!(plan.hours(stage), 82.0);
        assert_eq!(expected(500, 0).hours.quantile(0.5), 92);
        let medians: Vec<usize> = [0, 5, 20, 80, 400]
            .map(|own| expected(own, 0).hours.quantile(0.5))
            .to_vec();
        assert!(medians.is_sorted(), "{medians:?}");
        // Of a service that is no more nothing can be learnt.
        let gone = Observed {
            service: vec![late("sled"); 50],
            carrier: Vec::new(),
        };
        assert_eq!(
            expect(&network, service, &plan, stage, &gone).plan_share,
            1.0
        );
    }
}
