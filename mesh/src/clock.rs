//! Time as a dependency.
//!
//! Deadlines, token lifetimes, reservations and retries all depend on time. Were each of them to ask
//! the operating system, no test could move time and no simulation could replay a run. So this module
//! is the only one that does: everything else holds a [`Clock`], which is either the system's or one
//! that a test advances by hand.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    epoch: DateTime<Utc>,
    elapsed: Duration,
    /// Who sleeps until when; those of one moment are woken in the order in which they fell asleep.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    last_sleeper: u64,
}

/// Sleeps on a manual clock.
#[derive(Debug)]
struct Sleep<'a> {
    manual: &'a Manual,
    wake_at: Duration,
    /// Number among the sleepers, once it is one of them.
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.manual.state.lock();
        if state.elapsed >= self.wake_at {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            state.last_sleeper += 1;
            state.last_sleeper
        });
        state
            .sleepers
            .insert((self.wake_at, number), context.waker().clone());
        drop(state);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.manual.state.lock();
            state.sleepers.remove(&(self.wake_at, number));
        }
    }
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
                state: Mutex::new(State {
                    epoch: start,
                    elapsed: Duration::ZERO,
                    sleepers: BTreeMap::new(),
                    last_sleeper: 0,
                }),
            })),
        }
    }

    /// The current wall-clock time, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.kind {
            Kind::System => system_now(),
            Kind::Manual(manual) => {
                let state = manual.state.lock();
                state.epoch + TimeDelta::from_std(state.elapsed).unwrap_or(TimeDelta::MAX)
            }
        }
    }

    /// The current monotonic time: for measuring and for deadlines, never for storing.
    pub fn monotonic(&self) -> Instant {
        match &self.kind {
            Kind::System => system_instant(),
            Kind::Manual(manual) => manual.started + manual.state.lock().elapsed,
        }
    }

    /// Completes once `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.kind {
            Kind::System => tokio::time::sleep(duration).await,
            Kind::Manual(manual) => {
                let wake_at = manual.state.lock().elapsed.saturating_add(duration);
                let sleep = Sleep {
                    manual,
                    wake_at,
                    number: None,
                };
                sleep.await;
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
            let due = {
                let mut state = manual.state.lock();
                state.elapsed = state.elapsed.saturating_add(by);
                let later = match state.elapsed.checked_add(Duration::from_nanos(1)) {
                    Some(next) => state.sleepers.split_off(&(next, 0)),
                    None => BTreeMap::new(),
                };
                std::mem::replace(&mut state.sleepers, later)
            };
            for sleeper in due.into_values() {
                sleeper.wake();
            }
        }
    }

    /// How long a manual clock can be moved before somebody has to be woken. `None` when nobody sleeps on
    /// it, and for the system clock.
    pub fn next_wake(&self) -> Option<Duration> {
        match &self.kind {
            Kind::System => None,
            Kind::Manual(manual) => {
                let state = manual.state.lock();
                let ((wake_at, _), _) = state.sleepers.first_key_value()?;
                Some(wake_at.saturating_sub(state.elapsed))
            }
        }
    }

    /// Sets the wall-clock time of a manual clock forward or back, as an operator or a time server does;
    /// monotonic time and sleepers do not notice. On the system clock it does nothing.
    pub fn step(&self, by: TimeDelta) {
        if let Kind::Manual(manual) = &self.kind {
            let mut state = manual.state.lock();
            state.epoch = state.epoch.checked_add_signed(by).unwrap_or(state.epoch);
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
    async fn the_next_sleeper_is_known_until_it_is_woken_or_gives_up() {
        let clock = Clock::manual(start());
        let sleep = |seconds| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep(Duration::from_secs(seconds)).await })
        };
        let (long, short) = (sleep(9), sleep(4));
        tokio::task::yield_now().await;
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(4)));
        short.abort();
        assert!(short.await.is_err());
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(9)));
        clock.advance(Duration::from_secs(9));
        long.await.unwrap();
        assert_eq!(clock.next_wake(), None);
    }

    #[test]
    fn a_step_moves_the_wall_clock_only() {
        let clock = Clock::manual(start());
        let monotonic = clock.monotonic();
        clock.step(TimeDelta::minutes(-3));
        assert_eq!(clock.now(), start() - TimeDelta::minutes(3));
        assert_eq!(clock.monotonic(), monotonic);
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
