//! An estimate with what is said about it.

use chrono::{DateTime, Utc};
use contracts::hub::agents::v1::{AnswerNotes, DataSource, EtaEstimate, Factor};
use mesh::CallContext;

use super::{
    estimate::Estimate,
    explain::{against_plan, factors, observed_share, stages},
};
use crate::{
    logistics::network::Service,
    runtime::{
        notes::Notes,
        time::{instant, timestamp},
    },
};

/// Algorithm of the estimate.
pub const ALGORITHM: &str = "eta-stage-convolution@1";

/// Share of parcels between the earliest and the latest instant of an estimate.
const COVERED: f64 = 0.8;

/// An estimate with what is said about it.
#[derive(Clone, Debug)]
pub struct Answer {
    result: EtaEstimate,
    factors: Vec<Factor>,
    confidence: (f64, &'static str),
    sources: Vec<(String, String, DateTime<Utc>)>,
    degraded: Vec<&'static str>,
}

impl Answer {
    fn new(result: EtaEstimate, confidence: f64, method: &'static str) -> Self {
        let (factors, sources, degraded) = Default::default();
        Self {
            result,
            factors,
            confidence: (confidence, method),
            sources,
            degraded,
        }
    }

    /// Nothing can be said; `missing` names what that would take, `why` says so for people.
    pub fn unknown(missing: &'static str, why: &str) -> Self {
        let result = EtaEstimate {
            state: "unknown".to_owned(),
            ..EtaEstimate::default()
        };
        let mut answer = Self::new(result, 0.0, "there is no evidence");
        answer.degraded.push(missing);
        answer.factors.push(Factor {
            name: missing.to_owned(),
            value: String::new(),
            weight: 0.0,
            contribution: 0.0,
            sentence: why.to_owned(),
        });
        answer
    }

    /// The carrier works on no day that can be seen.
    pub fn no_calendar() -> Self {
        Self::unknown("calendar", "The carrier has no working days ahead.")
    }

    /// It arrived.
    pub fn delivered(at: DateTime<Utc>) -> Self {
        let at = Some(timestamp(at));
        let result = EtaEstimate {
            median: at,
            earliest: at,
            latest: at,
            promise: at,
            stages: Vec::new(),
            state: "delivered".to_owned(),
        };
        Self::new(result, 1.0, "the delivery was scanned")
    }

    /// It is on its way, or would be. `planned` is what the carrier planned.
    pub fn estimated(
        estimate: &Estimate,
        service: &Service,
        planned: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let result = EtaEstimate {
            median: Some(timestamp(estimate.median)),
            earliest: Some(timestamp(estimate.earliest)),
            latest: Some(timestamp(estimate.latest)),
            promise: Some(timestamp(estimate.promise)),
            stages: stages(estimate),
            state: "estimated".to_owned(),
        };
        let confidence = COVERED * f64::midpoint(1.0, observed_share(estimate));
        let mut answer = Self::new(
            result,
            confidence,
            "80 % lie between earliest and latest; halved as far as the carrier's plan stands in for observations",
        );
        answer.factors = factors(estimate, &service.name, now);
        answer
            .factors
            .extend(planned.map(|planned| against_plan(estimate, planned)));
        answer
    }

    /// With where data came from, as of when.
    pub fn source(mut self, system: &str, id: &str, as_of: DateTime<Utc>) -> Self {
        self.sources.push((system.to_owned(), id.to_owned(), as_of));
        self
    }

    /// Whether this parcel arrives before another. One that has arrived is before one that has not; one of
    /// which nothing is known is after all.
    pub fn arrives_before(&self, other: &Self) -> bool {
        let order = |answer: &Self| {
            let rank = match answer.result.state.as_str() {
                "delivered" => 0,
                "estimated" => 1,
                _ => 2,
            };
            (rank, instant(answer.result.promise.as_ref()))
        };
        order(self) < order(other)
    }

    /// The parts of the message.
    pub fn finish(self, ctx: &CallContext, now: DateTime<Utc>) -> (EtaEstimate, AnswerNotes) {
        let (confidence, method) = self.confidence;
        let mut notes = Notes::new(ALGORITHM).confidence(confidence, method);
        for (system, id, as_of) in self.sources {
            // Carriers, orders and shipments are read now; `as_of` says when they last changed.
            let as_of = Some(timestamp(as_of.min(now)));
            notes = notes.source(DataSource {
                system,
                id,
                version: String::new(),
                as_of,
            });
        }
        for factor in self.factors {
            notes = notes.factor(factor);
        }
        for what in self.degraded {
            notes = notes.degraded(what);
        }
        (self.result, notes.finish(ctx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_parcel_counts() {
        let day = |day: i64| {
            DateTime::from_timestamp(1_790_000_000 + 86_400 * day, 0).unwrap_or_default()
        };
        let (early, late) = (Answer::delivered(day(1)), Answer::delivered(day(2)));
        assert!(early.arrives_before(&late) && !late.arrives_before(&early));
        assert!(late.arrives_before(&Answer::no_calendar()));
        assert_eq!(Answer::no_calendar().result.median, None);
    }
}
