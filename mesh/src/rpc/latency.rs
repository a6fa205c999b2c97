//! How long calls to a method elsewhere take: enough to say when a call has become a slow one.

use std::time::Duration;

use parking_lot::Mutex;

/// Buckets per doubling of the duration.
const FINENESS: f64 = 4.0;
/// From a microsecond to about an hour.
const BUCKETS: usize = 128;
/// Samples after which the past counts half.
const MEMORY: u32 = 1024;
/// Samples that a quantile needs.
const LEAST: u32 = 50;

/// A histogram that forgets.
pub(super) struct Latencies(Mutex<Counts>);

struct Counts {
    buckets: [u32; BUCKETS],
    all: u32,
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Counts {
            buckets: [0; BUCKETS],
            all: 0,
        }))
    }

    /// Takes a duration in.
    pub(super) fn observe(&self, took: Duration) {
        let mut counts = self.0.lock();
        if let Some(bucket) = counts.buckets.get_mut(bucket(took)) {
            *bucket += 1;
        }
        counts.all += 1;
        if counts.all >= MEMORY {
            counts.all = 0;
            for index in 0..BUCKETS {
                counts.buckets[index] /= 2;
                counts.all += counts.buckets[index];
            }
        }
    }

    /// The duration that 95 of a hundred calls stay below, at most a fifth too high; `None` when too few are
    /// known.
    pub(super) fn p95(&self) -> Option<Duration> {
        let counts = self.0.lock();
        if counts.all < LEAST {
            return None;
        }
        let wanted = counts.all - counts.all / 20;
        let mut seen = 0;
        for (index, count) in counts.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(upper_end(index));
            }
        }
        None
    }
}

fn bucket(took: Duration) -> usize {
    let micros = (took.as_micros() as f64).max(1.0);
    ((micros.log2() * FINENESS) as usize).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> Duration {
    let micros = ((bucket as f64 + 1.0) / FINENESS).exp2();
    Duration::from_micros(micros.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_follows_what_is_measured() {
        let latencies = Latencies::new();
        assert_eq!(latencies.p95(), None);
        for millis in 1..=100 {
            latencies.observe(Duration::from_millis(millis));
        }
        let p95 = latencies.p95().unwrap_or_default();
        assert!(
            p95 >= Duration::from_millis(95) && p95 < Duration::from_millis(120),
            "{p95:?}"
        );
        for _ in 0..20_000 {
            latencies.observe(Duration::from_millis(1));
        }
        let p95 = latencies.p95().unwrap_or_default();
        assert!(p95 < Duration::from_millis(2), "{p95:?}");
    }
}
