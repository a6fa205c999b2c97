//! How many calls a service works on at the same time, and who is turned away first.
//!
//! No number fits every machine and every day, so the limit is found: it grows while calls take as long as
//! they usually do and shrinks when they take longer, which is the gradient algorithm of Netflix's
//! concurrency-limits (`Gradient2Limit`). Two things differ. A service has methods of very different cost,
//! so each is compared with itself: a sample is how much longer a call took than that method usually does.
//! And a deadline that passes in a handler counts as overload by itself and takes a tenth off, as their
//! `AIMDLimit` does.
//!
//! There is no queue in front of it. A saturated service answers at once that it is, which costs little and
//! tells callers to slow down; waiting would only use up their deadlines. As it fills, background work is
//! refused first and checkout last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::Gauge;
use parking_lot::Mutex;

use crate::policy::Priority;

/// How much slower than usual calls may be on average before the limit shrinks.
const TOLERANCE: f64 = 2.0;
/// The share of each step that is taken.
const SMOOTHING: f64 = 0.2;
/// What is left of the limit after a deadline has passed in a handler.
const BACKOFF: f64 = 0.9;
/// The least time and the fewest calls that are looked at together.
const WINDOW: Duration = Duration::from_millis(100);
const LEAST_SAMPLES: u32 = 16;
/// Calls over which the usual duration of a method is averaged.
const MEMORY: f64 = 600.0;
/// How fast the usual duration follows when calls have become much faster than it.
const RECOVERY: f64 = 0.95;

/// The bounds of a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitSettings {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// The calls in flight of one service.
pub(super) struct Limiter {
    settings: LimitSettings,
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    window: Mutex<Window>,
    limit_gauge: Gauge,
    in_flight_gauge: Gauge,
}

#[derive(Debug)]
struct Window {
    /// The limit before it is rounded.
    estimate: f64,
    since: Option<Instant>,
    /// Sum of how many times their usual duration calls took.
    slowness: f64,
    samples: u32,
    busiest: usize,
    overrun: bool,
}

/// A call in flight; it leaves when dropped.
pub(super) struct Admission(Arc<Limiter>);

/// How long one method usually takes: a moving average over its calls, in seconds.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// Bits of an `f64`. Concurrent updates may lose one another; an average does not mind.
    seconds: AtomicU64,
    samples: AtomicU64,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    /// It took this many times the usual duration.
    Slowness(f64),
    /// Its deadline passed in the handler.
    Overrun,
}

impl Limiter {
    /// The limit starts in the middle of its bounds, weighed towards the lower one.
    pub(super) fn new(service: &str, settings: LimitSettings) -> Self {
        let most = settings.most.max(1);
        let settings = LimitSettings {
            least: settings.least.clamp(1, most),
            most,
        };
        let start = settings.least + (settings.most - settings.least) / 4;
        let limit_gauge = metrics::gauge!("hub_mesh_limit", "service" => service.to_owned());
        limit_gauge.set(start as f64);
        Self {
            settings,
            limit: AtomicUsize::new(start),
            in_flight: AtomicUsize::new(0),
            window: Mutex::new(Window {
                estimate: start as f64,
                since: None,
                slowness: 0.0,
                samples: 0,
                busiest: 0,
                overrun: false,
            }),
            limit_gauge,
            in_flight_gauge: metrics::gauge!("hub_mesh_in_flight", "service" => service.to_owned()),
        }
    }

    /// Lets a call of the given priority in, unless its share of the limit is used up.
    pub(super) fn admit(self: &Arc<Self>, priority: Priority) -> Option<Admission> {
        let share = self.share(priority);
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |in_flight| {
                (in_flight < share).then_some(in_flight + 1)
            })
            .ok()?;
        self.in_flight_gauge.increment(1.0);
        Some(Admission(Arc::clone(self)))
    }

    fn share(&self, priority: Priority) -> usize {
        let limit = self.limit.load(Ordering::Acquire);
        let share = match priority {
            Priority::Batch => limit / 2,
            Priority::Browse | Priority::Unspecified => limit * 4 / 5,
            Priority::Checkout => limit,
        };
        share.max(1)
    }

    fn learn(&self, sample: Sample, now: Instant) {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        let mut window = self.window.lock();
        let since = *window.since.get_or_insert(now);
        window.busiest = window.busiest.max(in_flight);
        window.samples += 1;
        match sample {
            Sample::Slowness(times) => window.slowness += times,
            Sample::Overrun => {
                window.overrun = true;
                window.slowness += 1.0;
            }
        }
        if window.samples < LEAST_SAMPLES || now.saturating_duration_since(since) < WINDOW {
            return;
        }
        let next = next_limit(&window, self.settings);
        *window = Window {
            estimate: next,
            since: None,
            slowness: 0.0,
            samples: 0,
            busiest: 0,
            overrun: false,
        };
        self.limit.store(next as usize, Ordering::Release);
        self.limit_gauge.set(next);
    }
}

