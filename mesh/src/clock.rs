//! Time as a dependency.
//!
//! Deadlines, token lifetimes, reservations and retries all depend on time. Were each of them to ask
//! the operating system, no test could move time and no simulation could replay a run. So this module
//! is the only one that does: everything else holds a [`Clock`], which is either the system's or one
//! that a test advances by hand.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A source of wall-clock time, monotonic time and timers. Cheap to clone; clones share one time.
#[derive(Clone, Debug)]
pub struct Clock {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    started: Instant,
    reading: Mutex<Reading>,
    elapsed: watch::Sender<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    epoch: DateTime<Utc>,
    elapsed: Duration,
}

/// The time given to [`Clock::timeout`] ran out before the future completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed")]
pub struct Elapsed;

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self { kind: Kind::System }
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self {
            kind: Kind::Manual(Arc::new(Manual {
                started: system_instant(),
                reading: Mutex::new(Reading {
                    epoch: start,
                    elapsed: Duration::ZERO,
                }),
                elapsed: watch::Sender::new(Duration::ZERO),
            })),
        }
    }

    /// The current wall-clock time, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.kind {
            Kind::System => system_now(),
            Kind::Manual(manual) => {
                let reading = *manual.reading.lock();
                reading.epoch + TimeDelta::from_std(reading.elapsed).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// The current monotonic time: for measuring and for deadlines, never for storing.
    pub fn monotonic(&self) -> Instant {
        match &self.kind {
            Kind::System => system_instant(),
            Kind::Manual(manual) => manual.started + manual.reading.lock().elapsed,
        }
    }

    /// Completes once `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.kind {
            Kind::System => tokio::time::sleep(duration).await,
            Kind::Manual(manual) => {
                let mut elapsed = manual.elapsed.subscribe();
                let wake_at = manual.reading.lock().elapsed.saturating_add(duration);
                // The sender lives in `manual`, which this borrow keeps alive, so waiting cannot fail.
                let _ = elapsed.wait_for(|elapsed| *elapsed >= wake_at).await;
            }
        }
    }

    /// Completes once the monotonic time `at` has been reached.
    pub async fn sleep_until(&self, at: Instant) {
        self.sleep(at.saturating_duration_since(self.monotonic()))
            .await;
    }

    /// Runs `future`, giving it up after `limit`.
    ///
    /// # Errors
    /// [`Elapsed`] when the limit passed first; the future is dropped then.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.kind {
            Kind::System => tokio::time::timeout(limit, future)
                .await
                .map_err(|_| Elapsed),
            Kind::Manual(_) => tokio::select! {
                biased;
                output = future => Ok(output),
                () = self.sleep(limit) => Err(Elapsed),
            },
        }
    }

    /// Moves a manual clock forward and wakes the sleepers whose time has come. On the system clock
    /// it does nothing: real time cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(manual) = &self.kind {
            let elapsed = {
                let mut reading = manual.reading.lock();
                reading.elapsed = reading.elapsed.saturating_add(by);
                reading.elapsed
            };
            manual.elapsed.send_replace(elapsed);
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the monotonic clock"
)]
fn system_instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(start());
        let monotonic = clock.monotonic();
        assert_eq!(clock.now(), start());
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), start() + TimeDelta::milliseconds(1500));
        assert_eq!(clock.monotonic() - monotonic, Duration::from_millis(1500));
    }

    #[tokio::test]
    async fn sleepers_wake_when_the_manual_clock_reaches_them() {
        let clock = Clock::manual(start());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(5)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(2));
        assert_eq!(sleeper.await.unwrap(), start() + TimeDelta::seconds(5));
    }

    #[tokio::test]
    async fn a_timeout_on_a_manual_clock_ends_the_future() {
        let clock = Clock::manual(start());
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock
                    .timeout(Duration::from_secs(1), std::future::pending::<()>())
                    .await
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1));
        assert_eq!(waiting.await.unwrap(), Err(Elapsed));
        assert_eq!(
            clock.timeout(Duration::ZERO, async { 7 }).await,
            Ok(7),
            "a future that is ready wins over an elapsed limit"
        );
    }
}
