//! What goes wrong where: the grammar of rules.

use std::{fmt, str::FromStr, time::Duration};

/// The longest delay; more than any deadline would only look like a hang.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// One rule, written `POINT=NAME:KIND[,probability=P]`:
///
/// ```text
/// rpc=hub.payments.v1.PaymentService/*:cut,probability=0.2
/// rpc=*:delay=200ms..800ms
/// store=orders:fail,probability=0.05
/// publish=order-events/*:duplicate
/// consumer=shipping.schedule:fail
/// ```
///
/// NAME is whole, or a beginning that ends in `*`: of RPCs as `package.Service/Method`, of stores by their
/// service, of events as `topic/EventType`, of consumers as `hub graph` prints them. P is how often a rule hits,
/// more than 0 and at most 1, and 1 when it is not given. Of several rules for one thing delays add up, and the
/// first of the others that hits counts; of several for one event the first that hits counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    point: Point,
    pattern: Pattern,
    kind: Kind,
    probability: f64,
    text: String,
}

/// Where something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Calls of an RPC, in this process or to another, as their caller sees them.
    Rpc,
    /// Accesses to a store.
    Store,
    /// Events that leave an outbox.
    Publish,
    /// A consumer of events.
    Consumer,
}

impl Point {
    const ALL: [Self; 4] = [Self::Rpc, Self::Store, Self::Publish, Self::Consumer];

    /// Its name in rules and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Store => "store",
            Self::Publish => "publish",
            Self::Consumer => "consumer",
        }
    }

    fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Publish => &["delay", "fail", "cut", "duplicate", "reorder"],
            Self::Rpc | Self::Store | Self::Consumer => &["delay", "fail", "cut"],
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It takes longer.
    Delay {
        /// At least so much.
        least: Duration,
        /// At most so much.
        most: Duration,
    },
    /// It fails and is not done: a call is not executed, a transaction not begun, an event not published, a
    /// consumer not asked.
    Fail,
    /// It is done, and whoever wanted it does not hear so: the answer, the word of the commit or the broker's
    /// confirmation is lost, or what a consumer wants to write.
    Cut,
    /// An event is delivered a second time, later, perhaps behind later ones.
    Duplicate,
    /// An event is held back until events with other keys have overtaken it. Those with its own key wait
    /// behind it, because their order is what the bus promises.
    Reorder,
}

impl Kind {
    /// Its name in rules and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::Fail => "fail",
            Self::Cut => "cut",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Whole(String),
    Beginning(String),
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?}: {problem}")]
pub struct InvalidRule {
    rule: String,
    problem: String,
}

impl Rule {
    /// Where it applies.
    pub fn point(&self) -> Point {
        self.point
    }

    /// What happens there.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is about `name`.
    pub fn covers(&self, name: &str) -> bool {
        match &self.pattern {
            Pattern::Whole(whole) => whole == name,
            Pattern::Beginning(beginning) => name.starts_with(beginning.as_str()),
        }
    }

    /// Whether it hits, when `entropy` is drawn evenly from all numbers.
    pub(super) fn hits(&self, entropy: u64) -> bool {
        // The upper 53 bits are what a double holds exactly.
        let drawn = (entropy >> 11) as f64 / (1u64 << 53) as f64;
        drawn < self.probability
    }

    /// The error of a rule that is about none of `names`.
    pub(super) fn unknown(&self, names: &[String]) -> InvalidRule {
        const SHOWN: usize = 12;
        let mut some = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
        if names.len() > SHOWN {
            some.push("…".to_owned());
        }
        InvalidRule {
            rule: self.text.clone(),
            problem: format!(
                "there is no {} of that name; there are {}",
                match self.point {
                    Point::Rpc => "RPC",
                    Point::Store => "store",
                    Point::Publish => "event",
                    Point::Consumer => "consumer",
                },
                some.join(", ")
            ),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        parse(text.trim()).map_err(|problem| InvalidRule {
            rule: text.trim().to_owned(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Rule, String> {
    let form = "a rule is POINT=NAME:KIND[,probability=P]";
    let (point, rest) = text
        .split_once('=')
        .ok_or_else(|| format!("there is no \"=\"; {form}"))?;
    let point = Point::ALL
        .into_iter()
        .find(|known| known.name() == point)
        .ok_or_else(|| {
            let known = Point::ALL.map(Point::name).join(", ");
            format!("{point:?} is no place for faults; there are {known}")
        })?;
    let (name, faults) = rest
        .split_once(':')
        .ok_or_else(|| format!("there is no \":\" after the name; {form}"))?;
    let mut parts = faults.split(',');
    let kind = kind(point, parts.next().unwrap_or_default())?;
    let mut given = None;
    for part in parts {
        let value = part
            .strip_prefix("probability=")
            .ok_or_else(|| format!("{part:?} is not understood; {form}"))?;
        if given.replace(probability(value)?).is_some() {
            return Err("probability is given twice".to_owned());
        }
    }
    Ok(Rule {
        point,
        pattern: pattern(name)?,
        kind,
        probability: given.unwrap_or(1.0),
        text: text.to_owned(),
    })
}

fn pattern(name: &str) -> Result<Pattern, String> {
    let (beginning, is_whole) = match name.strip_suffix('*') {
        Some(beginning) => (beginning, false),
        None => (name, true),
    };
    if beginning.contains('*') {
        return Err(format!("{name:?} has a * before its end"));
    }
    if is_whole && name.is_empty() {
        return Err("the name is empty; * stands for all".to_owned());
    }
    let text = beginning.to_owned();
    Ok(if is_whole {
        Pattern::Whole(text)
    } else {
        Pattern::Beginning(text)
    })
}

fn kind(point: Point, text: &str) -> Result<Kind, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if !point.kinds().contains(&name) {
        let known = point.kinds().join(", ");
        return Err(format!(
            "{name:?} is nothing that can happen to {}; there are {known}",
            point.name()
        ));
    }
    match (name, value) {
        ("delay", Some(value)) => delay(value),
        ("delay", None) => Err("delay needs a time: delay=200ms..800ms".to_owned()),
        (_, Some(value)) => Err(format!("{name} takes no value, not {value:?}")),
        ("fail", None) => Ok(Kind::Fail),
        ("cut", None) => Ok(Kind::Cut),
        ("duplicate", None) => Ok(Kind::Duplicate),
        _ => Ok(Kind::Reorder),
    }
}

fn delay(text: &str) -> Result<Kind, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (duration(least)?, duration(most)?);
    if least > most {
        return Err(format!("delay={text}: the longer time comes last"));
    }
    Ok(Kind::Delay { least, most })
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write 200ms or 2s, at most 600s");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1_000),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let time = Duration::from_millis(number.checked_mul(unit).ok_or_else(wrong)?);
    (time <= LONGEST_DELAY).then_some(time).ok_or_else(wrong)
}

fn probability(text: &str) -> Result<f64, String> {
    let wrong = || format!("probability={text} must be a number above 0 and at most 1");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    (number > 0.0 && number <= 1.0)
        .then_some(number)
        .ok_or_else(wrong)
}