fn next_limit(window: &Window, settings: LimitSettings) -> f64 {
    let limit = window.estimate;
    let next = if window.overrun {
        limit * BACKOFF
    } else if (window.busiest as f64) < limit / 2.0 {
        // The callers do not ask for more: nothing is learnt about what would be possible.
        limit
    } else {
        let slowness = window.slowness / f64::from(window.samples.max(1));
        let gradient = (TOLERANCE / slowness.max(f64::MIN_POSITIVE)).clamp(0.5, 1.0);
        let wanted = limit * gradient + limit.sqrt();
        limit * (1.0 - SMOOTHING) + wanted * SMOOTHING
    };
    next.clamp(settings.least as f64, settings.most as f64)
}

impl Admission {
    /// Tells how the call went, so that the limit can follow.
    pub(super) fn learn(&self, sample: Sample, now: Instant) {
        self.0.learn(sample, now);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.in_flight_gauge.decrement(1.0);
    }
}

impl Usual {
    /// Takes a call in that took `took`, and says how many times the usual duration that is.
    pub(super) fn compare(&self, took: Duration) -> f64 {
        // Nothing is measured finer than this, and no duration is nothing.
        let took = took.as_secs_f64().max(1e-6);
        let samples = self.samples.fetch_add(1, Ordering::Relaxed);
        let known = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        if samples == 0 {
            self.seconds.store(took.to_bits(), Ordering::Relaxed);
            return 1.0;
        }
        let weight = 1.0 / (samples as f64 + 1.0).min(MEMORY);
        let mut next = known + (took - known) * weight;
        if next / took > TOLERANCE {
            next *= RECOVERY;
        }
        self.seconds.store(next.to_bits(), Ordering::Relaxed);
        took / known.max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn limiter(least: usize, most: usize) -> Arc<Limiter> {
        Arc::new(Limiter::new("test", LimitSettings { least, most }))
    }

    /// `windows` windows full of calls that fill the limit and are `slowness` times as slow as usual.
    fn load(limiter: &Arc<Limiter>, windows: usize, sample: Sample, now: &mut Instant) -> usize {
        for _ in 0..windows {
            let mut inside = Vec::new();
            while let Some(admission) = limiter.admit(Priority::Checkout) {
                inside.push(admission);
            }
            for _ in 0..=LEAST_SAMPLES {
                *now += WINDOW / 10;
                if let Some(admission) = inside.first() {
                    admission.learn(sample, *now);
                }
            }
        }
        limiter.limit.load(Ordering::Acquire)
    }

    #[test]
    fn the_least_important_is_refused_first() {
        let limiter = limiter(10, 10);
        let mut inside: Vec<_> = (0..5)
            .filter_map(|_| limiter.admit(Priority::Batch))
            .collect();
        assert_eq!(inside.len(), 5);
        assert!(limiter.admit(Priority::Batch).is_none());
        inside.extend((0..3).filter_map(|_| limiter.admit(Priority::Browse)));
        assert_eq!(inside.len(), 8);
        assert!(limiter.admit(Priority::Browse).is_none());
        inside.extend((0..3).filter_map(|_| limiter.admit(Priority::Checkout)));
        assert_eq!(inside.len(), 10);
        inside.clear();
        assert!(limiter.admit(Priority::Batch).is_some());
    }

    #[test]
    fn it_grows_while_calls_are_fast_and_shrinks_when_they_are_slow() {
        let limiter = limiter(10, 1000);
        let start = limiter.limit.load(Ordering::Acquire);
        let mut now = Clock::system().monotonic();
        let grown = load(&limiter, 50, Sample::Slowness(1.0), &mut now);
        assert!(grown > start, "{start} -> {grown}");
        let shrunk = load(&limiter, 50, Sample::Slowness(8.0), &mut now);
        assert!(shrunk < grown / 2, "{grown} -> {shrunk}");
        assert!(shrunk >= 10);
        assert_eq!(load(&limiter, 500, Sample::Overrun, &mut now), 10);
        assert_eq!(load(&limiter, 2000, Sample::Slowness(1.0), &mut now), 1000);
    }

    #[test]
    fn who_asks_for_little_teaches_nothing() {
        let limiter = limiter(10, 1000);
        let start = limiter.limit.load(Ordering::Acquire);
        let mut now = Clock::system().monotonic();
        for _ in 0..200 {
            now += WINDOW;
            let admission = limiter.admit(Priority::Browse);
            if let Some(admission) = admission {
                admission.learn(Sample::Slowness(5.0), now);
            }
        }
        assert_eq!(limiter.limit.load(Ordering::Acquire), start);
    }

    #[test]
    fn a_method_is_compared_with_itself() {
        let usual = Usual::default();
        for _ in 0..100 {
            assert_eq!(usual.compare(Duration::from_millis(10)).round(), 1.0);
        }
        assert_eq!(usual.compare(Duration::from_millis(80)).round(), 8.0);
        // Back to normal, and far below what a time of overload has made of the average.
        for _ in 0..2000 {
            usual.compare(Duration::from_millis(1));
        }
        assert_eq!(usual.compare(Duration::from_millis(1)).round(), 1.0);
    }
}
