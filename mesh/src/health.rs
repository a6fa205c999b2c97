//! Whether the parts of a process work, for operators and load balancers.

use std::time::Duration;

use crate::{clock::Clock, service::Check, store::Store};

/// The time that one component has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not everything is registered yet.
    Starting,
    /// Serving.
    Serving,
    /// Finishing what is in flight, taking nothing new.
    Draining,
    /// Over.
    Stopped,
}

/// The health of a process and of each of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Where the process is in its life.
    pub phase: Phase,
    /// Its parts, in the order of their names.
    pub components: Vec<Component>,
}

/// The health of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// `store:orders`, `task:orders/saga-deadlines`, `check:agents/search-index`, `bus`, `broker`, `redis`,
    /// `blobs`.
    pub name: String,
    /// Whether it works.
    pub healthy: bool,
    /// Whether the process can serve without it.
    pub need: Need,
    /// What is wrong, or a figure worth knowing; for operators, not for the public.
    pub detail: String,
    /// How long it took to find out.
    pub took: Duration,
}

/// Whether a process can serve without a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot.
    Required,
    /// It can, slower or with less.
    Optional,
}

impl HealthReport {
    /// Whether the process should get requests: it serves and all parts work that it needs.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Serving
            && self
                .components
                .iter()
                .all(|part| part.healthy || part.need == Need::Optional)
    }
}

impl Component {
    /// The part in one word: `ok`, `degraded` (the process serves without it) or `unavailable`.
    pub fn verdict(&self) -> &'static str {
        match (self.healthy, self.need) {
            (true, _) => "ok",
            (false, Need::Optional) => "degraded",
            (false, Need::Required) => "unavailable",
        }
    }

    /// The same part, when the process can serve without it.
    #[must_use]
    pub(crate) fn optional(self) -> Self {
        Self {
            need: Need::Optional,
            ..self
        }
    }
}

pub(crate) async fn of_store(clock: &Clock, store: &Store) -> Component {
    probe(clock, format!("store:{}", store.name()), async {
        store
            .ping()
            .await
            .map(|()| String::new())
            .map_err(|error| error.to_string())
    })
    .await
}

pub(crate) async fn of_check(clock: &Clock, service: &str, check: &Check) -> Component {
    probe(clock, format!("check:{service}/{}", check.name), async {
        (check.run)().await.map(|()| String::new())
    })
    .await
}

pub(crate) async fn probe(
    clock: &Clock,
    name: String,
    probe: impl Future<Output = Result<String, String>>,
) -> Component {
    let started = clock.monotonic();
    let outcome = clock
        .timeout(PATIENCE, probe)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    let (healthy, detail) = match outcome {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    Component {
        name,
        healthy,
        need: Need::Required,
        detail,
        took: clock.monotonic() - started,
    }
}
