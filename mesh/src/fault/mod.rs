//! Faults that are injected on purpose, into a hub that otherwise runs as always.
//!
//! Nothing here is active unless rules are given (`hub up --fault RULE`, section `[faults]`). A rule names
//! where it applies, what happens there, and how often; [`Rule`] has the grammar. The places are those where a
//! process touches the world: calls to other services, as their caller sees them; accesses to a store; events
//! that leave for their consumers; and consumers.
//!
//! The deterministic simulation ([`crate::simulation`]) has faults of its own. It replaces disk, network and
//! broker by its own, which is why it can decide what goes wrong in them; here the real ones are there and do
//! their work, and what is spoilt is how it looks to the caller. Where a place could be a decorator
//! ([`crate::events::Consumer`], the transport of events) it is one, and costs nothing without rules; the other
//! two look once whether there is a [`Site`].

mod rule;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use rule::{InvalidRule, Kind, Point, Rule};

use crate::{clock::Clock, events::EVENT_TYPES, ids::Ids, policy::PolicyTable};

/// The `[faults]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSettings {
    /// What goes wrong, a [`Rule`] each (`--fault`, several times for several).
    pub rules: Vec<String>,
}

/// The faults of a process. Cheap to clone; the default is none.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Inner>>);

struct Inner {
    rules: Vec<Rule>,
    /// Nothing happens before: a process that cannot even start says nothing about the rules.
    armed: Arc<AtomicBool>,
    clock: Clock,
    ids: Ids,
}

impl Faults {
    /// The faults of `settings`; every name in them must be one of the installation's.
    ///
    /// # Errors
    /// [`InvalidRule`], which names the rule and the part that is wrong.
    pub fn new(
        settings: &FaultSettings,
        policies: &PolicyTable,
        clock: &Clock,
        ids: &Ids,
    ) -> Result<Self, InvalidRule> {
        if settings.rules.is_empty() {
            return Ok(Self::default());
        }
        let rules = settings
            .rules
            .iter()
            .map(|text| {
                let rule: Rule = text.parse()?;
                let names = names_at(rule.point(), policies);
                if names.iter().any(|name| rule.covers(name)) {
                    Ok(rule)
                } else {
                    Err(rule.unknown(&names))
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::of(rules, clock, ids))
    }

    /// The faults of `rules`, whatever they name.
    pub(crate) fn of(rules: Vec<Rule>, clock: &Clock, ids: &Ids) -> Self {
        Self(Some(Arc::new(Inner {
            rules,
            armed: Arc::default(),
            clock: clock.clone(),
            ids: ids.clone(),
        })))
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        self.0.as_ref().map_or(&[], |inner| &inner.rules)
    }

    /// From now on things go wrong.
    pub fn arm(&self) {
        if let Some(inner) = &self.0 {
            inner.armed.store(true, Ordering::Release);
        }
    }

    /// Whether any rule is for `point`.
    pub(crate) fn concern(&self, point: Point) -> bool {
        self.rules().iter().any(|rule| rule.point() == point)
    }

    /// What goes wrong at `name`.
    pub(crate) fn at(&self, point: Point, name: &str) -> Site {
        let Some(inner) = &self.0 else {
            return Site::default();
        };
        let rules: Vec<Counted> = inner
            .rules
            .iter()
            .filter(|rule| rule.point() == point && rule.covers(name))
            .map(Counted::new)
            .collect();
        if rules.is_empty() {
            return Site::default();
        }
        Site(Some(Arc::new(Rigged {
            rules,
            armed: Arc::clone(&inner.armed),
            clock: inner.clock.clone(),
            ids: inner.ids.clone(),
        })))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

/// Everything that a rule for `point` can name.
fn names_at(point: Point, policies: &PolicyTable) -> Vec<String> {
    let mut names: Vec<String> = match point {
        Point::Rpc => policies
            .iter()
            .map(|policy| policy.name().to_owned())
            .collect(),
        // A target keeps what it has in a store of its name.
        Point::Store => policies
            .targets()
            .map(|target| target.name.clone())
            .collect(),
        Point::Publish => EVENT_TYPES
            .iter()
            .map(|(event_type, topic)| published_name(topic, event_type))
            .collect(),
        Point::Consumer => policies
            .graph()
            .consumers()
            .map(|consumer| consumer.name.to_string())
            .collect(),
    };
    names.sort_unstable();
    names
}

/// The name of an event type in rules: `order-events/OrderCreated`.
pub(crate) fn published_name(topic: &str, event_type: &str) -> String {
    format!("{topic}/{event_type}")
}

/// A place where something may go wrong; usually it is one where nothing does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site(Option<Arc<Rigged>>);

impl Site {
    /// The faults of this place, once they are armed.
    pub(crate) fn rigged(&self) -> Option<&Rigged> {
        self.0.as_deref().filter(|rigged| rigged.is_armed())
    }
}

/// A place where something goes wrong.
pub(crate) struct Rigged {
    rules: Vec<Counted>,
    armed: Arc<AtomicBool>,
    clock: Clock,
    ids: Ids,
}

/// A rule, and how often it has struck.
struct Counted {
    rule: Rule,
    struck: metrics::Counter,
}

impl Counted {
    fn new(rule: &Rule) -> Self {
        let struck = metrics::counter!(
            "hub_faults_injected_total",
            "point" => rule.point().name(),
            "kind" => rule.kind().name(),
        );
        Self {
            rule: rule.clone(),
            struck,
        }
    }
}

/// What goes wrong this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Strike {
    /// It takes so much longer.
    delay: Duration,
    /// What happens then, if anything does; never a delay.
    blow: Option<Kind>,
}

impl Rigged {
    fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// Decides what goes wrong this time. Delays add up; of everything else the first rule that hits counts.
    fn draw(&self) -> Strike {
        let mut strike = Strike {
            delay: Duration::ZERO,
            blow: None,
        };
        for Counted { rule, struck } in &self.rules {
            let is_delay = matches!(rule.kind(), Kind::Delay { .. });
            if (strike.blow.is_some() && !is_delay) || !rule.hits(self.ids.entropy()) {
                continue;
            }
            struck.increment(1);
            match rule.kind() {
                Kind::Delay { least, most } => strike.delay += self.between(least, most),
                blow => strike.blow = Some(blow),
            }
        }
        strike
    }

    /// Decides by the first rule that hits, a delay or anything else.
    pub(crate) fn first(&self) -> Option<Kind> {
        let hit = self
            .rules
            .iter()
            .find(|counted| counted.rule.hits(self.ids.entropy()))?;
        hit.struck.increment(1);
        Some(hit.rule.kind())
    }

    /// A time between these two, to the millisecond.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        let spread = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis(self.ids.entropy() % (spread + 1))
    }

    /// Decides, waits as long as that takes, and says what happens then.
    pub(crate) async fn strike(&self) -> Option<Kind> {
        let strike = self.draw();
        if !strike.delay.is_zero() {
            self.clock.sleep(strike.delay).await;
        }
        strike.blow
    }
}

impl fmt::Debug for Rigged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.rules.iter().map(|counted| &counted.rule))
            .finish()
    }
}

/// What is said where something was made to fail; it never reaches a client.
pub(crate) const INJECTED: &str = "a fault was injected";
