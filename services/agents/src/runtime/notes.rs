//! What every agent says about its answer.

use chrono::TimeDelta;
use contracts::hub::agents::v1::{AnswerNotes, Confidence, DataSource, Factor};
use mesh::CallContext;

/// Collects the notes of an answer.
#[derive(Debug, Default)]
#[must_use]
pub struct Notes {
    notes: AnswerNotes,
}

impl Notes {
    /// Notes of an answer by `algorithm`, `name@version`. No language model is configured, so there is no
    /// narrative, and the notes say so.
    pub fn new(algorithm: &str) -> Self {
        Self {
            notes: AnswerNotes {
                algorithm: algorithm.to_owned(),
                degraded: vec!["narrative".to_owned()],
                ..AnswerNotes::default()
            },
        }
    }

    /// Adds a factor that led to the result.
    pub fn factor(mut self, factor: Factor) -> Self {
        self.notes.explanation.push(factor);
        self
    }

    /// How sure the answer is, 0 to 1, and how that was found.
    pub fn confidence(mut self, value: f64, method: &str) -> Self {
        self.notes.confidence = Some(Confidence {
            value: value.clamp(0.0, 1.0),
            method: method.to_owned(),
        });
        self
    }

    /// Adds where data came from.
    pub fn source(mut self, source: DataSource) -> Self {
        self.notes.data_sources.push(source);
        self
    }

    /// Age of a datum; the oldest counts.
    pub fn age(mut self, age: TimeDelta) -> Self {
        let seconds = age.as_seconds_f64().max(0.0);
        self.notes.freshness_seconds = self.notes.freshness_seconds.max(seconds);
        self
    }

    /// Adds something that could not be done as usual.
    pub fn degraded(mut self, what: &str) -> Self {
        self.notes.degraded.push(what.to_owned());
        self
    }

    /// The notes, factors in order of their contribution, with the trace of the call.
    pub fn finish(mut self, ctx: &CallContext) -> AnswerNotes {
        let strength = |factor: &Factor| factor.contribution.abs();
        self.notes
            .explanation
            .sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        self.notes.trace_id = ctx.trace().trace_id();
        self.notes
    }
}
